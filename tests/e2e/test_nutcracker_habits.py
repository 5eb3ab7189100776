"""What tools expect of a process called `nutcracker`, of ours and of the packaged twemproxy.

Init scripts, log rotation, monitors and test-suites know it by its command line, its file of -p,
its log, its signals and its exit codes. Where ours is meant to do better, its own tests say so.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests import ports
from tests.e2e import fleets
from tests.e2e.ambassadors import (
    DEADLINE_S,
    SCRIPTS,
    World,
    ask,
    held,
    is_open,
    put,
    wait_for,
)

pytestmark = [fleets.NEEDS_DATA_PLANE, pytest.mark.needs("memcached")]

OURS = str(SCRIPTS / "nutcracker")
THEIRS = "/usr/sbin/nutcracker"
"""By its path: a program of ours has the same name."""
BOTH = pytest.mark.parametrize(
    "program", [OURS, pytest.param(THEIRS, marks=pytest.mark.needs("nutcracker"))], ids=["o", "t"]
)


class Old:
    """A program called nutcracker with all the flags of an init script."""

    def __init__(self, world: World, program: str) -> None:
        self.world = world
        self.log, self.pid_file = world.folder / "n.log", world.folder / "n.pid"
        self.stats = ports.free_port()
        flags = ["-c", "conf/n.yml", "-a", "127.0.0.1", "-s", str(self.stats), "-o", str(self.log)]
        self.words = [program, *flags, "-p", str(self.pid_file), "-i", "1", "-m", "512"]

    def daemonize(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Run it with -d; return how the process that was called ended."""
        return subprocess.run(
            [*self.words, "-d", *more],
            cwd=self.world.folder,
            env=self.world.variables(),
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    def run(self, *more: str) -> subprocess.Popen[bytes]:
        """Start it in the foreground, and wait until it listens."""
        running = self.world.start(*self.words, *more)
        wait_for(self.is_up, f"it to listen: {running.log.read_text()}")
        return running.process

    def is_up(self) -> bool:
        """Return whether it tells its figures."""
        return is_open(self.stats)

    def number(self) -> int:
        """Return the number in its file of -p, when there is one."""
        wait_for(lambda: self.pid_file.exists() and self.pid_file.read_text() != "", "the number")
        return int(self.pid_file.read_text())

    def logged(self) -> str:
        """Return its log; empty where there is none."""
        with contextlib.suppress(FileNotFoundError):
            return self.log.read_text()
        return ""

    def end(self) -> None:
        """Kill whatever its file names."""
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(self.pid_file.read_text()), signal.SIGKILL)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.end()


@pytest.fixture
def old(world: World) -> Iterator[Callable[[str], Old]]:
    """Return what makes one in front of a memcached; it ends with the test."""
    world.memcached()
    world.write()
    with contextlib.ExitStack() as stack:

        def make(program: str) -> Old:
            made = Old(world, program)
            stack.callback(made.end)
            return made

        yield make


@BOTH
def test_it_is_found_by_the_command_line_that_it_was_called_with(
    old: Callable[[str], Old], program: str
) -> None:
    one = old(program)
    ran = one.daemonize("-v", "7")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    number = one.number()
    # What `pgrep -f`, and what `pidof` and `killall`, look at.
    line = " ".join([*one.words, "-d", "-v", "7"])

    def shown() -> str:
        return Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode()

    assert shown().startswith(line)
    wait_for(one.is_up, "the figures")
    assert Path(f"/proc/{number}/comm").read_text() == "nutcracker\n"
    put(one.world.port, ["a"])
    assert held(one.world.servers[0], ["a"]) == {"a"}
    wait_for(
        lambda: json.loads(ask(one.stats, b"", b"\n"))["a"]["m0"]["requests"] > 0, "the figures"
    )


@BOTH
def test_signals_are_answered_and_stand_in_the_log(old: Callable[[str], Old], program: str) -> None:
    one = old(program)
    process = one.run()
    for number in (
        *(signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP),
    ):
        process.send_signal(number)
        name = number.name
        wait_for(lambda: name in one.logged(), name)  # noqa: B023 - it is called here
    assert re.search("level.* 6", one.logged())
    assert re.search("level.* 5", one.logged())
    put(one.world.port, ["a"])
    assert process.poll() is None


