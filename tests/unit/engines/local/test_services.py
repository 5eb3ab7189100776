"""A runtime is told of ready pods until it takes it, and pods wait until it knows the names."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from tests.unit.engines.pods import bare

from alongside.base import errors, fake_clock, log
from alongside.engines.local import services
from alongside.engines.pods import runtime
from alongside.plan import pods

WEB = pods.Service(
    "web",
    (pods.ServicePort(80), pods.ServicePort(81)),
    (
        (pods.Endpoint("a", 8000), pods.Endpoint("b", 8000)),
        (pods.Endpoint("a", 8001),),
    ),
)


@pytest.mark.parametrize(
    ("addresses", "ready", "announces", "expected"),
    [
        ({}, {"a"}, False, ((), ())),
        (
            {"a": "10.0.0.1", "b": "10.0.0.2"},
            {"a"},
            False,
            (("10.0.0.1:8000",), ("10.0.0.1:8001",)),
        ),
        (
            {"a": "10.0.0.1", "b": "10.0.0.2"},
            {"b"},
            True,
            (("10.0.0.1:8000", "10.0.0.2:8000"), ("10.0.0.1:8001",)),
        ),
    ],
)
def test_a_service_sends_to_ready_pods_or_to_all_that_have_an_address(
    addresses: Mapping[str, str],
    ready: set[str],
    announces: bool,
    expected: tuple[tuple[str, ...], ...],
) -> None:
    service = pods.Service("web", WEB.ports, WEB.endpoints, announces_unready=announces)
    assert services.served([service], addresses, ready) == [runtime.Served(service, expected)]


def test_pods_that_are_to_go_stay_behind_their_services_until_they_do() -> None:
    new = pods.Service("web", WEB.ports[:1], ((pods.Endpoint("c", 8000),),))
    (made,) = services.carried([WEB], [new], {"b"})
    assert made.endpoints == ((pods.Endpoint("c", 8000), pods.Endpoint("b", 8000)),)
    assert services.carried([WEB], [new], set()) == (new,)
    assert services.carried([], [new], {"b"}) == (new,)


class Telling(bare.Runtime):
    """A runtime that remembers what it was told, and holds or refuses it."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[runtime.Served, ...]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    def once(self) -> None:
        """Let one telling through the gate, which is closed."""
        self.gate.set()
        self.gate.clear()

    async def serve(self, services: Sequence[runtime.Served]) -> None:
        """Remember it, after the gate."""
        await self.gate.wait()
        self.faults.meet("serve")
        self.told.append(tuple(services))


def made(running: Telling, clock_: fake_clock.FakeClock) -> services.Services:
    log_ = log.Log(clock_, stream=io.StringIO())
    return services.Services(running, clock_, lambda: None, log_)


FIRST = runtime.Served(WEB, ((), ()))
SECOND = runtime.Served(WEB, (("10.0.0.1:8000",), ()))


def test_what_a_runtime_refuses_is_told_of_and_tried_again() -> None:
    async def scenario() -> None:
        clock_, running = fake_clock.FakeClock(), Telling()
        running.faults.put("serve", errors.PermanentError("no room"), KeyError("x"))
        known = made(running, clock_)
        known.want([FIRST])
        await clock_.advance(0)
        assert known.warnings() == ["Services do not all answer: no room; it is tried again"]
        await asyncio.wait_for(known.named(), 1)  # pods run all the same
        await clock_.advance(services.RETRY_S)
        assert "KeyError" in known.warnings()[0]
        await clock_.advance(services.RETRY_S)
        assert (known.warnings(), running.told) == ([], [(FIRST,)])
        await known.close()

    asyncio.run(scenario())


def test_changes_while_a_runtime_works_are_told_once_and_the_last_one() -> None:
    async def scenario() -> None:
        clock_, running = fake_clock.FakeClock(), Telling()
        known = made(running, clock_)
        running.gate.clear()
        known.want([FIRST])
        await clock_.advance(0)
        naming = asyncio.create_task(known.named())
        known.want([])
        known.want([SECOND])
        await clock_.advance(0)
        assert not naming.done()
        running.gate.set()
        await clock_.advance(0)
        await naming
        await known.settled()
        assert running.told == [(FIRST,), (SECOND,)]
        await known.close()

    asyncio.run(scenario())


def test_a_pod_that_goes_is_forgotten_as_soon_as_a_runtime_took_that_whatever_came_since() -> None:
    async def scenario() -> None:
        clock_, running = fake_clock.FakeClock(), Telling()
        known = made(running, clock_)
        known.want([SECOND])
        await clock_.advance(0)
        running.gate.clear()
        known.want([FIRST])
        await clock_.advance(0)
        settling = asyncio.create_task(known.settled())
        await clock_.advance(0)
        known.want([replace(FIRST, claimed=frozenset({81}))])
        running.once()
        await clock_.advance(0)
        assert running.told == [(SECOND,), (FIRST,)]
        assert settling.done(), "it waits for what others want since"
        await known.close()

    asyncio.run(scenario())


def test_a_pod_that_goes_is_not_taken_for_forgotten_by_what_was_told_before() -> None:
    async def scenario() -> None:
        clock_, running = fake_clock.FakeClock(), Telling()
        known = made(running, clock_)
        running.gate.clear()
        known.want([SECOND])
        await clock_.advance(0)
        known.want([FIRST])
        settling = asyncio.create_task(known.settled())
        running.once()
        await clock_.advance(0)
        assert running.told == [(SECOND,)]
        assert not settling.done()
        running.once()
        await clock_.advance(0)
        assert running.told == [(SECOND,), (FIRST,)]
        await settling
        await known.close()

    asyncio.run(scenario())


def test_a_number_that_a_pod_asks_for_is_told_of_before_the_pod_is_made() -> None:
    async def scenario() -> None:
        clock_, running = fake_clock.FakeClock(), Telling()
        known = made(running, clock_)
        known.want([FIRST])
        await clock_.advance(0)
        await known.named()
        running.gate.clear()
        promised = replace(FIRST, promised=frozenset({80}))
        known.want([promised])
        naming = asyncio.create_task(known.named())
        await clock_.advance(0)
        assert not naming.done()
        running.gate.set()
        await clock_.advance(0)
        await naming
        assert running.told == [(FIRST,), (promised,)]
        await known.close()

    asyncio.run(scenario())


def test_a_runtime_without_services_is_told_nothing() -> None:
    async def scenario() -> None:
        clock_, running = fake_clock.FakeClock(), Telling()
        known = made(running, clock_)
        known.want([])
        await known.named()
        await known.settled()
        assert running.told == []
        await known.close()

    asyncio.run(scenario())
