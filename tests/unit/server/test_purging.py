"""A purge that a node cannot take now is told again until it has, or its process is another."""

from __future__ import annotations

import asyncio
import io
import itertools
from typing import TYPE_CHECKING, cast

import pytest

from alongside.base import errors, fake_clock, log
from alongside.engines.processes import groups
from alongside.server import purging

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from alongside.engines.local import engine

URL = "http://photos/a"
NODES = ("photos-0-0", "photos-0-1")
URLS = [f"{URL}{at}" for at in range(3)]
SLOW_S = 1.0
SOON_S = 2 * purging.RETRY_S
assert SOON_S < purging.TIMEOUT_S


class Child:
    """A process of a node."""

    def __init__(self, pid: int) -> None:
        self.identity: groups.Identity | None = groups.Identity(pid, 1)


class Fleet:
    """An engine whose nodes note what they are told, refuse it, or do not answer."""

    def __init__(self, clock_: fake_clock.FakeClock, nodes: Sequence[str]) -> None:
        self.clock = clock_
        self.children = {name: Child(at) for at, name in enumerate(nodes)}
        self.away: set[str] = set()
        self.frozen: set[str] = set()
        """They take the connection, and answer nothing."""
        self.slow: set[str] = set()
        """They forget at once, and say so later."""
        self.broken: set[str] = set()
        """Telling them meets a fault that nobody foresaw."""
        self.refuses: Collection[str] = frozenset()
        self.tried: list[tuple[str, float]] = []
        """Who was asked, and when."""
        self.asked = 0
        self.asked_max = 0
        """How many were asked at once."""
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
        fleet = self._fleet
        fleet.tried.append((self._name, fleet.clock.monotonic_s()))
        fleet.asked += 1
        fleet.asked_max = max(fleet.asked_max, fleet.asked)
        try:
            await self._answer(url)
        finally:
            fleet.asked -= 1
        return 1

    async def _answer(self, url: str) -> None:
        fleet = self._fleet
        if self._name in fleet.frozen:
            await fleet.clock.sleep(purging.TIMEOUT_S)
        if self._name in fleet.away | fleet.frozen:
            raise errors.TemporaryError("away", retry_after_s=1.0)
        if self._name in fleet.broken:
            raise KeyError("lost")
        if self._name in fleet.refuses:
            raise errors.PeerError("no URL", side="upstream", retry=False)
        fleet.told.append((self._name, url))
        if self._name in fleet.slow:
            await fleet.clock.sleep(SLOW_S)


def run(
    scenario: Callable[[Fleet, purging.Purges, fake_clock.FakeClock], Awaitable[None]],
    nodes: Sequence[str] = NODES,
) -> None:
    """Play a scenario while what is owed is delivered."""

    async def deliver(purges: purging.Purges) -> None:
        while True:
            await purges.deliver()

    async def whole() -> None:
        clock_ = fake_clock.FakeClock()
        fleet, log_ = Fleet(clock_, nodes), log.Log(clock_, stream=io.StringIO())
        purges = purging.Purges(cast("engine.Engine", fleet), clock_, log_, lambda _: nodes)
        delivery = asyncio.create_task(deliver(purges))
        await scenario(fleet, purges, clock_)
        assert not delivery.done()
        delivery.cancel()
        with pytest.raises(asyncio.CancelledError):
            await delivery

    asyncio.run(whole())


async def purge(purges: purging.Purges, clock_: fake_clock.FakeClock, *urls: str) -> None:
    """Purge URLs one after the other, while time goes on."""
    for url in urls:
        task = asyncio.create_task(purges.purge("photos", url))
        await clock_.advance(0)
        if not task.done():
            await clock_.advance(purging.TIMEOUT_S)
        await task


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
        await clock_.advance(60.0)
        assert purges.owed() == {"photos-0-1": 1}
        fleet.away, fleet.told = set(), []
        await clock_.advance(purging.RETRY_S_MAX)
        assert (purges.owed(), purges.warnings()) == ({}, [])
        assert fleet.told == [("photos-0-1", URL), ("photos-0-0", URL)]

    run(scenario)


def test_a_frozen_node_delays_no_other() -> None:
    async def scenario(fleet: Fleet, purges: purging.Purges, clock_: fake_clock.FakeClock) -> None:
        frozen, *others = nodes
        fleet.frozen, fleet.away = {frozen}, {*others}
        await purge(purges, clock_, *URLS)
        assert purges.owed() == dict.fromkeys(nodes, len(URLS))
        fleet.away, fleet.told = set(), []
        await clock_.advance(purging.RETRY_S_MAX)
        assert purges.owed() == {frozen: len(URLS)}
        for node in others:
            told = [url for name, url in fleet.told if name == node]
            assert told[: len(URLS)] == URLS, "not in order"
        fleet.frozen, fleet.told = set(), []
        await clock_.advance(purging.TIMEOUT_S + purging.RETRY_S_MAX)
        assert purges.owed() == {}
        for node in nodes:
            assert [url for name, url in fleet.told if name == node] == URLS

    nodes = [f"photos-0-{at}" for at in range(3)]
    run(scenario, nodes)


