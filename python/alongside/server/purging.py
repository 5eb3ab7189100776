"""Tell every node of a cache to forget a URL, and those that are away as soon as they answer.

A node that is away (frozen, starting, stuck) is owed the purge: it is told again until it has taken
it, or until its process was replaced, since a new one begins empty. Each node is told by a task of
its own what it is owed, in order, and waits of its own lie between: no node waits for another. When
one takes a purge late, all others are owed it once more, because meanwhile they may have copied
from it what it should have forgotten.

What is owed is bounded, and in memory only: whoever comes after a dead supervisor ends every
process first, and what begins anew has nothing to forget.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alongside.base import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from alongside.base import clock, log
    from alongside.engines.local import engine
    from alongside.engines.processes import admin, groups

OWED_MAX = 1024
"""Purges that are owed to one node; more are told of as not kept."""
TIMEOUT_S = 2.0
"""For a node to take a purge, before it is owed to it."""
RETRY_S = 0.5
RETRY_S_MAX = 2.0
"""Between two attempts at a node that does not answer: at first, then twice as long each time."""
TOGETHER_MAX = 64
"""Nodes that are told at once what they are owed. A frozen one takes such a place for half of its
time from the third try on, so about twice as many of them must be frozen before others wait."""


@dataclass(frozen=True, slots=True)
class Purge:
    """A URL whose answers a cache is to forget."""

    cache: str
    url: str


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a purge: the answers removed by node, and the nodes that have not taken it."""

    counts: dict[str, int]
    """Of the nodes that have forgotten; those that hold nothing at all are among them."""
    owed: tuple[str, ...]
    """They are told again until they have taken it."""
    not_kept: tuple[str, ...]
    """They are owed too many already, and are not told again."""


@dataclass(slots=True)
class _Owed:
    """That a node has yet to take a purge; another one where the same is owed anew."""

    process: groups.Identity
    """Who owes it; a later process of the node has nothing to forget."""
    is_late: bool
    """It was told without success, so that others may copy the old answer from it meanwhile."""


@dataclass(slots=True)
class _Debt:
    """What one node is owed, in the order in which it is told."""

    purges: dict[Purge, _Owed] = field(default_factory=dict)
    is_told: bool = False
    """A task is at it."""

    def is_late(self) -> bool:
        return any(one.is_late for one in self.purges.values())


