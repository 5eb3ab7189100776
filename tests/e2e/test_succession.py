"""A data-plane process is replaced on its sockets, and no client can tell."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from tests.e2e import dataplane, fleets, plane, steady, upstream, wire

from alongside import document
from alongside.base import clock, environment, errors
from alongside.engines.local import engine, folders, succession
from alongside.engines.processes import admin, groups
from alongside.plan import building, documents, shape

pytestmark = [fleets.NEEDS_DATA_PLANE, pytest.mark.timeout(120)]
NAME = "photos-router"
REPLACEMENTS = 6
DEADLINE_S = 60.0
HANGS = "#!/bin/sh\nexec sleep 60\n"
FAILS = "#!/bin/sh\nexit 7\n"


class Held:
    """An engine with one router in front of an origin."""

    def __init__(self, made: engine.Engine, origin: str) -> None:
        self.engine = made
        self.origin = origin

    @property
    def address(self) -> wire.Address:
        """Where clients reach the router."""
        host, _, port = str(self.engine.sockets.address(NAME)).rpartition(":")
        return host, int(port)

    @property
    def pid(self) -> int:
        """Of the process in charge."""
        identity = self.engine.children[NAME].identity
        assert identity is not None
        return identity.pid

    def wanted(self) -> documents.Wanted:
        """Return the document for the incarnation in charge."""
        listener = document.Listener(
            name="http", address="{}:{}".format(*self.address), serves="photos"
        )
        route = document.Route(
            name="photos",
            key="request.uri",
            function="ketama",
            shards=(document.Shard(name="photos-0", replicas=("photos-0",)),),
        )
        whole = document.Document(
            schema=1,
            epoch=0,
            generation=0,
            listeners=(listener,),
            nodes=(document.Node(id="photos-0", address=self.origin),),
            routes=(route,),
            admin=document.Admin(path=str(self.engine.admin_path(NAME))),
        )
        return documents._wanted(whole)

    async def start(self) -> None:
        """Start the router and wait until it is ready."""
        outside = shape.Socket(shape.LISTENER, "127.0.0.1", 0)
        process = building._data_plane(NAME, "router", outside, shape.Terms())
        plan = shape.Plan((process,))
        self.engine.adopt(plan, self.engine.prepare(plan))
        wanted = self.wanted()
        content = documents.numbered(wanted.body, epoch=1, generation=1)
        self.engine.start(process, wanted, content)
        await self.until(lambda: self.engine.children[NAME].state == "ready")

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition with a deadline."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110 - looks at threads, which set no event
                await asyncio.sleep(0.01)

    def files(self) -> list[str]:
        """Return the names of admin sockets and documents that are there."""
        places = self.engine.setting.folders
        return sorted(
            path.name
            for path in (*places.runtime.iterdir(), *places.document("x").parent.iterdir())
        )


@contextlib.asynccontextmanager
async def held(folder: Path, origin: str) -> AsyncIterator[Held]:
    places = folders.Folders(folder / "s", folder / "r")
    places.make()
    variables = environment.of_process()
    setting = engine.Setting("p", places, dataplane.binary(), variables)
    made = engine.Engine(setting, clock.SystemClock(), lambda: None)
    try:
        one = Held(made, origin)
        await one.start()
        yield one
    finally:
        await made.close()
    assert not groups.marked(str(places.state))
    assert one.files() == []


def command(pid: int) -> list[str]:
    """Return the words by which a process was started."""
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def echo(got: wire.Message) -> bytes:
    """Answer a request by its target."""
    return wire.answer(got.target.encode())


def check(
    folder: Path, work: Callable[[Held], Awaitable[None]], answer: upstream.Answer | None = None
) -> None:
    """Run a test's work with a router in front of an origin."""

    async def main(origin: str) -> None:
        async with held(folder, origin) as one:
            await work(one)

    with upstream.Upstream.answering(
        answer or (lambda got: wire.answer(got.target.encode()))
    ) as it:
        asyncio.run(asyncio.wait_for(main(it.address), DEADLINE_S))


@pytest.fixture
def folder() -> Iterator[Path]:
    with fleets.short_folder() as path:
        yield path


def test_no_request_fails_while_one_takes_over_after_the_other(folder: Path) -> None:
    async def work(one: Held) -> None:
        pids, doors = [one.pid], [one.engine.admin_path(NAME)]
        with steady.Load(one.address) as load:
            for _ in range(REPLACEMENTS):
                await one.engine.replace(NAME)
                pids.append(one.pid)
                assert f"--standby={doors[-1]}" in command(one.pid)  # whom it follows unasked
                doors.append(one.engine.admin_path(NAME))
                await one.until(load.more(5))
        assert load.failed == []
        assert len(set(pids)) == REPLACEMENTS + 1
        assert one.files() == [f"{NAME}~{REPLACEMENTS}.json", f"{NAME}~{REPLACEMENTS}.sock"]
        assert one.engine.observed()[NAME].document == one.wanted()
        assert len(groups.marked(str(one.engine.setting.folders.state))) == 1

    check(folder, work)


