"""The balancer of Services follows what it is told, and its death refuses no connection."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from alongside.base import clock, errors, log
from alongside.engines.pods import balancing
from alongside.engines.processes import groups

BINARY = Path(sys.executable).parent / "alongside-dataplane"
DEADLINE_S = 30.0


class Backend:
    """A server that says its name to who connects, and then whatever it hears."""

    def __init__(self, name: str) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.name = name
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        """Serve until the listener is closed."""
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(peer,), daemon=True).start()

    def answer(self, peer: socket.socket) -> None:
        """Serve one peer."""
        with peer, contextlib.suppress(ConnectionError):  # a killed balancer resets
            peer.sendall(self.name.encode())
            while content := peer.recv(100):
                peer.sendall(content)


def door() -> balancing.Door:
    bound = socket.create_server(("127.0.0.1", 0))
    return balancing.Door(f"127.0.0.1:{bound.getsockname()[1]}", bound)


def connect(one: balancing.Door) -> socket.socket:
    host, _, port = one.address.rpartition(":")
    return socket.create_connection((host, int(port)), DEADLINE_S)


def ask(one: balancing.Door) -> str:
    """Return who answers at a door; empty where the connection is reset."""
    try:
        with connect(one) as peer:
            return peer.recv(100).decode()
    except ConnectionResetError:
        return ""


async def until(is_so: Callable[[], bool]) -> None:
    """Return when something is so; fail where that takes too long."""

    def wait() -> None:
        deadline_s = time.monotonic() + DEADLINE_S
        while not is_so():
            assert time.monotonic() < deadline_s
            time.sleep(0.01)

    await asyncio.to_thread(wait)


def run(
    tmp_path: Path,
    work: Callable[[balancing.Balancer], Awaitable[None]],
    *,
    binary: Path = BINARY,
    prefix: tuple[str, ...] = (),
) -> None:
    """Do the work of a test with a balancer, of which nothing is left behind."""

    async def whole() -> None:
        home, folder = tmp_path / "s", tmp_path / "r"
        home.mkdir()
        folder.mkdir()
        setting = balancing.Setting(
            "p", home, folder, tmp_path / "log", binary, dict(os.environ), prefix
        )
        clock_ = clock.SystemClock()
        made = balancing.Balancer(setting, clock_, log.Log(clock_, stream=io.StringIO()))
        try:
            await work(made)
        finally:
            await made.close()
        assert not groups.marked(str(home))
        assert list(folder.iterdir()) == []

    asyncio.run(whole())


def test_answers_with_a_backend_and_follows_changes_in_the_same_process(tmp_path: Path) -> None:
    async def work(made: balancing.Balancer) -> None:
        one, two, front = Backend("one"), Backend("two"), door()
        assert made.identity == ""
        await made.put([balancing.Front("web:80", (front,), (one.address,))])
        pid = made.identity
        assert await asyncio.to_thread(ask, front) == "one"
        await made.put([balancing.Front("web:80", (front,), (two.address,))])
        assert await asyncio.to_thread(ask, front) == "two"
        await made.put([balancing.Front("web:80", (front,), ())])
        assert await asyncio.to_thread(ask, front) == ""
        assert made.identity == pid

    run(tmp_path, work)


def test_a_front_may_have_several_doors_and_backends(tmp_path: Path) -> None:
    async def work(made: balancing.Balancer) -> None:
        backends, doors = [Backend("one"), Backend("two")], (door(), door())
        await made.put([balancing.Front("web:80", doors, tuple(one.address for one in backends))])
        seen: set[str] = set()
        for one in doors * 20:
            seen.add(await asyncio.to_thread(ask, one))
        assert seen == {"one", "two"}

    run(tmp_path, work)


def test_connections_stay_when_their_backend_or_process_is_replaced(tmp_path: Path) -> None:
    async def work(made: balancing.Balancer) -> None:
        one, two, first, second = Backend("one"), Backend("two"), door(), door()
        await made.put([balancing.Front("a:1", (first,), (one.address,))])
        pid = made.identity
        with await asyncio.to_thread(connect, first) as peer:
            assert peer.recv(100) == b"one"
            await made.put(
                [
                    balancing.Front("a:1", (first,), (two.address,)),
                    balancing.Front("b:1", (second,), (two.address,)),
                ]
            )
            assert made.identity != pid
            assert await asyncio.to_thread(ask, first) == "two"
            assert await asyncio.to_thread(ask, second) == "two"
            peer.sendall(b"still there")
            assert await asyncio.to_thread(peer.recv, 100) == b"still there"
        await until(lambda: groups.entry(int(pid)) is None)

    run(tmp_path, work)


def test_refuses_no_connection_when_it_is_killed_or_replaced(tmp_path: Path) -> None:
    async def work(made: balancing.Balancer) -> None:
        one, front = Backend("one"), door()
        fronts = [balancing.Front("a:1", (front,), (one.address,))]
        await made.put(fronts)
        is_over = threading.Event()
        refused: list[str] = []
        asked = 0

        def insist() -> None:
            nonlocal asked
            while not is_over.is_set():
                try:
                    connect(front).close()
                    asked += 1
                except OSError as error:
                    refused.append(str(error))

        client = threading.Thread(target=insist)
        client.start()
        try:
            for turn in range(3):
                pid = int(made.identity)
                os.kill(pid, signal.SIGKILL)
                await until(lambda pid=pid: made.identity not in {"", str(pid)})  # type: ignore[misc]
                fronts.append(balancing.Front(f"more:{turn}", (door(),), ()))
                await made.put(fronts)
                assert await asyncio.to_thread(ask, front) == "one"
        finally:
            is_over.set()
            await asyncio.to_thread(client.join)
        assert asked > 0
        assert refused == []

    run(tmp_path, work)


def test_a_door_that_no_front_has_any_more_refuses(tmp_path: Path) -> None:
    async def work(made: balancing.Balancer) -> None:
        one, kept, gone = Backend("one"), door(), door()
        both = (kept, gone)
        await made.put([balancing.Front("a:1", both, (one.address,))])
        await made.put([balancing.Front("a:1", (kept,), (one.address,))])
        assert await asyncio.to_thread(ask, kept) == "one"
        with pytest.raises(ConnectionRefusedError):
            await asyncio.to_thread(connect, gone)
        host, _, port = gone.address.rpartition(":")
        again = balancing.Door(gone.address, socket.create_server((host, int(port))))
        await made.put([balancing.Front("a:1", (kept, again), (one.address,))])
        assert await asyncio.to_thread(ask, again) == "one"

    run(tmp_path, work)


def test_the_process_itself_may_bind_a_door_also_in_a_successor(tmp_path: Path) -> None:
    async def work(made: balancing.Balancer) -> None:
        free = door()
        assert free.socket is not None
        free.socket.close()
        own, one = balancing.Door(free.address), Backend("one")
        await made.put([balancing.Front("a:1", (own,), (one.address,))])
        assert await asyncio.to_thread(ask, own) == "one"
        pid, beside = made.identity, door()
        await made.put([balancing.Front("a:1", (own, beside), (one.address,))])
        assert made.identity != pid
        assert await asyncio.to_thread(ask, own) == "one"
        assert await asyncio.to_thread(ask, beside) == "one"

    run(tmp_path, work)


def test_ends_where_there_is_no_front_and_begins_again(tmp_path: Path) -> None:
    async def work(made: balancing.Balancer) -> None:
        one = Backend("one")
        for _ in range(2):
            front = door()
            await made.put([balancing.Front("a:1", (front,), (one.address,))])
            pid = int(made.identity)
            assert await asyncio.to_thread(ask, front) == "one"
            await made.put([])
            assert made.identity == ""
            await until(lambda pid=pid: groups.entry(pid) is None)  # type: ignore[misc]
            with pytest.raises(ConnectionRefusedError):
                await asyncio.to_thread(connect, front)

    run(tmp_path, work)


def test_of_many_that_wait_only_the_last_is_carried_out(tmp_path: Path) -> None:
    async def work(made: balancing.Balancer) -> None:
        backends = [Backend(str(number)) for number in range(20)]
        front = door()
        await asyncio.gather(
            *(made.put([balancing.Front("a:1", (front,), (one.address,))]) for one in backends)
        )
        assert await asyncio.to_thread(ask, front) == "19"

    run(tmp_path, work)


def test_what_it_cannot_do_leaves_what_it_does(tmp_path: Path) -> None:
    async def work(made: balancing.Balancer) -> None:
        one, front, new = Backend("one"), door(), door()
        await made.put([balancing.Front("a:1", (front,), (one.address,))])
        with pytest.raises(errors.AlongsideError):
            await made.put([balancing.Front("no name", (front, new), (one.address,))])
        assert await asyncio.to_thread(ask, front) == "one"
        assert new.socket is not None
        assert new.socket.fileno() >= 0
        new.socket.close()
        await made.put([balancing.Front("a:1", (front,), (one.address,))])
        assert await asyncio.to_thread(ask, front) == "one"

    run(tmp_path, work)


@pytest.mark.parametrize("binary", ["/none", "/bin/false"])
def test_says_that_there_is_no_balancer(tmp_path: Path, binary: str) -> None:
    async def work(made: balancing.Balancer) -> None:
        front = door()
        with pytest.raises(errors.PermanentError):
            await made.put([balancing.Front("a:1", (front,), ())])
        assert made.identity == ""
        assert front.socket is not None
        front.socket.close()

    run(tmp_path, work, binary=Path(binary))


def test_who_is_interrupted_in_a_succession_forgets_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balancing, "EMPTY_S", DEADLINE_S)

    async def work(made: balancing.Balancer) -> None:
        kept, gone, new = door(), door(), door()
        await made.put([balancing.Front("a:1", (kept, gone), ())])
        pid = int(made.identity)
        os.kill(pid, signal.SIGSTOP)
        try:
            with await asyncio.to_thread(connect, gone):  # nobody accepts it
                putting = asyncio.create_task(made.put([balancing.Front("a:1", (kept, new), ())]))
                await until(lambda: made.identity != str(pid))
                putting.cancel()
                await asyncio.wait([putting])
            await made.close()
            assert groups.entry(pid) is None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert new.socket is not None
        new.socket.close()

    run(tmp_path, work)


def test_who_is_interrupted_at_a_start_forgets_no_process(tmp_path: Path) -> None:
    binary = tmp_path / "never-ready"
    binary.write_text("#!/bin/sh\nexec sleep 600\n")
    binary.chmod(0o755)

    async def work(made: balancing.Balancer) -> None:
        front = door()
        putting = asyncio.create_task(made.put([balancing.Front("a:1", (front,), ())]))
        await until(lambda: bool(groups.marked(str(tmp_path / "s"))))
        left = groups.marked(str(tmp_path / "s"))
        putting.cancel()
        await asyncio.wait([putting])
        try:
            assert not groups.marked(str(tmp_path / "s"))
        finally:
            for one in left:
                groups.send(one.identity, signal.SIGKILL)
        assert front.socket is not None
        front.socket.close()

    run(tmp_path, work, binary=binary)


def test_words_before_the_binary_end_as_it(tmp_path: Path) -> None:
    async def work(made: balancing.Balancer) -> None:
        one, front = Backend("one"), door()
        await made.put([balancing.Front("a:1", (front,), (one.address,))])
        assert await asyncio.to_thread(ask, front) == "one"
        words = await asyncio.to_thread(Path(f"/proc/{made.identity}/cmdline").read_bytes)
        assert words.split(b"\0")[0].endswith(b"alongside-dataplane")

    run(tmp_path, work, prefix=("env", "--"))


def test_many_successions_leave_few_processes(tmp_path: Path) -> None:
    async def work(made: balancing.Balancer) -> None:
        one, doors, peers = Backend("one"), [door()], []
        for _ in range(balancing.PREDECESSORS_MAX + 4):
            await made.put([balancing.Front("a:1", tuple(doors), (one.address,))])
            peers.append(await asyncio.to_thread(connect, doors[0]))
            assert await asyncio.to_thread(peers[-1].recv, 100) == b"one"
            doors.append(door())
        count = len(groups.marked(str(tmp_path / "s")))
        assert count == balancing.PREDECESSORS_MAX + 1
        last = doors.pop()
        assert last.socket is not None
        last.socket.close()
        for peer in peers:
            peer.close()

    run(tmp_path, work)
