"""Render the documents that a plan's data-plane processes should have in force."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from alongside import document, native
from alongside.base import errors
from alongside.plan import pods, pooling, shape, told

Addresses = Mapping[str, str]
"""The address HOST:PORT of each process's listener, as far as it is bound; of a Service that is an
origin under `service(NAME:PORT)`."""
INNER = ("127.0.0.0/8",)
UNPUBLISHED = "127.0.0.1:1"
"""Stands for the address of what is not served yet."""
SCHEMA = 1
HEALTH = document.Health(
    probe="cache",
    interval_ms=500,
    timeout_ms=500,
    failures=2,
    successes=1,
    errors_max=None,
    slow_times=None,
    slow_start_ms=2000,
)
"""Of our own caches: an origin's errors and slowness are not the fault of the node that tells."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A document a process should have, and which processes stand behind it."""

    body: str
    """JSON without epoch and generation, in one canonical form."""
    needs: frozenset[str] = field(compare=False, default=frozenset())
    """Processes that it names and that must be ready when it is the first to name them."""
    uses: frozenset[str] = field(compare=False, default=frozenset())
    """Processes that must not stop while it is in force."""
    siblings: frozenset[str] = field(compare=False, default=frozenset())
    """Processes that name each other so; each must have been started."""
    origins: frozenset[str] = field(compare=False, default=frozenset())
    """Processes that must be ready before it takes the place of a document that used others."""

    @property
    def digest(self) -> str:
        """A short name of the content, equal for equal documents."""
        return hashlib.sha256(self.body.encode()).hexdigest()[:16]


def service(name: str) -> str:
    """Return what a Service's port, `NAME:PORT`, is called among addresses."""
    return f"service/{name}"


def unpublished(plan: shape.Plan) -> dict[str, str]:
    """Return an address for each Service that is an origin, for looks at what is not served yet."""
    names = [cache.origin.service for cache in plan.caches if cache.origin.service]
    return {service(name): UNPUBLISHED for name in names}


def numbered(body: str, *, epoch: int, generation: int) -> bytes:
    """Return a document ready to send: the body with its place in the order of documents."""
    return json.dumps({**json.loads(body), "epoch": epoch, "generation": generation}).encode()


def moved(current: Wanted, admin: str) -> Wanted:
    """Return the same document with another path of the admin door."""
    body = {**json.loads(current.body), "admin": {"path": admin}}
    return replace(current, body=_canonical(body))


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
    return Wanted(
        "",
        current.needs | coming.needs,
        current.uses | coming.uses,
        current.siblings | coming.siblings,
        current.origins | coming.origins,
    )


def render(
    plan: shape.Plan, addresses: Addresses, admin_path: Callable[[str], str]
) -> dict[str, Wanted]:
    """Return the document of each data-plane process whose addresses are all known.

    Args:
        plan: what should run.
        addresses: of the listeners bound so far, and of all servers of memcache and Redis.
        admin_path: gives the path of a process's admin socket.
    """
    result: dict[str, Wanted] = {}
    for cache in [_located(one, addresses) for one in plan.caches]:
        if not cache.origin.address:
            continue
        for shard in cache.shards:
            if all(name in addresses for name in shard.nodes):
                for name in shard.nodes:
                    result[name] = _node(cache, shard, name, addresses, admin_path(name))
        if all(name in addresses for name in (*cache.nodes, *cache.routers)):
            for name in cache.routers:
                result[name] = _router(cache, name, addresses, admin_path(name))
    return result | _of_pools(plan, addresses, admin_path)


def _of_pools(
    plan: shape.Plan, addresses: Addresses, admin_path: Callable[[str], str]
) -> dict[str, Wanted]:
    """Return the documents of the routers of memcache and Redis, and of pods' ambassadors."""
    result: dict[str, Wanted] = {}
    for pool in plan.pools:
        if all(name in addresses for name in (*pool.servers, *pool.routers)):
            routers = pool.routers
            result |= {
                name: _pool_router(pool, name, addresses, admin_path(name)) for name in routers
            }
    for process in plan.processes:
        if process.pod is not None and process.has_document:
            found = map(plan.pool, process.pod.pools)
            asked = [one for one in found if one is not None]
            result[process.name] = _beside(process.pod, asked, addresses)
    return result