def test_what_is_in_flight_is_finished_by_the_predecessor(folder: Path) -> None:
    release = threading.Event()

    def answer(got: wire.Message) -> bytes:
        if got.target == "/slow":
            release.wait(DEADLINE_S)
        return wire.answer(got.target.encode())

    async def work(one: Held) -> None:
        before = one.engine.children[NAME].identity
        assert before is not None
        with wire.Wire(one.address) as slow:
            slow.send(wire.request("/slow"))
            await one.until(lambda: "/slow" in seen)
            replacing = asyncio.create_task(one.engine.replace(NAME))
            await one.until(lambda: one.pid != before.pid)
            ending = "close"
            while ending == "close":  # let in by the predecessor in the moment before it closed
                with wire.Wire(one.address) as other:
                    got = await asyncio.to_thread(other.ask, "/new")
                ending = got.field("connection") or ""
                assert (got.status, ending) in {(200, "close"), (200, "")}
            assert groups.is_alive(before)
            assert not replacing.done()
            release.set()
            got = await asyncio.to_thread(slow.answer)
            assert (got.status, got.body) == (200, b"/slow")
            await replacing
        assert not groups.is_alive(before)

    seen: list[str] = []

    def noting(got: wire.Message) -> bytes:
        seen.append(got.target)
        return answer(got)

    check(folder, work, noting)


@pytest.mark.parametrize(
    ("program", "why"),
    [(FAILS, "its successor failed: ended with 7"), (HANGS, "its successor was not ready within")],
    ids=["fails", "hangs"],
)
def test_a_successor_that_does_not_start_leaves_the_predecessor(
    folder: Path, program: str, why: str
) -> None:
    async def work(one: Held) -> None:
        before, files, good = one.pid, one.files(), one.engine.setting.binary
        bad = folder / "bad"
        bad.write_text(program)
        bad.chmod(0o755)
        with steady.Load(one.address) as load:
            one.engine.use(bad)
            with pytest.raises(errors.TemporaryError, match=why):
                await one.engine.replace(NAME, ready_s=0.5)
            one.engine.use(good)
        assert load.failed == []
        assert (one.pid, one.files(), one.engine.children[NAME].state) == (before, files, "ready")
        await one.engine.replace(NAME)
        assert one.pid != before

    check(folder, work)


def test_a_process_that_is_stopped_while_it_is_replaced_leaves_nothing(folder: Path) -> None:
    async def work(one: Held) -> None:
        replacing = asyncio.create_task(one.engine.replace(NAME))
        await one.until(lambda: len(one.engine.identities()) == 2)
        one.engine.stop(NAME)
        with pytest.raises(errors.TemporaryError, match="is being stopped"):
            await replacing
        await one.until(lambda: NAME not in one.engine.children)
        assert one.engine.identities() == []

    check(folder, work)


def test_a_successor_that_dies_in_its_first_moment_serves_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(_: admin.Admin) -> None:
        raise errors.TemporaryError("silent", retry_after_s=0.1)

    monkeypatch.setattr(succession, "HAND_OVER_S_MAX", 0.1)
    monkeypatch.setattr(admin.Admin, "serve", silent)

    async def work(one: Held) -> None:
        with steady.Load(one.address) as load:
            await one.engine.replace(NAME)
            await one.until(load.more(1))
        assert load.failed == []
        assert one.engine.children[NAME].restarts == 1

    check(folder, work)


def test_who_stands_by_lets_nobody_in_before_the_word() -> None:
    ok = wire.answer(b"ok")
    with (
        upstream.Upstream.answering(lambda _: ok) as origin,
        socket.create_server(("127.0.0.1", 0)) as listener,
        plane.running(
            plane.document("route", origin.address), "--standby", inherited={"web": listener}
        ) as process,
        wire.Wire(listener.getsockname()) as client,
    ):
        client.send(wire.request("/"))
        assert process.knock("GET", "/readyz")[0] == 200
        assert process.admin("GET", "/snapshot")[1]["stands_by"] is True
        listener.settimeout(wire.TIMEOUT_S)
        taken, _ = listener.accept()  # it is still in the queue, for the one that serves
        taken.close()
        with wire.Wire(listener.getsockname()) as late:
            assert process.admin("POST", "/serve") == (200, {"serving": True})
            assert process.admin("POST", "/serve") == (200, {"serving": True})
            assert late.ask("/").body == b"ok"
        assert process.admin("GET", "/snapshot")[1]["stands_by"] is False