def test_who_is_only_told_once_more_is_not_warned_of_and_its_answer_moves_nobody() -> None:
    async def scenario(fleet: Fleet, purges: purging.Purges, clock_: fake_clock.FakeClock) -> None:
        fleet.away = {"photos-0-1"}
        await purges.purge("photos", URL)
        fleet.away, fleet.told = set(), []
        while not fleet.told:
            await clock_.advance(0.1)
        assert purges.warnings() == []
        await clock_.advance(60.0)
        assert fleet.told == [("photos-0-1", URL), ("photos-0-0", URL)]

    run(scenario)


def test_each_node_is_told_again_after_waits_of_its_own_that_grow_to_a_limit() -> None:
    async def scenario(fleet: Fleet, purges: purging.Purges, clock_: fake_clock.FakeClock) -> None:
        fleet.away = set(NODES)
        await purges.purge("photos", URL)
        fleet.tried = []
        await clock_.advance(60.0)
        for node in NODES:
            moments = [moment_s for name, moment_s in fleet.tried if name == node]
            pairs = itertools.pairwise(moments)
            waits = [round(after - before, 3) for before, after in pairs]
            assert waits[:2] == [purging.RETRY_S, 2 * purging.RETRY_S]
            assert (waits == sorted(waits), waits[-1]) == (True, purging.RETRY_S_MAX)
        fleet.away = {NODES[0]}
        await clock_.advance(purging.RETRY_S_MAX)
        fleet.away, fleet.tried = set(NODES), []
        await purges.purge("photos", f"{URL}/more")
        assert [name for name, _ in fleet.tried].count(NODES[1]) == 1
        await clock_.advance(SOON_S)
        again = [name for name, _ in fleet.tried].count(NODES[1])
        assert again >= 3, "who answered in between is waited for as if it never had"

    run(scenario)


def test_few_are_told_at_once() -> None:
    async def scenario(fleet: Fleet, purges: purging.Purges, clock_: fake_clock.FakeClock) -> None:
        fleet.frozen = set(nodes)
        await purge(purges, clock_, URL)
        fleet.asked_max = 0
        await clock_.advance(30.0)
        assert fleet.asked_max == purging.TOGETHER_MAX
        assert len({name for name, _ in fleet.tried}) == len(nodes)

    nodes = [f"photos-{at}-0" for at in range(2 * purging.TOGETHER_MAX)]
    run(scenario, nodes)


def test_a_fault_while_one_is_told_delays_no_other_and_it_is_told_again() -> None:
    async def scenario(fleet: Fleet, purges: purging.Purges, clock_: fake_clock.FakeClock) -> None:
        fleet.away = set(NODES)
        await purges.purge("photos", URL)
        fleet.away, fleet.broken, fleet.told = set(), {NODES[0]}, []
        await clock_.advance(30.0)
        assert (purges.owed(), fleet.told) == ({NODES[0]: 1}, [(NODES[1], URL)])
        fleet.broken = set()
        await clock_.advance(purging.RETRY_S_MAX)
        assert purges.owed() == {}

    run(scenario)


def test_what_is_owed_anew_while_it_is_told_is_told_again() -> None:
    async def scenario(fleet: Fleet, purges: purging.Purges, clock_: fake_clock.FakeClock) -> None:
        fleet.away = {NODES[1]}
        await purges.purge("photos", URL)
        fleet.away, fleet.slow, fleet.told = set(), {NODES[1]}, []
        while not fleet.told:  # it has forgotten, and its answer is on the way
            await clock_.advance(0.1)
        fleet.away, fleet.slow = {NODES[1]}, set()
        assert (await purges.purge("photos", URL)).owed == (NODES[1],)
        await clock_.advance(SLOW_S)
        assert purges.owed()[NODES[1]] == 1
        fleet.away, fleet.told = set(), []
        await clock_.advance(purging.RETRY_S_MAX)
        assert ((NODES[1], URL) in fleet.told, purges.owed()) == (True, {})

    run(scenario)


@pytest.mark.parametrize("identity", [None, groups.Identity(77, 2)])
def test_a_node_whose_process_was_replaced_owes_nothing(identity: groups.Identity | None) -> None:
    async def scenario(fleet: Fleet, purges: purging.Purges, clock_: fake_clock.FakeClock) -> None:
        fleet.away = {"photos-0-1"}
        await purges.purge("photos", URL)
        fleet.children["photos-0-1"].identity = identity
        fleet.told = []
        await clock_.advance(purging.RETRY_S)
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
        fleet.refuses = set(NODES)
        with pytest.raises(errors.PeerError, match="no URL"):
            await purges.purge("photos", "?")
        assert purges.owed() == {}

    run(scenario)


def test_what_one_refuses_is_owed_to_who_is_away() -> None:
    async def scenario(fleet: Fleet, purges: purging.Purges, clock_: fake_clock.FakeClock) -> None:
        fleet.refuses, fleet.away = {NODES[0]}, {NODES[1]}
        with pytest.raises(errors.PeerError):
            await purges.purge("photos", URL)
        assert purges.owed() == {NODES[1]: 1}

    run(scenario)


def test_while_one_takes_over_both_are_told_and_who_has_not_begun_holds_nothing_up() -> None:
    async def scenario(fleet: Fleet, purges: purging.Purges, _: fake_clock.FakeClock) -> None:
        fleet.others = {NODES[0]: ["predecessor", "successor"]}
        fleet.away = {"successor"}
        told = await purges.purge("photos", URL)
        assert (told.counts, told.owed) == ({NODES[0]: 2, NODES[1]: 1}, ())
        assert ("predecessor", URL) in fleet.told

    run(scenario)
