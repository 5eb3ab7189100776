"""Tell time and wait, as a seam: code takes a `Clock`, tests give it `fake_clock.FakeClock`."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What code that needs time takes as an argument."""

    def monotonic_s(self) -> float:
        """Return seconds since some fixed moment; never goes back. For every wait and deadline."""

    def wall_s(self) -> float:
        """Return seconds since 1970 UTC; may jump. For display and log lines only."""

    async def sleep(self, duration_s: float) -> None:
        """Wait the given seconds; 0 or less only lets other tasks run."""


class SystemClock:
    """The machine's clock."""

    __slots__ = ()

    def monotonic_s(self) -> float:
        """Return the seconds of the machine's monotonic clock."""
        return time.monotonic()

    def wall_s(self) -> float:
        """Return the seconds since 1970 UTC as the machine believes."""
        return time.time()

    async def sleep(self, duration_s: float) -> None:
        """Wait on the running event loop."""
        # Late, because commands that only start the data plane log a time but never wait.
        import asyncio  # noqa: PLC0415

        await asyncio.sleep(max(0.0, duration_s))
