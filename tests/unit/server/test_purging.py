"""A purge that a node cannot take now is told again until it has, or its process is another."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, cast

import pytest

from alongside.base import errors, fake_clock, log
from alongside.engines.local import engine, groups
from alongside.server import purging

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

URL = "http://photos/a"
NODES = ("photos-0-0", "photos-0-1")


class Child:
    """A process of a node."""

    def __init__(self, pid: int) -> None:
        self.identity: groups.Identity | None = groups.Identity(pid, 1)


class Fleet:
    """An engine whose nodes note what they are told, refuse it, or do not answer."""

    def __init__(self) -> None:
        self.children = {name: Child(at) for at, name in enumerate(NODES)}
        self.away: set[str] = set()
        self.refuses = False
        self.others: dict[str, list[str]] = {}
        """Incarnations beside the one in charge, by node."""
        self.told: list[tuple[str, str]] = []

    def beside(self, name: str, *, timeout_s: float) -> list[Door]:
        """Return the doors of other incarnations."""
        assert timeout_s == purging.TIMEOUT_S
        return [Door(self, other) for other in self.others.get(name, [])]

    def admin(self, name: str, *, timeout_s: float) -> Door:
        """Return a node's door."""
        assert timeout_s == purging.TIMEOUT_S
        return Door(self, name)


class Door:
    """What is told to one node."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self._fleet, self._name = fleet, name

    async def purge(self, cache: str, url: str) -> int:
        """Note a purge, or fail as the fleet says."""
        assert cache == "photos"
        if self._name in self._fleet.away:
            raise errors.TemporaryError("away", retry_after_s=1.0)
        if self._fleet.refuses:
            raise errors.PeerError("no URL", side="upstream", retry=False)
        self._fleet.told.append((self._name, url))
        return 1


def run(scenario: Callable[[Fleet, purging.Purges, fake_clock.FakeClock], Awaitable[None]]) -> None:
    async def whole() -> None:
        fleet, clock_ = Fleet(), fake_clock.FakeClock()
        log_ = log.Log(clock_, stream=io.StringIO())
        purges = purging.Purges(cast("engine.Engine", fleet), clock_, log_, lambda _: NODES)
        await scenario(fleet, purges, clock_)

    asyncio.run(whole())


def test_all_nodes_forget_at_once() -> None:
    async def scenario(fleet: Fleet, purges: purging.Purges, _: fake_clock.FakeClock) -> None:
        told = await purges.purge("photos", URL)
        assert told == purging.Told({"photos-0-0": 1, "photos-0-1": 1}, (), ())
        assert (purges.owed(), purges.warnings()) == ({}, [])

    run(scenario)


def test_a_node_that_is_away_is_told_later_and_the_others_once_more() -> None:
    async def scenario(fleet: Fleet, purges: purging.Purges, clock_: fake_clock.FakeClock) -> None:
        fleet.away = {"photos-0-1"}
        told = await purges.purge("photos", URL)
        assert (told.counts, told.owed) == ({"photos-0-0": 1}, ("photos-0-1",))
        (warning,) = purges.warnings()
        assert warning.startswith("photos-0-1 does not answer and may serve what 1 purge should")
        turn = asyncio.create_task(purges.deliver())
        await clock_.advance(purging.RETRY_S)
        await turn
        assert purges.owed() == {"photos-0-1": 1}
        fleet.away, fleet.told = set(), []
        await purges.deliver()
        assert purges.owed() == {}
        assert set(fleet.told) == {("photos-0-0", URL), ("photos-0-1", URL)}

    run(scenario)


@pytest.mark.parametrize("identity", [None, groups.Identity(77, 2)])
def test_a_node_whose_process_was_replaced_owes_nothing(identity: groups.Identity | None) -> None:
    async def scenario(fleet: Fleet, purges: purging.Purges, _: fake_clock.FakeClock) -> None:
        fleet.away = {"photos-0-1"}
        await purges.purge("photos", URL)
        fleet.children["photos-0-1"].identity = identity
        fleet.told = []
        await purges.deliver()
        assert (purges.owed(), fleet.told) == ({}, [])

    run(scenario)


def test_a_node_that_does_not_run_has_forgotten() -> None:
    async def scenario(fleet: Fleet, purges: purging.Purges, _: fake_clock.FakeClock) -> None:
        fleet.children["photos-0-0"].identity = None
        del fleet.children["photos-0-1"]
        told = await purges.purge("photos", URL)
        assert told == purging.Told({"photos-0-0": 0, "photos-0-1": 0}, (), ())

    run(scenario)


def test_what_is_owed_is_bounded_and_more_is_told_of() -> None:
    async def scenario(fleet: Fleet, purges: purging.Purges, _: fake_clock.FakeClock) -> None:
        fleet.away = {"photos-0-1"}
        for at in range(purging.OWED_MAX):
            assert (await purges.purge("photos", f"{URL}{at}")).not_kept == ()
        assert (await purges.purge("photos", f"{URL}0")).owed == ("photos-0-1",)
        told = await purges.purge("photos", f"{URL}/more")
        assert (told.owed, told.not_kept) == ((), ("photos-0-1",))
        assert purges.owed() == {"photos-0-1": purging.OWED_MAX}

    run(scenario)


def test_what_is_no_url_is_refused_and_not_owed() -> None:
    async def scenario(fleet: Fleet, purges: purging.Purges, _: fake_clock.FakeClock) -> None:
        fleet.refuses = True
        with pytest.raises(errors.PeerError, match="no URL"):
            await purges.purge("photos", "?")
        assert purges.owed() == {}

    run(scenario)


def test_while_one_takes_over_both_are_told_and_who_has_not_begun_holds_nothing_up() -> None:
    async def scenario(fleet: Fleet, purges: purging.Purges, _: fake_clock.FakeClock) -> None:
        fleet.others = {NODES[0]: ["predecessor", "successor"]}
        fleet.away = {"successor"}
        told = await purges.purge("photos", URL)
        assert (told.counts, told.owed) == ({NODES[0]: 2, NODES[1]: 1}, ())
        assert ("predecessor", URL) in fleet.told

    run(scenario)
