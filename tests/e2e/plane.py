"""A real data plane with its doors, documents and memory at hand.

In:    a document without doors; whether its sockets are inherited; arguments.
Out:   addresses, answers of the doors, log lines, resident memory; the process ends with the test.
Not:   building the binary (dataplane.py finds it).
Next:  the engine's, the cache's and the doors' tests.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.e2e import dataplane, upstream, wire

Json = dict[str, object]
START_S = 10.0


@functools.cache
def promised() -> frozenset[str]:
    """Return the names of all metrics that a page promises."""
    pages = (dataplane.ROOT / "docs").rglob("*.md")
    return frozenset(
        name for page in pages for name in re.findall(r"`(alongside_\w+)[`{]", page.read_text())
    )


class Plane:
    """One running process."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.process = process
        self.admin_path = folder / "a.sock"
        self.document_path = folder / "conf" / "document.json"

    @property
    def address(self) -> wire.Address:
        """Where the first listener listens."""
        return next(iter(self.addresses().values()))

    def addresses(self) -> dict[str, wire.Address]:
        """Return the true addresses of the listeners by name."""
        listeners = self.admin("GET", "/snapshot")[1]["listeners"]
        assert isinstance(listeners, list)
        found = {}
        for listener in listeners:
            host, port = str(listener["address"]).rsplit(":", 1)
            found[str(listener["name"])] = (host, int(port))
        return found

    def admin(self, method: str, path: str, body: object = None) -> tuple[int, Json]:
        """Ask at the admin door; return status and JSON."""
        status, text = self.knock(method, path, b"" if body is None else json.dumps(body).encode())
        return status, json.loads(text)

    def knock(self, method: str, path: str, body: bytes = b"") -> tuple[int, str]:
        """Ask at the admin door; return status and text."""
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(wire.TIMEOUT_S)
            door.connect(str(self.admin_path))
            door.sendall(wire.request(path, "Connection: close", method=method, body=body))
            received = b""
            while data := door.recv(1 << 16):
                received += data
        head, _, text = received.partition(b"\r\n\r\n")
        return wire.status_of(head), text.decode()

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples that carry these labels."""
        total = 0.0
        # Of a name that nobody promises there would be nothing for ever.
        family = re.sub(r"_(?:total|count|sum|bucket)$", "", name)
        assert promised() & {family, f"{family}_total"}, f"no page promises {family}"
        for line in self.knock("GET", "/metrics")[1].splitlines():
            sample = re.fullmatch(rf"{name}(?:_total)?(?:{{(.*)}})? ([0-9.e+-]+)", line)
            if sample and all(
                f'{key}="{value}"' in (sample[1] or "") for key, value in labels.items()
            ):
                total += float(sample[2])
        return total

    def put(self, document: Mapping[str, object]) -> tuple[int, Json]:
        """Send a document to the admin door, with this process's own door in it."""
        return self.admin("PUT", "/document", with_admin(document, self.admin_path))

    def write(self, document: Mapping[str, object]) -> None:
        """Replace the document's file by a rename."""
        beside = self.document_path.with_name("document.json.new")
        beside.write_text(json.dumps(with_admin(document, self.admin_path)))
        beside.rename(self.document_path)

    def resident_bytes(self) -> int:
        """Return what the process holds in memory now."""
        return self._memory("VmRSS")

    def own_bytes(self) -> int:
        """Return what of that is its own, and not pages of files such as its program."""
        return self._memory("RssAnon")

    def _memory(self, name: str) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
        assert match
        return int(match[1]) * 1024

    def log(self) -> list[Json]:
        """Return the log lines; the one that is being written is none yet."""
        text = (self.folder / "stderr.log").read_bytes()
        lines = text[: text.rfind(b"\n") + 1].decode().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def events(self, name: str) -> list[Json]:
        """Return the log lines of one event: when the process has ended, all of them."""
        return [line for line in self.log() if line.get("event") == name]

    def told(self, name: str, times: int = 1) -> list[Json]:
        """Return the log lines of one event once there are so many: a thread writes them, late.

        Raises:
            AssertionError: there were fewer in time.
        """
        wire.eventually(lambda: len(self.events(name)) >= times, f"it says {name}")
        return self.events(name)

    def terminate(self) -> None:
        """Ask the process to drain and end."""
        self.process.send_signal(signal.SIGTERM)

    def is_up(self) -> bool:
        """Whether the admin door answers."""
        assert self.process.poll() is None, (self.folder / "stderr.log").read_text()
        with contextlib.suppress(OSError):
            return self.knock("GET", "/readyz")[0] == 200
        return False

    def end(self) -> int:
        """End the process by its id; return its exit code.

        Raises:
            subprocess.TimeoutExpired: it did not end by itself within 15 s of SIGTERM.
        """
        if self.process.poll() is None:
            self.terminate()
        try:
            return self.process.wait(dataplane.END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        dataplane.cut(self.process)


def with_admin(document: Mapping[str, object], path: Path) -> Json:
    """Return the document with an admin door."""
    return {**document, "admin": {"path": str(path)}}


def document(
    kind: str, origin: str, limits: Mapping[str, int] | None = None, **more: object
) -> Json:
    """Return a document of one listener `web` in front of one route or cache of one origin."""
    base = dataplane.document(kind, origin, {"drain_timeout_ms": 2000, **(limits or {})})
    web = {"name": "web", "address": "127.0.0.1:0", "serves": "main"}
    return {**base, "listeners": [web], **more}


def launch(
    folder: Path, arguments: Sequence[str], *, inherited: Mapping[str, socket.socket] | None = None
) -> subprocess.Popen[bytes]:
    """Start the binary; its stderr goes to `folder/stderr.log`."""
    sockets = dict(inherited or {})
    program = [str(dataplane.binary()), *arguments]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LISTEN_")}
    if sockets:
        assert len(sockets) == 1, "the launcher places one socket"
        name, listener = next(iter(sockets.items()))
        environment |= {"LISTEN_FDS": "1", "LISTEN_FDNAMES": name}
        number = str(listener.fileno())
        program = [sys.executable, "-ISc", dataplane.LAUNCH, number, *program]
    with (folder / "stderr.log").open("ab") as log:
        return subprocess.Popen(
            program,
            pass_fds=[listener.fileno() for listener in sockets.values()],
            env=environment,
            stderr=log,
        )


@contextlib.contextmanager
def running(
    contents: Mapping[str, object],
    *arguments: str,
    inherited: Mapping[str, socket.socket] | None = None,
) -> Iterator[Plane]:
    """Serve a document from a file until the block ends."""
    # Paths of sockets are short.
    with tempfile.TemporaryDirectory(prefix="plane") as name:
        folder = Path(name)
        (folder / "conf").mkdir()
        path = folder / "conf" / "document.json"
        path.write_text(json.dumps(with_admin(contents, folder / "a.sock")))
        command = ["--document", str(path), *arguments]
        with Plane(folder, launch(folder, command, inherited=inherited)) as plane:
            await_start(plane)
            yield plane


def await_start(plane: Plane) -> None:
    """Wait until the doors answer."""
    end = time.monotonic() + START_S
    while not plane.is_up():
        assert time.monotonic() < end, "it does not start"
        time.sleep(0.005)


@contextlib.contextmanager
def in_front_of(
    talk: upstream.Talk, kind: str = "route", limits: Mapping[str, int] | None = None
) -> Iterator[tuple[wire.Address, upstream.Upstream, Plane]]:
    """Serve one route or cache of an origin that talks so; yield address, origin and process."""
    with (
        upstream.Upstream(talk) as origin,
        running(document(kind, origin.address, limits)) as plane,
    ):
        yield plane.address, origin, plane


@contextlib.contextmanager
def answering(
    answer: upstream.Answer, kind: str = "route", limits: Mapping[str, int] | None = None
) -> Iterator[tuple[wire.Address, upstream.Upstream, Plane]]:
    """Like `in_front_of`, for an origin that answers each request by a function."""
    with (
        upstream.Upstream.answering(answer) as origin,
        running(document(kind, origin.address, limits)) as plane,
    ):
        yield plane.address, origin, plane
