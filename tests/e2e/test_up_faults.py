"""`alongside up` and `down` when something has gone wrong: kills, full disks, lost sockets."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import ports
from tests.e2e import fleets

pytestmark = [fleets.NEEDS_DATA_PLANE, pytest.mark.timeout(180)]
DISK_BYTES = 2 * 2**20
IN_A_TERMINAL = """\
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "alongside", *sys.argv[1:]])
"""


@pytest.fixture
def fleet() -> Iterator[fleets.Fleet]:
    with fleets.project() as made:
        yield made


def kill_supervisor(fleet: fleets.Fleet) -> dict[str, int]:
    """Kill the supervisor; return the processes that it leaves."""
    left = fleet.pids()
    os.kill(int(str(fleet.status()["supervisor_pid"])), signal.SIGKILL)
    fleets.until("the supervisor's end", lambda: fleet.run("status")[0] == 1)
    return left


def events(fleet: fleets.Fleet) -> list[dict[str, object]]:
    """Return the lines of the supervisor's log."""
    log = (Path(fleet.home) / "supervisor.log").read_text()
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


def stopped(fleet: fleets.Fleet) -> list[object]:
    """Return the processes that the supervisor stopped, in order."""
    return [event["process"] for event in events(fleet) if event["event"] == "stop"]


def test_another_folder_of_the_same_name_is_never_meant(fleet: fleets.Fleet) -> None:
    path = fleet.write()
    fleet.up(path)
    here, other = path.parent, fleet.base / "other" / "photos"
    other.mkdir(parents=True)
    (other / "photos.yaml").write_text(path.read_text())
    before = fleet.pids()

    def check(*words: str) -> None:
        code, _, err = fleet.run(*words, folder="other/photos")
        assert (code, str(here) in err, str(other) in err, "--project photos" in err) == (
            2,
            True,
            True,
            True,
        ), err

    check("down")
    check("purge", "photos", "http://x/")
    check("up", "--detach", "photos.yaml")
    assert fleet.pids() == before
    kill_supervisor(fleet)
    check("down")
    check("up", "--detach", "photos.yaml")
    check("up", "photos.yaml")
    assert sorted(fleet.left()) == sorted(before.values())
    assert fleet.run("down")[0] == 0
    assert not fleet.left()


def test_a_link_to_the_folder_is_the_folder(fleet: fleets.Fleet) -> None:
    path = fleet.write()
    (fleet.base / "link").mkdir()
    (fleet.base / "link" / "photos").symlink_to(path.parent)
    fleet.up(fleet.base / "link" / "photos" / path.name)
    fleet.up(path)
    assert fleet.run("down", folder="link/photos")[0] == 0
    assert not fleet.left()


@pytest.mark.parametrize("detach", [["--detach"], []])
def test_what_is_left_serves_on_when_the_next_file_cannot_be_run(
    fleet: fleets.Fleet, detach: list[str]
) -> None:
    path = fleet.write()
    text = path.read_text().replace("shards: 3", f"shards: 3\n  port: {ports.free_port()}")
    path.write_text(text)
    fleet.up(path)
    address = fleet.address()
    left = kill_supervisor(fleet)
    with socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        port = owner.getsockname()[1]
        taken = path.with_name("taken.yaml")
        more = text.split("---")[0].replace("name: photos", "name: more")
        taken.write_text(f"{text}---\n{more}".replace("service: app", "service: app"))
        lines = taken.read_text().rpartition("port: ")
        taken.write_text(f"{lines[0]}port: {port}\n  memory: 16Mi\n")
        code, _, err = fleet.run("up", str(taken), *detach)
    assert (code, f"127.0.0.1:{port} is taken by" in err) == (3, True), err
    bad = path.with_name("bad.yaml")
    bad.write_text(text.replace("shards: 3", "shards: 0"))
    assert fleet.run("up", str(bad), *detach)[0] == 2
    assert sorted(fleet.left()) == sorted(left.values())
    assert fleets.get(address, "/still") == (200, b"/still")
    fleet.up(path)
    assert fleet.address() == address
    assert not set(left.values()) & set(fleet.left())


def test_a_supervisor_whose_socket_is_lost_is_stopped_in_order(fleet: fleets.Fleet) -> None:
    path = fleet.write()
    fleet.up(path)
    pid = int(str(fleet.status()["supervisor_pid"]))
    (fleet.base / "run" / "alongside" / "photos" / "control.sock").unlink()
    code, _, err = fleet.run("status")
    assert (code, f"(pid {pid}) runs, but does not answer" in err) == (1, True), err
    os.utime(Path(fleet.home) / "lock", (0, 0))  # it has been up for long
    code, _, err = fleet.run("up", str(path), "--detach")
    assert (code, "end it with: alongside down --project photos" in err) == (1, True), err
    code, out, err = fleet.run("down")
    assert (code, f"pid {pid}, by SIGTERM" in out) == (0, True), out + err
    assert not fleet.left()
    assert stopped(fleet) == ["photos-router-0", "photos-2-0", "photos-1-0", "photos-0-0", "app"]


def test_a_supervisor_that_hangs_is_killed_and_what_it_leaves_is_ended(
    fleet: fleets.Fleet,
) -> None:
    path = fleet.write()
    pod = path.read_text().split("---")[1].replace("PeriodSeconds: 5", "PeriodSeconds: 1")
    path.write_text(pod)
    fleet.up(path)
    pid = int(str(fleet.status()["supervisor_pid"]))
    os.kill(pid, signal.SIGSTOP)
    code, out, err = fleet.run("down", "--project", "photos")
    assert code == 0, out + err
    assert f"pid {pid}, by SIGKILL" in out
    assert "ended 1 process that a dead supervisor had left" in out
    assert not fleet.left()


