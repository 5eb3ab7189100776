"""A child is started with its sockets, restarted, and ended with its whole group."""

from __future__ import annotations

import asyncio
import ctypes
import io
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from alongside.base import clock, environment, log
from alongside.engines.local import engine, folders
from alongside.engines.processes import backoff, groups, probing, spawning
from alongside.plan import shape

DEADLINE_S = 30.0
SERVE = """
import os, socket
assert os.environ["LISTEN_FDS"] == "1" and os.environ["LISTEN_FDNAMES"] == "http"
assert "LISTEN_PID" not in os.environ
listener = socket.socket(fileno=3)
while True:
    peer, _ = listener.accept()
    peer.sendall(str(os.getpid()).encode())
    peer.close()
"""
STUBBORN = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
words = [sys.executable, "-c", WAIT]
print("daemon", subprocess.Popen(words, start_new_session=True).pid, flush=True)
print("member", subprocess.Popen(words).pid, flush=True)
signal.pause()
"""
OBEDIENT_DAEMON = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print("told", flush=True), sys.exit()))
print("daemon", flush=True)
signal.pause()
"""
LEADER_OF_A_DAEMON = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN if WAITS else signal.SIG_DFL)
subprocess.Popen([sys.executable, "-c", DAEMON], start_new_session=True).wait()
"""
LEADER_WITH_AN_ORPHAN = """
import os, signal
if os.fork() == 0:
    if os.fork() == 0:
        print("orphan", os.getpid(), flush=True)
    os._exit(0)
os.wait()
signal.pause()
"""
WAIT = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"


def run(
    tmp_path: Path,
    work: Callable[[engine.Engine], Awaitable[None]],
    *,
    log_: log.Log | None = None,
    reasons: list[str] | None = None,
) -> None:
    """Do the work of a test with an engine, writing down the reasons of its processes' states."""

    def note() -> None:
        if reasons is not None:
            reasons.extend(child.reason for child in made.children.values())

    places = folders.Folders(tmp_path / "s", tmp_path / "r")
    places.make()
    setting = engine.Setting("p", places, Path("/none"), environment.of_process())
    made = engine.Engine(setting, clock.SystemClock(), note, log_)

    async def main() -> None:
        try:
            await work(made)
        finally:
            await made.close()
        assert not groups.marked(str(places.state))

    asyncio.run(asyncio.wait_for(main(), DEADLINE_S))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - looks at other processes, which set no event
        await asyncio.sleep(0.01)


def python(text: str, **fields: object) -> shape.Process:
    process = shape.Process("a", "app", argv=(sys.executable, "-c", text))
    for name, value in fields.items():
        object.__setattr__(process, name, value)
    return process


async def ask(address: str) -> int:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        return int(await reader.read())
    finally:
        writer.close()


def test_a_killed_child_comes_back_on_the_same_socket(tmp_path: Path) -> None:
    process = python(SERVE, sockets=(shape.Socket("http", "127.0.0.1", 0),))

    async def work(made: engine.Engine) -> None:
        plan = shape.Plan((process,))
        made.adopt(plan, made.prepare(plan))
        made.start(process, None, None)
        address = made.sockets.address("a") or ""
        pid = await ask(address)
        os.kill(pid, signal.SIGKILL)
        assert await ask(address) != pid
        assert made.children["a"].restarts == 1

    run(tmp_path, work)


def test_stopping_ends_members_and_daemons_that_ignore_it(tmp_path: Path) -> None:
    process = python(f"WAIT = {WAIT!r}\n{STUBBORN}", grace_s=0.2)

    async def work(made: engine.Engine) -> None:
        made.start(process, None, None)
        log = made.setting.folders.log("a")
        await until(lambda: log.exists() and log.read_text().count("\n") == 2)
        pids = [int(line.split()[1]) for line in log.read_text().splitlines()]
        made.stop("a")
        await until(lambda: "a" not in made.children)
        found = [groups.entry(pid) for pid in pids]
        assert all(one is None or one.is_zombie for one in found)

    run(tmp_path, work)


