"""Keep what no document names any more for a while, for what was begun under an earlier one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from alongside.base import clock

FINISHING_S = 5.0
"""For answers on their way from an application that no document names any more."""


class Finishing:
    """The applications and servers that documents named until a moment ago."""

    def __init__(self, clock_: clock.Clock, changed: Callable[[], None]) -> None:
        """Take whom to tell when the time of one is over."""
        self._clock = clock_
        self._changed = changed
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def names(self) -> frozenset[str]:
        """Those whose time is not over."""
        return frozenset(self._tasks)

    def begin(self, names: Iterable[str]) -> None:
        """Keep these from now on."""
        for name in names:
            if (before := self._tasks.get(name)) is not None:
                before.cancel()
            self._tasks[name] = asyncio.create_task(self._finish(name))

    def give_up(self) -> None:
        """Keep none any more."""
        for task in self._tasks.values():
            task.cancel()

    async def _finish(self, name: str) -> None:
        await self._clock.sleep(FINISHING_S)
        del self._tasks[name]
        self._changed()
