"""Render the documents that a plan's data-plane processes should have in force."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from alongside import document, native
from alongside.base import errors
from alongside.plan import shape

Addresses = Mapping[str, str]
"""The address HOST:PORT of each process's listener, as far as it is bound."""
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


def check(wanted: Mapping[str, Wanted]) -> None:
    """Refuse documents that the data plane would refuse, by the data plane's own rules.

    Raises:
        errors.UsageError: every mistake, each with its process and its place in the document.
    """
    faults = [
        f"{name}: {path}: {message}"
        for name, one in wanted.items()
        for path, message in native.check_document(numbered(one.body, epoch=0, generation=0))
    ]
    if faults:
        raise errors.UsageError(*faults)


def either(current: Wanted, coming: Wanted) -> Wanted:
    """Return what stands for two documents of which one is in force, nobody knows which."""
    return Wanted("", current.needs | coming.needs, current.uses | coming.uses)


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
    origin = document.Origin(address=cache.origin.address, host=cache.origin.host)
    kept = document.Cache(name=cache.name, origin=origin, memory_bytes=cache.memory_bytes)
    whole = document.Document(
        schema=SCHEMA,
        epoch=0,
        generation=0,
        listeners=(_listener(cache, address, inner=INNER),),
        caches=(kept,),
        admin=document.Admin(path=admin),
    )
    uses = {cache.origin.process} if cache.origin.process is not None else set()
    return _wanted(whole, needs=frozenset(), uses=frozenset(uses))


def _router(cache: shape.Cache, addresses: Addresses, admin: str) -> Wanted:
    route = document.Route(
        name=cache.name,
        key=cache.key,
        function=cache.function,
        shards=tuple(document.Shard(name=shard, replicas=(shard,)) for shard in cache.shards),
    )
    nodes = tuple(document.Node(id=shard, address=addresses[shard]) for shard in cache.shards)
    whole = document.Document(
        schema=SCHEMA,
        epoch=0,
        generation=0,
        listeners=(_listener(cache, addresses[cache.router]),),
        nodes=nodes,
        routes=(route,),
        admin=document.Admin(path=admin),
    )
    names = frozenset(cache.shards)
    return _wanted(whole, needs=names, uses=names)


def _listener(
    cache: shape.Cache, address: str, *, inner: tuple[str, ...] = ()
) -> document.Listener:
    return document.Listener(name=shape.LISTENER, address=address, serves=cache.name, inner=inner)


def _wanted(whole: document.Document, *, needs: frozenset[str], uses: frozenset[str]) -> Wanted:
    body = whole.to_json()
    del body["epoch"], body["generation"]
    return Wanted(json.dumps(body, sort_keys=True), needs, uses)