def test_a_purge_that_is_owed_when_the_supervisor_dies_is_owed_to_nobody_who_serves_later(
    fleet: fleets.Fleet,
) -> None:
    fleet.up(fleet.write(shards=1, word="old "))
    address, frozen = fleet.address(), fleet.pids()["photos-0-0"]
    assert fleets.get(address, "/a") == (200, b"old /a")
    os.kill(frozen, signal.SIGSTOP)
    code, out, _ = fleet.run("purge", "photos", f"http://{address}/a")
    assert (code, "photos-0-0 did not answer: it is told again" in out) == (0, True), out
    kill_supervisor(fleet)
    fleet.up(fleet.write(shards=1, word="new "))
    assert frozen not in fleet.left()
    assert fleets.get(fleet.address(), "/a") == (200, b"new /a")
    assert fleet.status()["warnings"] == []


@contextlib.contextmanager
def small_disk(at: Path) -> Iterator[None]:
    """Mount a disk of little room at a folder."""
    if os.geteuid() != 0:
        pytest.skip("waits for root, who may mount a small tmpfs")
    at.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(at)]
    mounted = subprocess.run(words, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"waits for the right to mount a tmpfs: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


def fill(folder: Path) -> Path:
    """Fill a disk to the last page; return the file that does."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(b"x" * 4096)
    return path


def test_a_full_disk_holds_up_the_change_alone_until_there_is_room(fleet: fleets.Fleet) -> None:
    with small_disk(fleet.base / "state"):
        fleet.up(fleet.write(shards=3))
        before, address = fleet.pids(), fleet.address()
        assert fleets.get(address, "/kept")[0] == 200
        filler = fill(fleet.base / "state")
        path = str(fleet.write(shards=4))
        code, _, err = fleet.run("up", path, "--detach", "--ready-timeout", "2s")
        assert (code, "photos-3-0.json" in err, "No space left" in err) == (1, True, True), err
        warnings = str(fleet.status()["warnings"])
        assert f"{fleet.home}/documents/photos-3-0.json: No space left on device" in warnings
        assert fleets.get(address, "/kept") == (200, b"/kept")
        filler.unlink()
        fleets.until("all is ready", lambda: fleet.status()["ready"] is True)
        after = fleet.pids()
        assert {name: after[name] for name in before} == before
        assert fleet.status()["warnings"] == []
        assert fleet.run("down")[0] == 0


def all_at_once(fleet: fleets.Fleet, *commands: tuple[str, ...]) -> list[tuple[int, str, str]]:
    """Run commands side by side; return exit code, stdout and stderr of each."""
    started = [fleet.start(*words) for words in commands]
    try:
        ended = [one.communicate(timeout=fleets.DEADLINE_S) for one in started]
    finally:
        for one in started:
            one.kill()
            one.wait()
    return [(one.returncode, *said) for one, said in zip(started, ended, strict=True)]


def test_many_at_once_make_one_project(fleet: fleets.Fleet) -> None:
    path = str(fleet.write())
    ended = all_at_once(fleet, *[("up", path, "--detach", "--json")] * 4)
    assert [code for code, _, _ in ended] == [0, 0, 0, 0], ended
    states = [json.loads(out.splitlines()[-1]) for _, out, _ in ended]
    assert {state["supervisor_pid"] for state in states} == {fleet.status()["supervisor_pid"]}
    assert all(state["ready"] for state in states)
    assert sorted(fleet.left()) == sorted(fleet.pids().values())


def test_a_bad_one_of_many_at_once_ends_nobody_elses(fleet: fleets.Fleet) -> None:
    good = fleet.write()
    with socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        taken = good.with_name("taken.yaml")
        port = owner.getsockname()[1]
        taken.write_text(good.read_text().replace("shards: 3", f"shards: 3\n  port: {port}"))
        ended = all_at_once(fleet, *[("up", str(one), "--detach") for one in (taken, good, taken)])
    assert [code for code, _, _ in ended] == [3, 0, 3], ended
    assert fleet.status()["ready"] is True


def test_a_closed_terminal_ends_all_in_order(fleet: fleets.Fleet) -> None:
    path = fleet.write()
    ours, theirs = os.openpty()
    words = [sys.executable, "-c", IN_A_TERMINAL, "up", str(path)]
    process = subprocess.Popen(
        words,
        cwd=path.parent,
        env=fleet.variables(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        fleets.until("ready", lambda: _is_shown(ours) and fleet.run("status")[0] == 0)
        fleets.until("all is ready", lambda: _is_shown(ours) and fleet.status()["ready"] is True)
        os.close(ours)
        assert process.wait(timeout=fleets.DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()
    assert not fleet.left()
    assert stopped(fleet) == ["photos-router-0", "photos-2-0", "photos-1-0", "photos-0-0", "app"]


def _is_shown(terminal: int) -> bool:
    """Read what the other end of a terminal shows, so that it never waits for a reader."""
    flags = fcntl.fcntl(terminal, fcntl.F_GETFL)
    fcntl.fcntl(terminal, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while os.read(terminal, 1 << 16):
            pass
    return bool(termios.tcgetattr(terminal))
