"""A child is started with its sockets, restarted, and ended with its whole group."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from alongside.base import clock, environment
from alongside.engines.local import children, engine, folders, groups
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
WAIT = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"


def run(tmp_path: Path, work: Callable[[engine.Engine], Awaitable[None]]) -> None:
    async def main() -> None:
        places = folders.Folders(tmp_path / "s", tmp_path / "r")
        places.make()
        setting = engine.Setting("p", places, Path("/none"), environment.of_process())
        made = engine.Engine(setting, clock.SystemClock(), lambda: None)
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
        made.adopt(made.prepare(shape.Plan((process,))))
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
            child: children.Child = made.children["a"]
            await until(lambda: child.reason == "its probe does not succeed yet")
            listener.listen()
            await until(lambda: child.state == "ready")

        run(tmp_path, work)