class Purges:
    """The purges of one project that are still owed, by node."""

    def __init__(
        self,
        engine_: engine.Engine,
        clock_: clock.Clock,
        log_: log.Log,
        nodes_of: Callable[[str], Sequence[str]],
    ) -> None:
        """Take the engine whose nodes are told, and what names the nodes of a cache."""
        self._engine = engine_
        self._clock = clock_
        self._log = log_
        self._nodes_of = nodes_of
        self._debts: dict[str, _Debt] = {}
        """By node; of those that are owed something."""
        self._more = asyncio.Event()
        """Set when a node is owed something of which no task tells it yet."""
        self._places = asyncio.Semaphore(TOGETHER_MAX)

    async def purge(self, cache: str, url: str) -> Told:
        """Tell all nodes of a cache at once to forget a URL; those that are away are owed it.

        Raises:
            errors.PeerError: a node refuses it, as the URL is none.
        """
        purge = Purge(cache, url)
        nodes = self._nodes_of(cache)
        running = {node: self._running(node) for node in nodes}
        told = await asyncio.gather(
            *[self._tell(node, purge) for node in nodes], return_exceptions=True
        )
        found = dict(zip(nodes, told, strict=True))
        taken = {node: one for node, one in found.items() if isinstance(one, int)}
        away = [node for node, one in found.items() if one is None]
        kept = [node for node in away if self._owe(node, purge, running[node], is_late=True)]
        # Only now, so that one that refuses is no reason to forget what the others are owed.
        for one in told:
            if isinstance(one, BaseException):
                raise one
        return Told(taken, tuple(kept), tuple(node for node in away if node not in kept))

    def owed(self) -> dict[str, int]:
        """Return how many purges are owed to each node that is owed any."""
        return {node: len(debt.purges) for node, debt in self._debts.items()}

    def warnings(self) -> list[str]:
        """Return a sentence for each node that did not take a purge when it was told."""
        counts = {node: len(one.purges) for node, one in self._debts.items() if one.is_late()}
        return [
            f"{node} does not answer and may serve what {count} "
            f"{'purge' if count == 1 else 'purges'} should have removed; "
            "it is told again until it has forgotten"
            for node, count in counts.items()
        ]

    async def deliver(self) -> None:
        """Tell each node what it is owed, all nodes beside each other, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._more.clear()
                for node, debt in self._debts.items():
                    if not debt.is_told:
                        debt.is_told = True
                        tasks.create_task(self._deliver(node, debt))
                await self._more.wait()

    def _running(self, node: str) -> groups.Identity | None:
        child = self._engine.children.get(node)
        return child.identity if child is not None else None

    def _owe(
        self, node: str, purge: Purge, process: groups.Identity | None, *, is_late: bool
    ) -> bool:
        """Keep a purge for a node; return whether there was room."""
        if process is None:
            return True
        debt = self._debts.setdefault(node, _Debt())
        before = debt.purges.get(purge)
        if before is None and len(debt.purges) >= OWED_MAX:
            self._log.error("purge_not_kept", process=node, owed=len(debt.purges))
            return False
        was_late = before is not None and before.is_late and before.process == process
        debt.purges[purge] = _Owed(process, is_late=is_late or was_late)
        if is_late:
            count = len(debt.purges)
            self._log.warning("purge_owed", process=node, cache=purge.cache, owed=count)
        if not debt.is_told:
            self._more.set()
        return True

    async def _tell(self, node: str, purge: Purge) -> int | None:
        """Return how many answers a node removed; None where it does not answer.

        While one incarnation of it takes over from another, both are told; one that is not in
        charge and does not answer has not begun, or is gone.
        """
        if self._running(node) is None:
            return 0  # it holds nothing, and begins with nothing
        try:
            beside = self._engine.beside(node, timeout_s=TIMEOUT_S)
            door = self._engine.admin(node, timeout_s=TIMEOUT_S)
            counts = await asyncio.gather(
                door.purge(purge.cache, purge.url), *[_tell_beside(one, purge) for one in beside]
            )
        except errors.TemporaryError:
            return None
        return sum(counts)

    async def _deliver(self, node: str, debt: _Debt) -> None:
        """Tell a node what it is owed, until that is nothing."""
        wait_s = RETRY_S
        try:
            while debt.purges:
                purge, owed = next(iter(debt.purges.items()))
                if await self._is_settled(node, purge, owed):
                    wait_s = RETRY_S
                    if debt.purges.get(purge) is owed:
                        del debt.purges[purge]
                else:
                    debt.purges[purge].is_late = True
                    await self._clock.sleep(wait_s)
                    wait_s = min(2 * wait_s, RETRY_S_MAX)
            del self._debts[node]
        finally:
            debt.is_told = False

    async def _is_settled(self, node: str, purge: Purge, owed: _Owed) -> bool:
        """Try once to tell a node a purge; return whether it owes it no more."""
        if self._running(node) != owed.process:
            return True
        try:
            async with self._places:
                count = await self._tell(node, purge)
        except errors.PeerError as error:  # it has no such cache any more
            self._log.warning("purge_refused", process=node, reason=str(error))
            return True
        except Exception as error:  # whatever it is, the other nodes must not pay for it
            reason = f"{type(error).__name__}: {error}"
            self._log.error("purge_fault", process=node, reason=reason)
            return False
        if count is not None and owed.is_late:
            self._log.info("purge_taken_late", process=node, cache=purge.cache)
            self._owe_others(node, purge)
        return count is not None

    def _owe_others(self, late: str, purge: Purge) -> None:
        """Owe a purge to all nodes but one: they may have copied the old answer from that one."""
        for node in self._nodes_of(purge.cache):
            if node != late:
                self._owe(node, purge, self._running(node), is_late=False)


async def _tell_beside(door: admin.Admin, purge: Purge) -> int:
    try:
        return await door.purge(purge.cache, purge.url)
    except errors.AlongsideError:
        return 0
