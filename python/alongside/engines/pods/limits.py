"""Limit how long work takes, without the time in which it waits for its turn."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class _Limit:
    """The limit of some work, of which several parts may wait at one time."""

    def __init__(self, timeout: asyncio.Timeout, limit_s: float) -> None:
        self.is_over = False
        self._timeout = timeout
        self._left_s = limit_s
        self._waits = 0

    @contextlib.contextmanager
    def standing(self) -> Iterator[None]:
        """Let no time count meanwhile."""
        now_s = asyncio.get_running_loop().time
        until_s = self._timeout.when()
        if until_s is not None and not self._is_past():
            self._left_s = until_s - now_s()
            self._timeout.reschedule(None)
        self._waits += 1
        try:
            yield
        finally:
            self._waits -= 1
            if self._waits == 0 and not self._is_past():
                self._timeout.reschedule(now_s() + self._left_s)

    def _is_past(self) -> bool:
        """Return whether it counts no more; what tidies up afterwards may still be at work."""
        return self.is_over or self._timeout.expired()


_present: contextvars.ContextVar[_Limit | None] = contextvars.ContextVar("limit", default=None)


@contextlib.asynccontextmanager
async def limited(limit_s: float) -> AsyncIterator[None]:
    """Do something for a limited time, in which it waits for no turn.

    Raises:
        TimeoutError: it took longer.
    """
    async with asyncio.timeout(limit_s) as timeout:
        limit = _Limit(timeout, limit_s)
        token = _present.set(limit)
        try:
            yield
        finally:
            limit.is_over = True
            _present.reset(token)


@contextlib.asynccontextmanager
async def turn(turns: asyncio.Semaphore) -> AsyncIterator[None]:
    """Hold a turn; the wait for it counts for no limit."""
    limit = _present.get()
    with limit.standing() if limit is not None else contextlib.nullcontext():
        await turns.acquire()
    try:
        yield
    finally:
        turns.release()
