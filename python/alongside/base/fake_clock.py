"""A clock that stands still until a test moves it; it makes every wait instant and repeatable."""

from __future__ import annotations

import asyncio
import heapq

_TURNS_AFTER_A_WAKE = 20
"""Turns of the event loop given to whoever woke, before time moves on."""


class FakeClock:
    """A `Clock` whose time moves only by `advance`."""

    def __init__(self, *, monotonic_s: float = 1000.0, wall_s: float = 1_800_000_000.0) -> None:
        """Start at the given readings."""
        self._monotonic_s = monotonic_s
        self._wall_minus_monotonic_s = wall_s - monotonic_s
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._sleeps = 0

    def monotonic_s(self) -> float:
        """Return the fake seconds."""
        return self._monotonic_s

    def wall_s(self) -> float:
        """Return the fake seconds since 1970."""
        return self._monotonic_s + self._wall_minus_monotonic_s

    def jump_wall(self, by_s: float) -> None:
        """Move the wall clock alone, as an administrator or NTP does; may be negative."""
        self._wall_minus_monotonic_s += by_s

    def sleeping(self) -> int:
        """Return how many tasks wait on this clock."""
        return sum(not future.done() for _, _, future in self._sleepers)

    async def sleep(self, duration_s: float) -> None:
        """Wait until `advance` has passed the given seconds."""
        if duration_s <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        self._sleeps += 1
        heapq.heappush(self._sleepers, (self._monotonic_s + duration_s, self._sleeps, future))
        await future

    async def advance(self, duration_s: float) -> None:
        """Pass the given seconds, waking sleepers in order, each at its own moment."""
        until_s = self._monotonic_s + duration_s
        await self._let_others_run()
        while self._sleepers and self._sleepers[0][0] <= until_s:
            self._monotonic_s, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
            await self._let_others_run()
        self._monotonic_s = until_s

    async def _let_others_run(self) -> None:
        for _ in range(_TURNS_AFTER_A_WAKE):
            await asyncio.sleep(0)
