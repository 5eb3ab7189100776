"""Do something to a system under load, and say what its clients noticed.

In:    a load without end, an act (a kill, a restart, a change), how long to look before and after.
Out:   failed requests in all; the figures just before the act and just after it.
Not:   the act itself; judging.
Next:  the demo's second table, and the tests of replicas.
"""

import asyncio
import collections
import dataclasses
from collections.abc import Awaitable, Callable

from alongside.base import clock
from alongside.lab import figures, load


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
    watch = _Watch(windows)
    endless = dataclasses.replace(plan, is_endless=True, seconds_max=None)
    async with asyncio.TaskGroup() as group:
        group.create_task(
            load.run(endless, ledger=ledger, time=time, seen=watch.see, is_over=lambda: watch.over)
        )
        try:
            await time.sleep(windows.before_s)
            watch.began_s = time.monotonic_s()
            await act()
            act_s = time.monotonic_s() - watch.began_s
            await time.sleep(windows.after_s - act_s)
        finally:
            watch.over = True
    return watch.concluded(name, act_s)


class _Watch:
    """Counts what a load tells, and keeps the records of two windows only."""

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        self.began_s: float | None = None
        self.over = False
        self._requests = 0
        self._latency_max_s = 0.0
        self._failures: collections.Counter[str] = collections.Counter()
        self._records: collections.deque[load.Record] = collections.deque()

    def see(self, record: load.Record) -> None:
        self._requests += 1
        self._latency_max_s = max(self._latency_max_s, record.latency_s)
        if record.failure is not None:
            self._failures[record.failure.value] += 1
        if self.began_s is None or record.started_s < self.began_s + self.windows.after_s:
            self._records.append(record)
        oldest_s = record.started_s - self.windows.before_s
        while self.began_s is None and self._records[0].started_s < oldest_s:
            self._records.popleft()

    def concluded(self, name: str, act_s: float) -> Trial:
        began_s = self.began_s or 0.0
        before = [record for record in self._records if record.started_s < began_s]
        after = [record for record in self._records if record.started_s >= began_s]
        return Trial(
            name=name,
            requests=self._requests,
            failures=dict(sorted(self._failures.items())),
            before=figures.summary(before),
            after=figures.summary(after),
            act_s=act_s,
            latency_max_s=self._latency_max_s,
        )
