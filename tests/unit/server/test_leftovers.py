"""A lock says who holds a project; a supervisor that does not answer is ended all the same."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from alongside.base import clock, fake_clock
from alongside.engines.local import folders
from alongside.engines.pods import runtime
from alongside.engines.processes import cgroups, groups
from alongside.server import journal, leftovers

DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); input()"
OBEDIENT = "print(flush=True); input()"


@pytest.fixture
def places(tmp_path: Path) -> folders.Folders:
    made = folders.Folders(tmp_path / "state", tmp_path / "run")
    made.make()
    return made


@contextlib.contextmanager
def running(code: str) -> Iterator[groups.Identity]:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = groups.identity(process.pid)
        assert found is not None
        yield found
        process.kill()


def wait_for_death(child: groups.Identity) -> None:
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)


def test_only_while_it_is_held_the_lock_names_its_holder(places: folders.Folders) -> None:
    assert leftovers.holder(places) is None
    with leftovers.locked(places) as is_ours:
        assert (is_ours, leftovers.holder(places)) == (True, None)
        leftovers.sign(places)
        assert leftovers.holder(places) == groups.identity(os.getpid())
        with leftovers.locked(places) as is_ours_too:
            assert not is_ours_too
        assert leftovers.holder(places) == groups.identity(os.getpid())
    assert leftovers.holder(places) is None


@pytest.mark.parametrize("content", ["", "1", "a b", "1 2"])
def test_a_lock_that_names_no_living_process_has_no_holder(
    places: folders.Folders, content: str
) -> None:
    places.lock.write_text(content)
    assert leftovers.holder(places) is None


class Nothing:
    """No pod is left but the process, dead or alive, that one is known by."""

    def __init__(self, holder: groups.Identity) -> None:
        self.holder = holder

    @contextlib.contextmanager
    def traced(self, name: str) -> Iterator[runtime.Traced]:
        """Name the holder."""
        yield runtime.Traced(holders=frozenset({self.holder}))

    async def sweep(self, name: str) -> int:
        """Find nothing."""
        return 0


@pytest.mark.parametrize("is_alive", [True, False])
def test_only_the_living_are_counted(places: folders.Folders, is_alive: bool) -> None:
    journal.write(places.journal, journal.Journal(1, (), engine="namespaces"))
    with running(OBEDIENT) as known_by:
        if not is_alive:
            os.kill(known_by.pid, signal.SIGKILL)
            wait_for_death(known_by)
        count = asyncio.run(leftovers.end(places, clock.SystemClock(), Nothing(known_by)))
    assert count == int(is_alive)


def test_what_was_being_tried_before_there_was_an_engine_goes_too(places: folders.Folders) -> None:
    own = cgroups.Cgroups.of_project(places.state)
    if not own.places:
        pytest.skip("no cgroups may be made here")
    tried = own.places[0].parent / f"{own._prefix}try1"
    tried.mkdir()
    with running(OBEDIENT) as known_by:
        asyncio.run(leftovers.end(places, clock.SystemClock(), Nothing(known_by)))
    assert not tried.exists()


def test_a_supervisor_that_obeys_is_not_killed(places: folders.Folders) -> None:
    with running(OBEDIENT) as told:
        assert asyncio.run(leftovers.tell(places, told, clock.SystemClock()))
        assert not groups.is_alive(told)


def test_a_deaf_supervisor_is_killed_when_nothing_ended_for_its_grace(
    places: folders.Folders,
) -> None:
    async def scenario() -> None:
        clock_ = fake_clock.FakeClock()
        with running(DEAF) as told, running(DEAF) as child:
            journal.write(places.journal, journal.Journal(1, (child,), grace_s=60.0))
            task = asyncio.create_task(leftovers.tell(places, told, clock_))
            await clock_.advance(50.0 + leftovers.PATIENCE_S)
            os.kill(child.pid, signal.SIGKILL)
            await asyncio.to_thread(wait_for_death, child)
            await clock_.advance(50.0 + leftovers.PATIENCE_S)
            assert groups.is_alive(told)
            await clock_.advance(20.0)
            assert await task is False
            await asyncio.to_thread(wait_for_death, told)

    asyncio.run(scenario())