def _located(cache: shape.Cache, addresses: Addresses) -> shape.Cache:
    """Return a cache whose origin has its address, as far as it is known."""
    if not cache.origin.service:
        return cache
    address = addresses.get(service(cache.origin.service), "")
    return replace(cache, origin=replace(cache.origin, address=address))


def _node(
    cache: shape.Cache, shard: shape.Shard, name: str, addresses: Addresses, admin: str
) -> Wanted:
    siblings = tuple(node for node in shard.nodes if node != name)
    kept = document.Cache(
        name=cache.name,
        origin=_origin(cache),
        memory_bytes=cache.memory_bytes,
        replica=document.Replica(
            id=name,
            siblings=tuple(document.Node(id=node, address=addresses[node]) for node in siblings),
            warm_bytes_per_s=cache.terms.warm_bytes_per_s,
        ),
    )
    whole = document.Document(
        schema=SCHEMA,
        epoch=0,
        generation=0,
        listeners=(_listener(cache, addresses[name], inner=INNER),),
        caches=(kept,),
        admin=document.Admin(path=admin),
        limits=document.Limits(drain_timeout_ms=cache.terms.drain_timeout_ms),
    )
    origins = _origins(cache)
    uses = origins.union(cache.origin.others)
    return _wanted(whole, uses=uses, siblings=frozenset(siblings), origins=origins)


def _router(cache: shape.Cache, name: str, addresses: Addresses, admin: str) -> Wanted:
    terms = cache.terms
    route = document.Route(
        name=cache.name,
        key=cache.key,
        function=cache.function,
        shards=tuple(
            document.Shard(name=shard.name, replicas=shard.nodes) for shard in cache.shards
        ),
        origin=_origin(cache),
        health=HEALTH,
        retries=document.Retries(
            percent=terms.retries_percent,
            attempts_max=terms.attempts_max,
            fallback=terms.fallback,
        ),
        buffer_bytes=terms.buffer_bytes,
    )
    whole = document.Document(
        schema=SCHEMA,
        epoch=0,
        generation=0,
        listeners=(_listener(cache, addresses[name]),),
        nodes=tuple(document.Node(id=node, address=addresses[node]) for node in cache.nodes),
        routes=(route,),
        admin=document.Admin(path=admin),
        limits=document.Limits(
            requests_max=terms.requests_max,
            upstream_requests_max=terms.node_requests_max,
            queue_max=terms.queue_max,
            queue_timeout_ms=terms.queue_timeout_ms,
            drain_timeout_ms=terms.drain_timeout_ms,
        ),
        access_log=(
            document.AccessLog(one_in=terms.access_log_one_in)
            if terms.access_log_one_in is not None
            else None
        ),
    )
    nodes, origins = frozenset(cache.nodes), _origins(cache)
    uses = nodes | origins.union(cache.origin.others)
    return _wanted(whole, needs=nodes, uses=uses, origins=origins)


def _pool_router(pool: shape.Pool, name: str, addresses: Addresses, admin: str) -> Wanted:
    whole = pooling.document_of(pool, address=addresses[name], servers=addresses, admin=admin)
    servers = frozenset(pool.servers)
    return _wanted(whole, needs=servers, uses=servers)


def _beside(pod: pods.Pod, asked: Sequence[shape.Pool], addresses: Addresses) -> Wanted:
    servers = frozenset(name for pool in asked for name in pool.servers)
    return _wanted(pooling.document_beside(pod, asked, addresses), needs=servers, uses=servers)


def _origin(cache: shape.Cache) -> document.Origin:
    return document.Origin(address=cache.origin.address, host=cache.origin.host)


def _origins(cache: shape.Cache) -> frozenset[str]:
    return frozenset({cache.origin.process} if cache.origin.process is not None else ())


def _listener(
    cache: shape.Cache, address: str, *, inner: tuple[str, ...] = ()
) -> document.Listener:
    return document.Listener(name=shape.LISTENER, address=address, serves=cache.name, inner=inner)


def _wanted(
    whole: document.Document,
    *,
    needs: frozenset[str] = frozenset(),
    uses: frozenset[str] = frozenset(),
    siblings: frozenset[str] = frozenset(),
    origins: frozenset[str] = frozenset(),
) -> Wanted:
    body = {**whole.to_json(), "about": told.about(whole).to_json()}
    del body["epoch"], body["generation"]
    return Wanted(_canonical(body), needs, uses, siblings, origins)


def _canonical(body: Mapping[str, object]) -> str:
    return json.dumps(body, sort_keys=True)
