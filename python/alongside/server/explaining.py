"""Say where a request goes and who would answer it now, as one of the routers sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alongside.base import errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alongside.plan import shape
    from alongside.server import supervisor

TIMEOUT_S = 2.0
"""For one router, before the next one is asked."""
ORIGIN = "origin"
"""The router's word for the origin among those who may answer."""


async def explain(
    watched: supervisor.Supervisor, cache: shape.Cache, parameters: Sequence[tuple[str, str]]
) -> Mapping[str, object]:
    """Return the answer of the first router that gives one, the address, and the reason in words.

    Raises:
        errors.PeerError: the router refuses the question; the message says why.
        errors.TemporaryError: no router answers.
    """
    children = watched.engine.children
    ready = [name for name in cache.routers if name in children and children[name].state == "ready"]
    for router in ready:
        try:
            answer = await watched.engine.admin(router, timeout_s=TIMEOUT_S).explain(parameters)
        except errors.TemporaryError:
            continue
        now = answer.get("now")
        address = watched.origin(cache)
        if now != ORIGIN:
            address = watched.engine.sockets.address(str(now)) or ""
        reason = _reason(cache, str(answer.get("shard")), now if isinstance(now, str) else None)
        return {**answer, "router": router, "address": address or None, "reason": reason}
    raise errors.TemporaryError(
        f'no router of cache "{cache.name}" answers; see alongside status', retry_after_s=1.0
    )


def _reason(cache: shape.Cache, shard: str, now: str | None) -> str:
    """Return why a request goes where it does, for people."""
    count = len(cache.shards)
    placed = (
        f"{cache.function} of {cache.key} gives the key to {shard}, "
        f"{f'one of {count} shards' if count > 1 else 'the only shard'}"
    )
    nodes = next((one.nodes for one in cache.shards if one.name == shard), ())
    if now in nodes:
        others = len(nodes) - 1
        beside = f", beside {others} other{'s' if others > 1 else ''}" if others else ""
        return f"{placed}; {now} serves it{beside}, and would answer now"
    none = f"{placed}; none of {', '.join(nodes)} can be used"
    if now == ORIGIN:
        return f"{none}, so the origin would answer now"
    if now is not None:
        return f"{none}, so {now} of another shard would answer now"
    return f"{none}, so the client would get an error now"
