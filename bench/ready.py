"""How long `alongside tls` takes from its start to ready, Python's moment included.

In:    how many starts; the command beside this Python, its modules compiled as pip compiles them.
Out:   median, least and most, of the time and of the processor time that the start took.
Not:   a table: the README names the figures beside its budgets.
Next:  README.md, "What it costs".
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import http.client
import json
import os
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import alongside
from alongside.components.authority import names, store
from alongside.engines.pods import publishing
from alongside.plan import pods

LOOPBACK = "127.0.0.1"
LOOK_S = 0.001
READY_S = 30.0
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def main(words: list[str]) -> int:
    """Measure, print what was found as JSON, and return 0."""
    parser = argparse.ArgumentParser(prog="python -m bench.ready", description=__doc__)
    parser.add_argument("--starts", type=int, default=20)
    starts = parser.parse_args(words).starts
    compileall.compile_dir(next(iter(alongside.__path__)), quiet=1)
    with tempfile.TemporaryDirectory() as name:
        held = store.Store(Path(name), time.time(), _publish)
        held.begin("bench")
        folder = held.issue("site", names.USUAL).folder
        context = ssl.create_default_context(cafile=str(held.certificate))
        found = [_start(folder, context) for _ in range(starts)]
    told = ("ready", "handshake", "cpu")
    print(
        json.dumps(
            {one: _row(times) for one, times in zip(told, zip(*found, strict=True), strict=True)}
        )
    )
    return 0


def _publish(folder: Path, content: store.Content) -> object:
    listed = [pods.File(name, data, mode) for name, (data, mode) in content.items()]
    return publishing.publish(folder, listed)


def _row(times_s: Sequence[float]) -> dict[str, int]:
    parts = {"median": statistics.median(times_s), "least": min(times_s), "most": max(times_s)}
    return {f"{name}_ms": round(value_s * 1000) for name, value_s in parts.items()}


def _start(folder: Path, context: ssl.SSLContext) -> tuple[float, float, float]:
    """Return the seconds to `/readyz`, to the first handshake, and of processor time till then."""
    listen, status = _free_port(), _free_port()
    words = [
        *(sys.executable, "-m", "alongside", "tls", "--proxy-port=8000"),
        *(f"--listen={LOOPBACK}:{listen}", f"--status={LOOPBACK}:{status}"),
        f"--certificate-path={folder}",
    ]
    began_s = time.perf_counter()
    with _running(words) as process:
        _until(lambda: _is_ready(status))
        ready_s = time.perf_counter() - began_s
        _until(lambda: _shakes_hands(listen, context))
        handshake_s = time.perf_counter() - began_s
        # Behind the name in brackets; of itself and of the children that it waited for.
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return ready_s, handshake_s, sum(int(one) for one in fields[11:15]) * TICK_S


@contextlib.contextmanager
def _running(words: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(READY_S)


def _until(holds: Callable[[], bool]) -> None:
    until_s = time.monotonic() + READY_S
    while not holds():
        if time.monotonic() > until_s:
            raise TimeoutError(f"it is not ready within {READY_S:g} s")
        time.sleep(LOOK_S)


def _is_ready(port: int) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        client = http.client.HTTPConnection(LOOPBACK, port, timeout=READY_S)
        client.request("GET", "/readyz")
        return client.getresponse().status == http.HTTPStatus.OK
    return False


def _shakes_hands(port: int, context: ssl.SSLContext) -> bool:
    with (
        contextlib.suppress(OSError),
        socket.create_connection((LOOPBACK, port), timeout=READY_S) as plain,
        context.wrap_socket(plain, server_hostname="localhost"),
    ):
        return True
    return False


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as free:
        return int(free.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