@BOTH
def test_a_log_that_was_moved_away_is_opened_anew(old: Callable[[str], Old], program: str) -> None:
    one = old(program)
    process = one.run()
    one.log.rename(one.log.with_suffix(".1"))
    for _ in range(2):
        process.send_signal(signal.SIGHUP)
        wait_for(one.log.exists, "the log")
    wait_for(lambda: "SIGHUP" in one.logged(), "the signal in the new log")
    put(one.world.port, ["a"])


def test_a_log_that_cannot_be_opened_anew_is_told_in_the_old_one(
    old: Callable[[str], Old],
) -> None:
    one = old(OURS)
    process = one.run()
    moved = one.log.with_suffix(".1")
    one.log.rename(moved)
    one.log.mkdir()
    process.send_signal(signal.SIGHUP)
    wait_for(lambda: "log_not_opened_anew" in moved.read_text(), "the reason")
    put(one.world.port, ["a"])
    process.terminate()
    assert process.wait(DEADLINE_S) == 0
    assert '"ended"' in moved.read_text()


@pytest.mark.parametrize(
    ("level", "said"), [("0", {"error"}), ("4", {"warn", "error"}), ("5", {"info"})]
)
def test_as_much_is_logged_as_is_asked_for(
    old: Callable[[str], Old], level: str, said: set[str]
) -> None:
    one = old(OURS)
    process = one.run("-v", level)
    # A mistake in the file is an error; that the next one is right is no more than an info.
    whole = one.world.config.read_text()
    one.world.write(text="a:\n")
    wait_for(lambda: "has no directives" in one.logged(), "the mistake")
    one.world.write(text=whole.replace("timeout: 2000", "timeout: 3000"))
    process.send_signal(signal.SIGUSR1)
    wait_for(lambda: "SIGUSR1" in one.logged(), "the signal")
    process.terminate()
    process.wait(DEADLINE_S)
    lines = [json.loads(line) for line in one.logged().splitlines()]
    found = {line["level"] for line in lines if line["event"] != "signal"}
    assert ("info" in found) == ("info" in said)
    assert "error" in found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_file_of_the_number_goes_with_the_process(
    old: Callable[[str], Old], number: signal.Signals
) -> None:
    one = old(OURS)
    assert one.daemonize().returncode == 0
    # It is there, and signals are answered, when the process that was called ends.
    process = int(one.pid_file.read_text())
    os.kill(process, number)
    wait_for(lambda: not one.pid_file.exists(), "the file to go")
    wait_for(lambda: '"ended"' in one.logged(), "the end")
    wait_for(lambda: not is_open(one.world.port), "the port to be free")


def test_a_number_of_a_process_that_was_killed_is_replaced(old: Callable[[str], Old]) -> None:
    one = old(OURS)
    first = one.run()
    first.kill()
    first.wait()
    assert one.pid_file.read_text() == str(first.pid)
    second = one.run()
    assert one.pid_file.read_text() == str(second.pid)


@pytest.mark.parametrize("more", [(), ("-d",)], ids=["foreground", "background"])
def test_a_second_one_with_the_same_file_changes_nothing(
    old: Callable[[str], Old], more: tuple[str, ...]
) -> None:
    one = old(OURS)
    first = one.run()
    logged, port = one.logged(), one.world.port
    # Elsewhere altogether, but for the file of -p.
    other = one.world.folder / "other.yml"
    text = one.world.config.read_text()
    other.write_text(text.replace(f":{port}\n", f":{ports.free_port()}\n"))
    words = [*one.words, "-s", str(ports.free_port()), "-c", str(other), *more]
    second = one.world.start(*words, name="second")
    assert second.process.wait(DEADLINE_S) == 1
    assert second.said(f"nutcracker: -p: {one.pid_file} is the file of process {first.pid}, which")
    assert one.pid_file.read_text() == str(first.pid)
    assert (first.poll(), is_open(port), one.logged().startswith(logged)) == (None, True, True)


