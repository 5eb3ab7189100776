"""Let one incarnation of a data-plane process take over from another, on the same sockets.

While both are there, only one lets connections in: what the one is told to forget the other might
hold. The successor stands by until its predecessor, told to end, says that it lets nobody in any
more; what connects between the two waits in the sockets' queues.
"""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside.base import errors, units
from alongside.engines.processes import admin, groups, probing
from alongside.plan import shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from alongside.base import clock, log
    from alongside.engines.local import children
    from alongside.plan import documents

READY_S_MAX = 30.0
"""For a successor to become ready; else it is ended, and its predecessor goes on."""
READY_LOOK_S = 0.02
HAND_OVER_S_MAX = 2.0
"""For a predecessor to let nobody in any more, and then for its successor to begin."""
HAND_OVER_LOOK_S = 0.005
OPEN = shape.Probe("admin", timeout_s=1.0)
"""Fails as soon as a process drains."""


@dataclass(frozen=True, slots=True, eq=False)
class Incarnation:
    """One of the processes that a name stands for, one after the other."""

    name: str
    number: int
    child: children.Child
    document: documents.Wanted | None
    content: bytes | None = None


class Succession:
    """The incarnations of each name beside the one in charge."""

    def __init__(
        self,
        clock_: clock.Clock,
        changed: Callable[[], None],
        log_: log.Log,
        forget: Callable[[str, int], None],
    ) -> None:
        """Take whom to tell of changes, and what removes the files of an incarnation."""
        self._clock = clock_
        self._changed = changed
        self._log = log_
        self._forget = forget
        self._numbers: dict[str, int] = {}
        """Of the incarnations in charge, or of those that start next."""
        self._numbers_max: dict[str, int] = {}
        self._successors: dict[str, Incarnation] = {}
        self._leaving: dict[Incarnation, asyncio.Task[None]] = {}

    def number(self, name: str) -> int:
        """Return the number of the incarnation in charge, or of the one that starts next."""
        return self._numbers.get(name, 0)

    def next_number(self, name: str) -> int:
        """Return a number that no incarnation of a name had."""
        self._numbers_max[name] = self._numbers_max.get(name, 0) + 1
        return self._numbers_max[name]

    def charge(self, name: str, number: int) -> None:
        """Note which incarnation is in charge."""
        self._numbers[name] = number

    def others(self, name: str | None = None) -> list[Incarnation]:
        """Return the incarnations that are not in charge, of a name or of all."""
        everyone = [*self._successors.values(), *self._leaving]
        return [one for one in everyone if name in {None, one.name}]

    def leaving(self) -> frozenset[str]:
        """Return the names of which an incarnation was told to end and is still there."""
        return frozenset(one.name for one in self._leaving)

    async def prepare(self, successor: Incarnation, ready_s: float) -> None:
        """Start a successor; returns when it is ready and stands by.

        Raises:
            errors.TemporaryError: it ended, or was not ready in time, and is gone; or its name is
                being stopped.
        """
        name = successor.name
        self._successors[name] = successor
        successor.child.start()
        try:
            await self._until_ready(successor, ready_s)
        except BaseException:
            if self._successors.get(name) is successor:
                del self._successors[name]
                await asyncio.shield(self.let_go(successor))
            raise
        del self._successors[name]

    async def _until_ready(self, successor: Incarnation, ready_s: float) -> None:
        name, child = successor.name, successor.child
        deadline_s = self._clock.monotonic_s() + ready_s
        while True:
            reason = child.reason.partition(";")[0]
            if self._successors.get(name) is not successor:
                raise errors.TemporaryError(f"{name} is being stopped", retry_after_s=1.0)
            if child.state == "ready":
                return
            if child.state != "starting":
                raise errors.TemporaryError(f"its successor failed: {reason}", retry_after_s=1.0)
            if self._clock.monotonic_s() > deadline_s:
                limit = units.format_duration(ready_s)
                raise errors.TemporaryError(
                    f"its successor was not ready within {limit}: {reason or 'it hangs'}",
                    retry_after_s=1.0,
                )
            await self._clock.sleep(READY_LOOK_S)

    def abandon(self, name: str) -> None:
        """Begin to end a successor that is not in charge yet, if there is one."""
        if successor := self._successors.pop(name, None):
            self.let_go(successor)

    def let_go(
        self, other: Incarnation, successor: Incarnation | None = None
    ) -> asyncio.Task[None]:
        """Begin to end an incarnation that is not in charge, in favour of its successor."""
        task = asyncio.get_running_loop().create_task(self._leave(other, successor))
        self._leaving[other] = task
        self._changed()
        return task

    async def until_alone(self, name: str) -> None:
        """Return when no other incarnation of a name is left."""
        while left := [task for other, task in self._leaving.items() if other.name == name]:
            await asyncio.wait(left)

    async def _leave(self, other: Incarnation, successor: Incarnation | None) -> None:
        try:
            stopping = asyncio.get_running_loop().create_task(other.child.stop())
            if successor is not None:
                await self._until_closed(other.child, stopping)
                await self._open(successor)
            if await stopping:
                self._log.warning("predecessor_killed", process=other.name)
        finally:
            del self._leaving[other]
            self._forget(other.name, other.number)
            self._changed()

    async def _until_closed(self, child: children.Child, stopping: asyncio.Task[bool]) -> None:
        """Wait until a process that was told to end says that it lets nobody in any more."""
        deadline_s = self._clock.monotonic_s() + HAND_OVER_S_MAX
        launch = child.launch
        while not stopping.done() and self._clock.monotonic_s() < deadline_s:
            if not await probing.is_good(OPEN, launch.program, launch.door):
                return
            await self._clock.sleep(HAND_OVER_LOOK_S)

    async def _open(self, successor: Incarnation) -> None:
        """Let a successor serve; one that cannot be told is killed: started again, it serves."""
        child, door = successor.child, admin.Admin(successor.child.launch.door, timeout_s=1.0)
        deadline_s = self._clock.monotonic_s() + HAND_OVER_S_MAX
        identity = child.identity
        while identity is not None and child.identity == identity and child.state != "stopping":
            try:
                await door.serve()
            except errors.AlongsideError as error:
                if self._clock.monotonic_s() > deadline_s:
                    self._log.error(
                        "successor_killed", process=child.process.name, reason=str(error)
                    )
                    groups.send(identity, signal.SIGKILL)
                    return
                await self._clock.sleep(HAND_OVER_LOOK_S)
            else:
                return
