"""How deep hits fall when documents change under load, and how long until they are back.

In:    a load without end, a change, how to see that it is in force, how to count the origin's.
Out:   one row: hits before, lowest and after, the time until they are back, what was asked.
Not:   judging; the change itself.
Next:  test_fleet_events.py, docs/sharded-cache.md.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from alongside.lab import cachestatus, load

if TYPE_CHECKING:
    from alongside.base import clock

SLOT_S = 0.1
SLOTS_OF_WINDOW = 5
BEFORE_S = 1.0
AFTER_S = 4.0
POINT = 0.01
BACK_S_MAX = 90.0
HITS = {cachestatus.Outcome.HIT, cachestatus.Outcome.JOINED}
TITLES = (
    "field",
    "before",
    "lowest in 0.5 s",
    "over 4 s",
    "back after",
    "requests",
    "of the origin",
    "failed",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Dip:
    """What a change cost: hit ratios 0 to 1; counts from the change until hits were back."""

    before: float
    lowest: float
    after: float
    """Over the four seconds since the change was in force."""
    back_s: float | None
    """Until hits stayed within a point of before; None where they did not in time."""
    requests: int
    origin_requests: int
    paths_after: int
    """Different ones that were asked for when the change was in force everywhere."""
    failures: dict[str, int]

    def row(self, name: str) -> tuple[str, ...]:
        """Return it as a line of a table with `TITLES`."""
        return (
            name,
            f"{self.before:.1%}",
            f"{self.lowest:.1%}",
            f"{self.after:.1%}",
            "never" if self.back_s is None else f"{self.back_s:.1f} s",
            str(self.requests),
            str(self.origin_requests),
            str(sum(self.failures.values())),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """Something to do, and how to see what it does."""

    act: Callable[[], None]
    """Returns when it is in force everywhere; runs in a thread."""
    is_in_force: Callable[[], Awaitable[bool]]
    """Whether it is in force anywhere."""
    origin_requests: Callable[[], int]


class _Watch:
    """Counts requests by the slot of time in which they began."""

    def __init__(self) -> None:
        self.slots: dict[int, tuple[int, int]] = {}
        self.failures: collections.Counter[str] = collections.Counter()
        self.requests = 0
        self.paths: set[str] = set()
        self.is_over = False

    def see(self, record: load.Record) -> None:
        self.requests += 1
        self.paths.add(record.path)
        if record.failure is not None:
            self.failures[record.failure.value] += 1
        at = int(record.started_s / SLOT_S)
        hits, count = self.slots.get(at, (0, 0))
        is_hit = cachestatus.outcome(record.cache_status) in HITS
        self.slots[at] = (hits + is_hit, count + 1)

    def ratio(self, first: int, count: int) -> float:
        """Return the hit ratio of some slots; 1 where nothing was asked."""
        found = [self.slots.get(at, (0, 0)) for at in range(first, first + count)]
        asked = sum(asked for _, asked in found)
        return sum(hits for hits, _ in found) / asked if asked else 1.0

    def windows(self, began_s: float, ended_s: float) -> list[float]:
        """Return the ratios of the windows that begin in a time, each a slot after the last."""
        first, last = int(began_s / SLOT_S), int(ended_s / SLOT_S) - SLOTS_OF_WINDOW
        return [self.ratio(at, SLOTS_OF_WINDOW) for at in range(first, last)]


async def measured(
    change: Change, *, plan: load.Plan, ledger: load.Ledger, time: clock.Clock
) -> Dip:
    """Make a change under load; return what it cost, when hits are back or it took too long."""
    watch = _Watch()
    endless = dataclasses.replace(plan, is_endless=True)
    async with asyncio.TaskGroup() as group:
        group.create_task(
            load.run(
                endless, ledger=ledger, time=time, seen=watch.see, is_over=lambda: watch.is_over
            )
        )
        try:
            return await _watched(change, watch, time)
        finally:
            watch.is_over = True


async def _watched(change: Change, watch: _Watch, time: clock.Clock) -> Dip:
    start_s = time.monotonic_s()
    await time.sleep(BEFORE_S)
    requests, asked = watch.requests, await asyncio.to_thread(change.origin_requests)
    before = watch.ratio(int(start_s / SLOT_S) + 1, int(BEFORE_S / SLOT_S) - 1)
    acting = asyncio.create_task(asyncio.to_thread(change.act))
    began_s = time.monotonic_s()
    while not (await change.is_in_force() or acting.done()):
        began_s = time.monotonic_s()
        await time.sleep(SLOT_S / 5)
    await acting
    watch.paths.clear()
    await time.sleep(began_s + AFTER_S - time.monotonic_s())
    while _is_low(watch, before, time.monotonic_s()):
        if time.monotonic_s() > began_s + BACK_S_MAX:
            break
        await time.sleep(SLOT_S)
    return Dip(
        before=before,
        lowest=min(watch.windows(began_s, time.monotonic_s())),
        after=watch.ratio(int(began_s / SLOT_S), int(AFTER_S / SLOT_S)),
        back_s=_back_s(watch.windows(began_s, time.monotonic_s()), before),
        requests=watch.requests - requests,
        origin_requests=await asyncio.to_thread(change.origin_requests) - asked,
        paths_after=len(watch.paths),
        failures=dict(sorted(watch.failures.items())),
    )


def _is_low(watch: _Watch, before: float, now_s: float) -> bool:
    """Return whether a window of the last second is below a point under what was before."""
    return min(watch.windows(now_s - 1.0, now_s)) < before - POINT


def _back_s(windows: Sequence[float], before: float) -> float | None:
    """Return when the first window begins from which on all are within a point of before."""
    low = [at for at, ratio in enumerate(windows) if ratio < before - POINT]
    if not low:
        return 0.0
    return None if low[-1] == len(windows) - 1 else (low[-1] + 1) * SLOT_S


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows under their titles, in columns."""
    lines = [TITLES, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