@pytest.mark.parametrize("more", [(), ("-d",)], ids=["foreground", "background"])
def test_what_is_taken_is_told_at_the_terminal_and_nothing_is_written(
    old: Callable[[str], Old], more: tuple[str, ...]
) -> None:
    one = old(OURS)
    one.pid_file.write_text("1")
    with socket.create_server(("127.0.0.1", one.world.port)):
        running = one.world.start(*one.words, *more)
        assert running.process.wait(DEADLINE_S) == 1
        place = f"conf/n.yml:3: a.listen: 127.0.0.1:{one.world.port} is taken; choose another port"
        assert running.said(f"nutcracker: {place}")
    with socket.create_server(("127.0.0.1", one.stats)):
        running = one.world.start(*one.words, *more)
        assert running.process.wait(DEADLINE_S) == 1
        assert running.said(f"nutcracker: -s: 127.0.0.1:{one.stats} is taken; choose another port")
    assert (one.logged(), one.pid_file.read_text()) == ("", "1")
    one.pid_file.unlink()


@pytest.mark.parametrize("has_log", [True, False], ids=["log", "no log"])
def test_what_the_data_plane_refuses_in_the_background_is_told_at_the_terminal(
    old: Callable[[str], Old], has_log: bool
) -> None:
    one = old(OURS)
    at = one.words.index("-o")
    words = one.words if has_log else [*one.words[:at], *one.words[at + 2 :]]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        variables = one.world.variables() | {"AMBASSADOR_STATUS": address}
        ran = subprocess.run(
            [*words, "-d"],
            cwd=one.world.folder,
            env=variables,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
    told = f"nutcracker: AMBASSADOR_STATUS: {address} is taken; choose another one or stop its"
    assert (ran.returncode, ran.stderr.startswith(told), ran.stderr.count("\n")) == (1, True, 1)
    assert not one.pid_file.exists()


@BOTH
@pytest.mark.parametrize("more", [(), ("-d",)], ids=["foreground", "background"])
def test_a_socket_without_a_mode_is_everybodys_in_the_background(
    world: World, program: str, more: tuple[str, ...]
) -> None:
    world.memcached()
    path = world.folder / "s"
    world.write()
    world.write(text=world.config.read_text().replace(f"127.0.0.1:{world.port}", str(path)))
    one = Old(world, program)
    before = os.umask(0o022)
    try:
        world.start(*one.words, *more)
        wait_for(one.is_up, "the figures")
        wait_for(path.exists, "the socket")
        wait_for(lambda: path.stat().st_mode & 0o777 == (0o777 if more else 0o755), "the mode")
    finally:
        os.umask(before)
        one.end()


def test_a_refused_file_is_told_by_its_line_without_the_command_that_read_it(
    old: Callable[[str], Old],
) -> None:
    one = old(OURS)
    one.run()
    one.world.write(text="a:\n  listne: 1\n  redis_auth SECRET:\n")
    wait_for(lambda: "document_refused" in one.logged(), "the refusal")
    [line] = [line for line in one.logged().splitlines() if "document_refused" in line]
    told = json.loads(line)["problems"]
    assert 'conf/n.yml:2: a: "listne" is no directive; did you mean listen?' in told
    assert 'conf/n.yml:3: a: "redis_auth …" is no directive' in told
    assert "--stats-port" not in told
    assert "SECRET" not in told


def test_an_address_that_is_taken_later_is_told_by_its_pool(old: Callable[[str], Old]) -> None:
    one = old(OURS)
    one.run()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        other = one.world.config.read_text().replace("a:", "other:", 1)
        text = other.replace(f"127.0.0.1:{one.world.port}", f"127.0.0.1:{port}")
        one.world.write(text=one.world.config.read_text() + text)
        wait_for(lambda: "document_refused" in one.logged(), "the refusal")
        [line] = [line for line in one.logged().splitlines() if "document_refused" in line]
        told = f'n.yml:8: listener "other": 127.0.0.1:{port} is taken; '
        assert told in json.loads(line)["problems"]
    wait_for(lambda: is_open(port), "the other pool, when the port is free")