@pytest.mark.parametrize("waits", [True, False], ids=["leader waits", "leader ends"])
def test_a_daemon_that_left_its_group_is_told_to_end_like_the_rest(
    tmp_path: Path, waits: bool
) -> None:
    text = f"DAEMON, WAITS = {OBEDIENT_DAEMON!r}, {waits}\n{LEADER_OF_A_DAEMON}"
    process = python(text, grace_s=DEADLINE_S)

    async def work(made: engine.Engine) -> None:
        made.start(process, None, None)
        log_ = made.setting.folders.log("a")
        await until(lambda: log_.exists() and "daemon" in log_.read_text())
        made.stop("a")
        await until(lambda: "told" in log_.read_text())
        await until(lambda: "a" not in made.children)
        assert not made.killed

    run(tmp_path, work)


@pytest.fixture
def subreaper() -> Iterator[None]:
    assert groups.become_subreaper()
    yield
    ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)


def is_dead_and_ours(pid: int) -> bool:
    seen = groups.entry(pid)
    return seen is not None and seen.is_zombie and seen.parent == os.getpid()


@pytest.mark.usefixtures("subreaper")
def test_a_dead_orphan_in_the_group_of_a_living_leader_is_collected(tmp_path: Path) -> None:
    process = python(LEADER_WITH_AN_ORPHAN, grace_s=DEADLINE_S)

    async def work(made: engine.Engine) -> None:
        made.start(process, None, None)
        log_ = made.setting.folders.log("a")
        await until(lambda: log_.exists() and log_.read_text().endswith("\n"))
        orphan, leader = int(log_.read_text().split()[1]), made.children["a"].identity
        await until(lambda: is_dead_and_ours(orphan))
        made.tidy()
        assert groups.entry(orphan) is None
        assert leader is not None
        assert groups.is_alive(leader)

    run(tmp_path, work)


def await_a_dead_child() -> None:
    os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)


def test_tidying_takes_no_status_that_someone_waits_for(tmp_path: Path) -> None:
    process = python("import time; time.sleep(0.5); raise SystemExit(3)", restart="never")

    async def work(made: engine.Engine) -> None:
        made.start(process, None, None)
        await until(lambda: made.children["a"].identity is not None)
        await_a_dead_child()
        made.tidy()
        await until(lambda: made.children["a"].state == "ended")
        assert made.children["a"].reason == "ended with 3"

        probe = shape.Probe("exec", command=("true",), timeout_s=DEADLINE_S)
        program = spawning.Program(
            ("none",), dict(made.setting.environment), None, tmp_path / "log"
        )
        look = asyncio.ensure_future(probing.is_good(probe, program, tmp_path))
        await asyncio.sleep(0)
        await_a_dead_child()
        made.tidy()
        assert await look

    run(tmp_path, work)


def failing_once(monkeypatch: pytest.MonkeyPatch, room: object, name: str) -> None:
    """Let a function fail at its first call, as nobody expects it to."""
    whole = getattr(room, name)
    left = [RuntimeError("nobody foresaw this")]

    def broken(*words: object) -> object:
        if left:
            raise left.pop()
        return whole(*words)

    monkeypatch.setattr(room, name, broken)


def test_a_fault_of_the_supervision_ends_the_process_and_starts_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_once(monkeypatch, probing, "ended")
    process = python("import signal; print('up', flush=True); signal.pause()")
    reasons: list[str] = []
    stream = io.StringIO()

    async def work(made: engine.Engine) -> None:
        made.start(process, None, None)
        child = made.children["a"]
        await until(lambda: child.restarts == 1 and child.state == "ready")
        assert len(groups.marked(str(made.setting.folders.state))) == 1

    run(tmp_path, work, log_=log.Log(clock.SystemClock(), stream=stream), reasons=reasons)
    reason = "its supervision failed: RuntimeError: nobody foresaw this"
    assert f"{reason}; starts again in 0.1s" in reasons
    line = json.loads(stream.getvalue())
    assert (line["event"], line["process"], line["reason"]) == ("supervision_failed", "a", reason)
    assert "in _run_once" in line["traceback"]


