"""`alongside run`: a real program on a real terminal, with a real cache beside it."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests import ports, processes
from tests.e2e import fleets

DEADLINE_S = 30.0
SERVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("asked", self.path, flush=True)
        self.send_response(200)
        self.send_header("cache-control", "max-age=60"); self.send_header("content-length", "2")
        self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *words): pass
ports = map(int, sys.argv[1:] or [os.environ["PORT"]])
servers = [http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) for port in ports]
servers[-1].serve_forever()
"""


def words(*options: str, program: list[str]) -> list[str]:
    return [sys.executable, "-m", "alongside", "run", *options, "--", *program]


def python(text: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", text, *arguments]


@contextlib.contextmanager
def started(folder: Path, *options: str, program: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program by the command; output goes to `out` and `err` in the folder."""
    variables = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            words(*options, program=program), stdout=out, stderr=err, env=variables
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(DEADLINE_S)


def until(holds: Callable[[], object], what: str) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline_s, f"not within {DEADLINE_S:g} s: {what}"
        time.sleep(0.02)


def until_ended(pid: int) -> None:
    until(lambda: not processes.is_alive(pid), f"{pid} has ended")


def finished(*options: str, program: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words(*options, program=program),
        input="typed\n",
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def test_input_output_and_exit_code_are_the_programs() -> None:
    ran = finished(program=["sh", "-c", 'read a; echo "$a"; echo err >&2; exit 7'])
    assert (ran.returncode, ran.stdout, ran.stderr) == (7, "typed\n", "err\n")


def test_a_program_that_a_signal_ended_gives_the_shells_code() -> None:
    assert finished(program=["sh", "-c", "kill -9 $$"]).returncode == 137


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_are_the_programs(tmp_path: Path, number: signal.Signals) -> None:
    text = (
        f"import signal, sys; signal.signal({int(number)}, lambda *_: sys.exit(40)); "
        "print(1, flush=True); signal.pause()"
    )
    with started(tmp_path, program=python(text)) as process:
        until((tmp_path / "out").read_text, "it runs")
        process.send_signal(number)
        assert process.wait(DEADLINE_S) == 40


def test_what_the_program_left_behind_ends_with_it(tmp_path: Path) -> None:
    text = "setsid sleep 1000 & echo $!; sleep 1001 & echo $!"
    ran = finished(program=["sh", "-c", text])
    assert ran.returncode == 0
    for pid in map(int, ran.stdout.split()):
        until_ended(pid)


@fleets.NEEDS_DATA_PLANE
def test_a_cache_stands_before_the_port_that_the_program_was_told(tmp_path: Path) -> None:
    (listen,) = ports.free_ports(1)
    option = f"--with=cache:listen=127.0.0.1:{listen},memory=16Mi"
    with started(tmp_path, option, program=python(SERVER)) as process:
        until(
            lambda: f"at http://127.0.0.1:{listen}" in (tmp_path / "err").read_text(), "it says so"
        )
        for _ in range(3):
            with urllib.request.urlopen(f"http://127.0.0.1:{listen}/a", timeout=10) as answer:
                assert answer.read() == b"ok"
        process.terminate()
        assert process.wait(DEADLINE_S) == 143
    assert (tmp_path / "out").read_text().count("asked /a") == 1
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", listen), timeout=5)


@fleets.NEEDS_DATA_PLANE
def test_each_further_component_stands_before_the_one_before(tmp_path: Path) -> None:
    inner, outer = (f"127.0.0.1:{port}" for port in ports.free_ports(2))
    options = (f"--with=cache:listen={inner}", f"--with=cache:listen={outer},memory=16Mi")
    with started(tmp_path, *options, program=python(SERVER)):
        err = tmp_path / "err"
        chained = f"cache-2 is at http://{outer}, in front of {inner};"
        until(lambda: chained in err.read_text(), "it says so")
        with urllib.request.urlopen(f"http://{outer}/a", timeout=10) as answer:
            assert (answer.read(), len(answer.headers.get_all("cache-status")[0].split(","))) == (
                b"ok",
                2,
            )
        assert (tmp_path / "state" / "alongside" / "run").is_dir()
        logs = (tmp_path / "state").rglob("*.log")
        assert {one.name.partition(".cache")[2] for one in logs} == {".log", "-2.log"}
    assert (tmp_path / "out").read_text().count("asked /a") == 1


@fleets.NEEDS_DATA_PLANE
def test_lists_the_candidates_where_the_program_listens_at_several_ports(tmp_path: Path) -> None:
    first, second = sorted(ports.free_ports(2))
    program = python(SERVER, str(first), str(second))
    with started(tmp_path, "--with=cache", program=program):
        until(lambda: "--port" in (tmp_path / "err").read_text(), "it lists them")
        told = (tmp_path / "err").read_text()
    assert f"add --port {first} or --port {second}" in told or f"--port {second} or" in told


@fleets.NEEDS_DATA_PLANE
def test_a_component_that_dies_is_started_again(tmp_path: Path) -> None:
    (listen,) = ports.free_ports(1)
    option = f"--with=cache:listen=127.0.0.1:{listen}"
    with started(tmp_path, option, program=python(SERVER)) as process:
        until(lambda: "at http" in (tmp_path / "err").read_text(), "it is there")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        pids = [int(pid) for pid in children.read_text().split()]
        (cache,) = [
            pid for pid in pids if b"dataplane" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        os.kill(cache, signal.SIGKILL)
        until(lambda: "killed by SIGKILL" in (tmp_path / "err").read_text(), "it says so")
        until(lambda: (tmp_path / "err").read_text().count("at http") == 2, "it is back")


@fleets.NEEDS_DATA_PLANE
@pytest.mark.skipif(sys.platform != "linux", reason="setpriv is Linux's")
def test_all_end_when_the_command_is_killed(tmp_path: Path) -> None:
    (listen,) = ports.free_ports(1)
    option = f"--with=cache:listen=127.0.0.1:{listen}"
    with started(tmp_path, option, program=python(SERVER)) as process:
        until(lambda: "at http" in (tmp_path / "err").read_text(), "it is there")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 2
        process.kill()
        process.wait(DEADLINE_S)
        for pid in map(int, children):
            until_ended(pid)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--with=cash"], '"cash" is no component that stands beside; did you mean "cache"?'),
        (["--with=cache:memory=64"], 'memory: "64"'),
        (["--with=cache:memry=64Mi"], "did you mean --memory?"),
        (
            ["--with=cache:listen=127.0.0.1:8080", "--with=cache:listen=127.0.0.1:8080,memory=1Mi"],
            "127.0.0.1:8080 is also where cache listens",
        ),
        (["--port=0"], "--port"),
    ],
)
def test_wrong_usage_starts_nothing(options: list[str], expected: str) -> None:
    ran = finished(*options, program=["echo", "started"])
    assert (ran.returncode, ran.stdout) == (2, "")
    assert expected in ran.stderr


def test_an_unknown_program_is_wrong_usage() -> None:
    ran = finished(program=["no-such-program"])
    assert (ran.returncode, "no such program" in ran.stderr) == (2, True)


def test_an_address_that_is_taken_starts_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        beside = f"--with=cache:listen=127.0.0.1:{port}"
        ran = finished(beside, program=["echo", "started"])
        both = finished(beside, "--with=tls:threads=none", program=["echo", "started"])
    assert (ran.returncode, ran.stdout) == (3, "")
    assert f"--with cache: 127.0.0.1:{port} is taken by " in ran.stderr
    # A mistake beside it is no less told, and is what the exit code says.
    assert (both.returncode, both.stdout) == (2, "")
    assert f"127.0.0.1:{port} is taken by " in both.stderr
    assert "--threads" in both.stderr


def test_an_address_of_ipv6_is_looked_at_as_such() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        ran = finished(f"--with=cache:listen=[::1]:{port}", program=["echo", "started"])
    assert (ran.returncode, ran.stdout) == (3, "")
    assert f"--with cache: [::1]:{port} is taken by " in ran.stderr


def test_keys_of_the_terminal_reach_the_program(tmp_path: Path) -> None:
    """Ctrl-C is the program's; Ctrl-Z stops both, and both go on."""
    text = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGINT, lambda *_: (print('interrupted', flush=True), sys.exit(9)))\n"
        "print('ready', flush=True)\n"
        "while True: time.sleep(0.1)\n"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(sys.executable, words(program=python(text)))  # noqa: S606
    seen = b""

    def read() -> bytes:
        nonlocal seen
        with contextlib.suppress(OSError):
            seen += os.read(terminal, 4096)
        return seen

    try:
        os.set_blocking(terminal, False)
        until(lambda: b"ready" in read(), "it runs")
        os.write(terminal, b"\x1a")
        until(lambda: os.waitpid(pid, os.WNOHANG | os.WUNTRACED)[0] == pid, "both are stopped")
        os.kill(pid, signal.SIGCONT)
        os.write(terminal, b"\x03")
        until(lambda: b"interrupted" in read(), "the program was interrupted")
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.close(terminal)
    assert code == 9
