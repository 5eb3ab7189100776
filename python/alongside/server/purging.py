"""Tell every node of a cache to forget a URL, and those that are away as soon as they answer.

A node that is away (frozen, starting, stuck) is owed the purge: it is told again until it has taken
it, or until its process was replaced, since a new one begins empty. What is owed is kept in memory
only, and is bounded. When a node takes a purge late, all others are told once more, because
meanwhile they may have copied from it what it should have forgotten.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside.base import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from alongside.base import clock, log
    from alongside.engines.local import admin, engine, groups

OWED_MAX = 1024
"""Purges that are owed to one node; more are told of as not kept."""
TIMEOUT_S = 2.0
"""For a node to take a purge, before it is owed to it."""
RETRY_S = 0.5


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
        self._owed: dict[str, dict[Purge, groups.Identity]] = {}
        """With the process that owes it; a later one of the node has nothing to forget."""
        self._more = asyncio.Event()

    async def purge(self, cache: str, url: str) -> Told:
        """Tell all nodes of a cache at once to forget a URL; those that are away are owed it.

        Raises:
            errors.PeerError: a node refuses it, as the URL is none.
        """
        purge = Purge(cache, url)
        nodes = self._nodes_of(cache)
        running = {node: self._running(node) for node in nodes}
        counts = await asyncio.gather(*[self._tell(node, purge) for node in nodes])
        taken = {node: n for node, n in zip(nodes, counts, strict=True) if n is not None}
        away = [node for node in nodes if node not in taken]
        kept = [node for node in away if self._owe(node, purge, running[node])]
        return Told(taken, tuple(kept), tuple(node for node in away if node not in kept))

    def owed(self) -> dict[str, int]:
        """Return how many purges are owed to each node that is owed any."""
        return {node: len(purges) for node, purges in self._owed.items()}

    def warnings(self) -> list[str]:
        """Return a sentence for each node that is owed purges."""
        return [
            f"{node} does not answer and may serve what {count} "
            f"{'purge' if count == 1 else 'purges'} should have removed; "
            "it is told again until it has forgotten"
            for node, count in self.owed().items()
        ]

    async def deliver(self) -> None:
        """Wait until something is owed, and try once to tell it."""
        if not self._owed:
            self._more.clear()
            await self._more.wait()
        await asyncio.gather(*[self._deliver(node) for node in list(self._owed)])
        if self._owed:
            await self._clock.sleep(RETRY_S)

    def _running(self, node: str) -> groups.Identity | None:
        child = self._engine.children.get(node)
        return child.identity if child is not None else None

    def _owe(self, node: str, purge: Purge, process: groups.Identity | None) -> bool:
        """Keep a purge for a node; return whether there was room."""
        if process is None:
            return True
        owed = self._owed.setdefault(node, {})
        if purge not in owed and len(owed) >= OWED_MAX:
            self._log.error("purge_not_kept", process=node, owed=len(owed))
            return False
        owed[purge] = process
        self._log.warning("purge_owed", process=node, cache=purge.cache, owed=len(owed))
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

    async def _deliver(self, node: str) -> None:
        for purge, process in list(self._owed.get(node, {}).items()):
            if self._running(node) == process:
                try:
                    if await self._tell(node, purge) is None:
                        return
                except errors.PeerError as error:  # it has no such cache any more
                    self._log.warning("purge_refused", process=node, reason=str(error))
                else:
                    self._log.info("purge_taken_late", process=node, cache=purge.cache)
                    self._forgive(node, purge, process)
                    await self._tell_again(purge)
            self._forgive(node, purge, process)

    async def _tell_again(self, purge: Purge) -> None:
        """Tell all nodes once more: one may have copied the old page from the one that was away."""
        try:
            await self.purge(purge.cache, purge.url)
        except errors.PeerError as error:
            self._log.warning("purge_refused", cache=purge.cache, reason=str(error))

    def _forgive(self, node: str, purge: Purge, process: groups.Identity) -> None:
        owed = self._owed.get(node, {})
        if owed.get(purge) == process:
            del owed[purge]
        if not owed:
            self._owed.pop(node, None)


async def _tell_beside(door: admin.Admin, purge: Purge) -> int:
    try:
        return await door.purge(purge.cache, purge.url)
    except errors.AlongsideError:
        return 0