def test_a_fault_of_the_supervision_counts_as_a_failure_of_what_is_never_restarted(
    tmp_path: Path,
) -> None:
    process = shape.Process("a", "app", argv=("no\0program",), restart="never")

    async def work(made: engine.Engine) -> None:
        made.start(process, None, None)
        await until(lambda: made.children["a"].state == "ended")
        assert "its supervision failed: ValueError: embedded null" in made.children["a"].reason

    run(tmp_path, work, log_=log.Log(clock.SystemClock(), stream=io.StringIO()))


def test_a_fault_of_a_probe_is_shown_and_the_probe_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_once(monkeypatch, probing, "is_good")
    probe = shape.Probe("exec", command=("true",), period_s=0.05, timeout_s=DEADLINE_S)
    process = python(WAIT, probe=probe, grace_s=0.0)
    reasons: list[str] = []

    async def work(made: engine.Engine) -> None:
        made.start(process, None, None)
        child = made.children["a"]
        await until(lambda: child.state == "ready")
        assert "its supervision failed: RuntimeError: nobody foresaw this" in reasons
        assert child.restarts == 0

    run(tmp_path, work, log_=log.Log(clock.SystemClock(), stream=io.StringIO()), reasons=reasons)


@pytest.mark.parametrize(
    ("restart", "code", "state"),
    [("never", 1, "ended"), ("on-failure", 0, "ended"), ("on-failure", 1, "waiting")],
)
def test_restarts_as_the_policy_says(tmp_path: Path, restart: str, code: int, state: str) -> None:
    process = python(f"raise SystemExit({code})", restart=restart)

    async def work(made: engine.Engine) -> None:
        made.start(process, None, None)
        await until(lambda: made.children["a"].state == state)
        assert f"ended with {code}" in made.children["a"].reason

    run(tmp_path, work)


def test_a_command_that_does_not_exist_says_so(tmp_path: Path) -> None:
    process = shape.Process("a", "app", argv=("/no/such/program",))

    async def work(made: engine.Engine) -> None:
        made.start(process, None, None)
        await until(lambda: made.children["a"].state == "waiting")
        assert "cannot start /no/such/program" in made.children["a"].reason

    run(tmp_path, work)


def test_a_tcp_probe_decides_readiness(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        probe = shape.Probe("tcp", address=address, period_s=0.05, failures=1)
        process = python(WAIT, probe=probe, grace_s=0.0)

        async def work(made: engine.Engine) -> None:
            made.start(process, None, None)
            child = made.children["a"]
            await until(lambda: child.reason == "its probe does not succeed yet")
            listener.listen()
            await until(lambda: child.state == "ready")

        run(tmp_path, work)


@pytest.mark.parametrize(("has_served", "away"), [(True, "1s"), (False, "1.2s")])
def test_who_has_served_is_away_for_a_second_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_served: bool, away: str
) -> None:
    monkeypatch.setattr(backoff, "DELAY_S_MIN", 0.6)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        if has_served:
            listener.listen()
        probe = shape.Probe("tcp", address=address, period_s=0.05, failures=1)
        process = python(WAIT, probe=probe, grace_s=0.0)

        async def work(made: engine.Engine) -> None:
            made.start(process, None, None)
            child = made.children["a"]
            seen = "ready" if has_served else "starting"
            for _ in range(2):
                await until(lambda: child.state == seen and child.identity is not None)
                assert child.identity is not None
                os.kill(child.identity.pid, signal.SIGKILL)
                await until(lambda: child.state == "waiting")
            assert child.reason == f"killed by SIGKILL; starts again in {away}"

        run(tmp_path, work)