@contextlib.contextmanager
def standing_by(
    origin: str, listener: socket.socket, word: str
) -> Iterator[tuple[plane.Plane, Callable[[], None]]]:
    """Give a process that stands by, and what kills the one that started it."""
    with tempfile.TemporaryDirectory(prefix="plane") as name:
        path = Path(name) / "document.json"
        path.write_text(
            json.dumps(plane.with_admin(plane.document("route", origin), Path(name) / "a.sock"))
        )
        number, program = str(listener.fileno()), str(dataplane.binary())
        words = [sys.executable, "-ISc", dataplane.LAUNCH, number, program]
        with (Path(name) / "stderr.log").open("wb") as log:
            starter = subprocess.Popen(
                ["sh", "-c", '"$@" & echo $!; wait', "sh", *words, word, "--document", path],
                pass_fds=[listener.fileno()],
                env={**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web"},
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert starter.stdout is not None
        with starter.stdout:
            pid = int(starter.stdout.readline())
        try:
            made = plane.Plane(Path(name), starter)
            plane.await_start(made)
            yield made, starter.kill
        finally:
            os.kill(pid, signal.SIGKILL)
            starter.kill()
            starter.wait()


def test_who_stands_by_serves_when_the_one_that_started_it_is_gone(tmp_path: Path) -> None:
    with (
        upstream.Upstream.answering(lambda _: wire.answer(b"ok")) as origin,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        for word in ("--standby", f"--standby={tmp_path / 'gone'}"):
            with (
                standing_by(origin.address, listener, word) as (_, kill_starter),
                wire.Wire(listener.getsockname()) as client,
            ):
                client.send(wire.request("/"))
                kill_starter()
                assert client.answer().body == b"ok"


def test_who_takes_over_unasked_ends_its_predecessor_first() -> None:
    with (
        upstream.Upstream.answering(lambda _: wire.answer(b"old")) as old,
        upstream.Upstream.answering(lambda _: wire.answer(b"new")) as new,
        socket.create_server(("127.0.0.1", 0)) as listener,
        plane.running(plane.document("route", old.address), inherited={"web": listener}) as before,
        standing_by(new.address, listener, f"--standby={before.folder / 'a.sock'}") as it,
    ):
        after, kill_starter = it
        came = [wire.fetch(listener.getsockname(), "/").body]

        def is_over() -> bool:
            came.append(wire.fetch(listener.getsockname(), "/").body)
            return came[-1] == b"new"

        kill_starter()
        wire.eventually(is_over, "it takes over")
        assert before.process.wait(timeout=15) == 0
        assert came == sorted(came, reverse=True)  # never both
        draining, unasked = before.told("draining"), after.told("serving_unasked")
        assert (len(draining), len(unasked)) == (1, 1)


def test_who_takes_over_unasked_waits_not_for_ever_for_a_frozen_predecessor() -> None:
    with (
        upstream.Upstream.answering(lambda _: wire.answer(b"ok")) as origin,
        socket.create_server(("127.0.0.1", 0)) as listener,
        plane.running(plane.document("route", origin.address)) as frozen,
        standing_by(origin.address, listener, f"--standby={frozen.folder / 'a.sock'}") as it,
        wire.Wire(listener.getsockname()) as client,
    ):
        client.send(wire.request("/"))
        frozen.process.send_signal(signal.SIGSTOP)
        try:
            it[1]()
            assert client.answer().body == b"ok"
            assert it[0].told("predecessor_silent")
        finally:
            frozen.process.send_signal(signal.SIGCONT)
        assert frozen.process.wait(timeout=15) == 0  # it was told all the same


def test_who_drains_says_that_it_is_not_the_one_to_forget() -> None:
    with upstream.Upstream.answering(lambda _: wire.answer(b"ok")) as origin:
        contents = plane.document("cache", origin.address)
        contents["listeners"] = [
            {"name": "web", "address": "127.0.0.1:0", "serves": "main", "inner": ["127.0.0.1/32"]}
        ]
        with plane.running(contents) as process, wire.Wire(process.address) as client:
            assert client.ask("/", "x-alongside-ask: purge", method="POST").status == 200
            process.terminate()
            process.told("draining")
            got = client.ask("/", "x-alongside-ask: purge", method="POST")
            assert (got.status, got.field("connection")) == (503, "close")
