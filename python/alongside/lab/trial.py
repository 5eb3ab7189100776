"""Do something to a system under load, and say what its clients noticed.

In:    a load without end, an act (a kill, a restart, a change), how long to look before and after.
Out:   failed requests in all; the figures just before the act and just after it.
Not:   the act itself; judging.
Next:  the demo's second table, and the tests of replicas.
"""

import asyncio
import dataclasses
import itertools
from collections.abc import Awaitable, Callable

from alongside.base import clock
from alongside.lab import figures, load

REQUESTS_MAX = 500_000
"""A trial's records are kept in memory; so many requests end it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Trial:
    """What clients saw: `failures` by kind over all of it, the rest in two windows."""

    name: str
    requests: int
    failures: dict[str, int]
    before: figures.Summary
    after: figures.Summary
    act_s: float
    latency_max_s: float

    @property
    def failed(self) -> int:
        """Return how many requests failed, before, during and after the act."""
        return sum(self.failures.values())

    @property
    def hits_lost(self) -> float:
        """Return by how much the hit ratio fell, 0 to 1; negative where it rose."""
        return self.before.hit_ratio - self.after.hit_ratio


@dataclasses.dataclass(frozen=True, slots=True)
class Windows:
    """How long to look before an act begins and after it began, in seconds."""

    before_s: float = 5.0
    after_s: float = 10.0


async def run(
    name: str,
    act: Callable[[], Awaitable[None]],
    *,
    plan: load.Plan,
    ledger: load.Ledger,
    time: clock.Clock,
    windows: Windows,
) -> Trial:
    """Send a plan's paths over and over, act, and return what clients saw.

    The load goes on until the act has ended and `after_s` have passed since it began.
    """
    is_over = False
    records: list[load.Record] = []

    async def send() -> None:
        paths = list(itertools.islice(itertools.cycle(plan.paths), REQUESTS_MAX))
        endless = dataclasses.replace(plan, paths=paths)
        await load.run(
            endless, ledger=ledger, time=time, seen=records.append, is_over=lambda: is_over
        )

    async with asyncio.TaskGroup() as group:
        group.create_task(send())
        try:
            await time.sleep(windows.before_s)
            began_s = time.monotonic_s()
            await act()
            ended_s = time.monotonic_s()
            await time.sleep(max(0.0, began_s + windows.after_s - ended_s))
        finally:
            is_over = True
    return _concluded(name, records, began_s=began_s, ended_s=ended_s, windows=windows)


def _concluded(
    name: str, records: list[load.Record], *, began_s: float, ended_s: float, windows: Windows
) -> Trial:
    whole = figures.summary(records)
    before = [r for r in records if began_s - windows.before_s <= r.started_s < began_s]
    after = [r for r in records if began_s <= r.started_s < began_s + windows.after_s]
    return Trial(
        name=name,
        requests=whole.requests,
        failures=whole.failures,
        before=figures.summary(before),
        after=figures.summary(after),
        act_s=ended_s - began_s,
        latency_max_s=max((record.latency_s for record in records), default=0.0),
    )
