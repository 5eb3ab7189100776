"""Render the documents that a plan's data-plane processes should have in force."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alongside.plan import shape

Addresses = Mapping[str, str]
"""The address HOST:PORT of each process's listener, as far as it is bound."""
Body = dict[str, object]
INNER = ("127.0.0.0/8",)
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """A document a process should have, and which processes stand behind it."""

    body: str
    """JSON without epoch and generation, in one canonical form."""
    needs: frozenset[str] = field(compare=False)
    """Processes that must be ready before it may be in force."""
    uses: frozenset[str] = field(compare=False)
    """Processes that must not stop while it is in force."""

    @property
    def digest(self) -> str:
        """A short name of the content, equal for equal documents."""
        return hashlib.sha256(self.body.encode()).hexdigest()[:16]


def numbered(body: str, *, epoch: int, generation: int) -> bytes:
    """Return a document ready to send: the body with its place in the order of documents."""
    return json.dumps({**json.loads(body), "epoch": epoch, "generation": generation}).encode()


def render(
    plan: shape.Plan, addresses: Addresses, admin_path: Callable[[str], str]
) -> dict[str, Wanted]:
    """Return the document of each data-plane process whose addresses are all known.

    Args:
        plan: what should run.
        addresses: of the listeners bound so far.
        admin_path: gives the path of a process's admin socket.
    """
    result: dict[str, Wanted] = {}
    for cache in plan.caches:
        for shard in cache.shards:
            if shard in addresses:
                result[shard] = _node(cache, addresses[shard], admin_path(shard))
        if all(name in addresses for name in (*cache.shards, cache.router)):
            result[cache.router] = _router(cache, addresses, admin_path(cache.router))
    return result


def _node(cache: shape.Cache, address: str, admin: str) -> Wanted:
    listener = {"name": "http", "address": address, "serves": cache.name, "inner": list(INNER)}
    origin = {"address": cache.origin.address, "host": cache.origin.host}
    body: Body = {
        "listeners": [listener],
        "caches": [{"name": cache.name, "origin": origin, "memory_bytes": cache.memory_bytes}],
    }
    uses = {cache.origin.process} if cache.origin.process is not None else set()
    return _wanted(body, admin, needs=frozenset(), uses=frozenset(uses))


def _router(cache: shape.Cache, addresses: Addresses, admin: str) -> Wanted:
    route = {
        "name": cache.name,
        "key": cache.key,
        "function": cache.function,
        "compatible_with": "nginx",
        "shards": [{"name": shard, "replicas": [shard]} for shard in cache.shards],
    }
    body: Body = {
        "listeners": [{"name": "http", "address": addresses[cache.router], "serves": cache.name}],
        "nodes": [{"id": shard, "address": addresses[shard]} for shard in cache.shards],
        "routes": [route],
    }
    nodes = frozenset(cache.shards)
    return _wanted(body, admin, needs=nodes, uses=nodes)


def _wanted(body: Body, admin: str, *, needs: frozenset[str], uses: frozenset[str]) -> Wanted:
    whole = {"schema": SCHEMA, **body, "admin": {"path": admin}}
    return Wanted(json.dumps(whole, sort_keys=True), needs, uses)
