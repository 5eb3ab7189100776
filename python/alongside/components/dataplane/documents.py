"""Turn the values of `route` and `cache` into the document the data plane reads."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from alongside import document
from alongside.base import errors, nearest, units
from alongside.contract import written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alongside.contract import kinds
    from alongside.contract import values as contract_values

SCHEMA = 1
LISTENER_NAME = "web"
"""The name of the one listener; LISTEN_FDNAMES uses it to pass a socket."""

_SIZE_LIMITS = {
    "head_max": "head_bytes_max",
    "target_max": "target_bytes_max",
    "body_max": "body_bytes_max",
    "body_min": "body_bytes_min",
}
_COUNT_LIMITS = (
    "fields_max",
    "requests_per_connection_max",
    "connections_max",
    "connections_per_address_max",
    "pool_idle_max",
    "requests_max",
    "upstream_requests_max",
    "queue_max",
)
_DURATION_LIMITS = (
    "head_timeout",
    "body_timeout",
    "idle_timeout",
    "connect_timeout",
    "response_timeout",
    "pool_idle_timeout",
    "queue_timeout",
    "tunnel_timeout",
    "drain_timeout",
)
_SHARED_PLACES = {
    "listeners.address": "listen",
    "status": "status",
    "admin": "admin",
    "threads": "threads",
    "access_log": "access_log_one_in",
}
_OPENED = {
    "listeners[0].address": "listen",
    "listeners[1].address": "redirect",
    "status": "status",
    "admin": "admin",
}
"""What is listened at, by its place in a document."""
_PARAMETER_OF = {
    "listeners.inner": "inner",
    "nodes": "node",
    "routes.key": "key",
    "routes.function": "function",
    "routes.shards": "node",
    "routes.origin": "origin",
    "routes.buffer_bytes": "buffer",
    "routes.health.probe": "probe",
    "routes.health.path": "probe_path",
    "routes.health.interval_ms": "probe_interval",
    "routes.health.timeout_ms": "probe_timeout",
    "routes.retries.percent": "retry_percent",
    "routes.retries.fallback": "fallback",
    "caches.origin": "origin",
    "caches.memory_bytes": "memory",
    "caches.object_bytes_max": "object_max",
    "caches.replica": "sibling",
    "caches.replica.id": "id",
    "caches.replica.warm_bytes_per_s": "warm_bandwidth",
}


class Served(NamedTuple):
    """What the listeners of a document serve."""

    routes: tuple[document.Route, ...] = ()
    caches: tuple[document.Cache, ...] = ()
    nodes: tuple[document.Node, ...] = ()
    programs: tuple[document.Program, ...] = ()
    redirects: tuple[document.Redirect, ...] = ()
    pools: tuple[document.Pool, ...] = ()
    twemproxy_stats: document.TwemproxyStats | None = None


def of_route(values: contract_values.Values) -> document.Document:
    """Return the document of one router: a shard for each node, named by the node's ID.

    Raises:
        errors.UsageError: a replica is of no shard, or has the ID of another node; all of them.
    """
    nodes, replicas = values.nodes("node"), values.replicas("replica")
    _check_replicas(nodes, replicas)
    shards = tuple(
        document.Shard(
            name=node.id,
            weight=node.weight,
            replicas=(node.id, *(one.id for one in replicas if one.shard == node.id)),
        )
        for node in nodes
    )
    route = document.Route(
        name="route",
        key=values.text("key"),
        function=_function(values),
        shards=shards,
        origin=_origin(values) if values.is_set("origin") else None,
        health=_health(values),
        retries=document.Retries(
            percent=values.integer("retry_percent"), fallback=_fallback(values)
        ),
        buffer_bytes=values.size_bytes("buffer"),
    )
    places = [document.Node(id=one.id, address=one.address) for one in nodes]
    places += [document.Node(id=one.id, address=one.address) for one in replicas]
    served = Served(routes=(route,), nodes=tuple(places))
    return around(values, (_listener(values, route.name),), served)


def _check_replicas(nodes: Sequence[kinds.Node], replicas: Sequence[kinds.Replica]) -> None:
    names = [node.id for node in nodes]
    problems = []
    for one in replicas:
        if one.shard not in names:
            near = nearest.nearest(one.shard, names)
            hint = f"did you mean {near}?" if near else f"write one of {', '.join(names)}"
            problems.append(
                f"--replica: {units.shown(one.shard)} is the ID of no --node, "
                f"which names a shard; {hint}"
            )
        if one.id in names:
            problems.append(
                f"--replica: {units.shown(one.id)} is the ID of a --node; choose another ID"
            )
    if problems:
        raise errors.UsageError(*problems)


def _health(values: contract_values.Values) -> document.Health:
    """Return how nodes are looked at; a cache's errors and slowness may be its origin's."""
    probe = values.text("probe")
    is_cache = probe == "cache"
    usual = document.Health()
    return document.Health(
        probe="cache" if is_cache else "http" if probe == "http" else "tcp",
        path=values.text("probe_path"),
        interval_ms=round(values.duration_s("probe_interval") * 1000),
        timeout_ms=round(values.duration_s("probe_timeout") * 1000),
        errors_max=None if is_cache else usual.errors_max,
        slow_times=None if is_cache else usual.slow_times,
    )


def _fallback(values: contract_values.Values) -> document.Fallback:
    match values.text("fallback"):
        case "next-shard":
            return "next_shard"
        case "error":
            return "error"
        case _:
            return "origin"


def _origin(values: contract_values.Values) -> document.Origin:
    return document.Origin(address=values.text("origin").removeprefix("http://"))


def of_cache(values: contract_values.Values) -> document.Document:
    """Return the document of one cache.

    Raises:
        errors.UsageError: it has siblings and no ID of its own, or one of them has a weight.
    """
    cache = document.Cache(
        name="cache",
        origin=_origin(values),
        memory_bytes=values.size_bytes("memory"),
        object_bytes_max=values.size_bytes("object_max") if values.is_set("object_max") else None,
        replica=_replica(values),
    )
    return around(values, (_listener(values, cache.name),), Served(caches=(cache,)))


def _replica(values: contract_values.Values) -> document.Replica | None:
    siblings = values.nodes("sibling")
    if not values.is_set("id"):
        if siblings:
            raise errors.UsageError("--sibling: needs an own ID beside it; write --id NAME")
        return None
    weighted = [node.id for node in siblings if node.weight != 1]
    if weighted:
        raise errors.UsageError(f"--sibling: {weighted[0]} has a weight; write ID=HOST:PORT alone")
    return document.Replica(
        id=values.text("id"),
        siblings=tuple(document.Node(id=node.id, address=node.address) for node in siblings),
        warm_bytes_per_s=values.size_bytes("warm_bandwidth"),
    )


def _function(values: contract_values.Values) -> document.Function:
    return "modulo" if values.text("function") == "modulo" else "ketama"


def _listener(values: contract_values.Values, serves: str) -> document.Listener:
    return document.Listener(
        name=LISTENER_NAME,
        address=values.text("listen"),
        serves=serves,
        inner=values.texts("inner"),
    )


def around(
    values: contract_values.Values,
    listeners: tuple[document.Listener, ...],
    served: Served,
    *,
    generation: int = 1,
) -> document.Document:
    """Return the document of what is served, with doors, limits and what else all have alike."""
    status, admin, access_log = None, None, None
    if values.is_set("status"):
        status = document.Status(address=values.text("status"))
    if values.is_set("admin"):
        admin = document.Admin(path=os.path.abspath(values.text("admin")))
    if _has(values, "access_log_one_in"):
        access_log = document.AccessLog(one_in=values.integer("access_log_one_in"))
    return document.Document(
        schema=SCHEMA,
        epoch=0,
        generation=generation,
        threads=values.integer("threads"),
        listeners=listeners,
        routes=served.routes,
        caches=served.caches,
        nodes=served.nodes,
        programs=served.programs,
        redirects=served.redirects,
        pools=served.pools,
        twemproxy_stats=served.twemproxy_stats,
        limits=_limits(values),
        status=status,
        admin=admin,
        access_log=access_log,
        about=_about(values),
        places=_places(values),
    )


def _limits(values: contract_values.Values) -> document.Limits:
    sizes = {field: values.size_bytes(n) for n, field in _SIZE_LIMITS.items() if _has(values, n)}
    counts = {name: values.integer(name) for name in _COUNT_LIMITS if _has(values, name)}
    durations = {
        f"{name}_ms": round(values.duration_s(name) * 1000)
        for name in _DURATION_LIMITS
        if _has(values, name)
    }
    return document.Limits(**(sizes | counts | durations))


def _has(values: contract_values.Values, name: str) -> bool:
    """Return whether a component has a parameter, and it a value."""
    return any(one.name == name for one in values.contract.parameters) and values.is_set(name)


def _places(values: contract_values.Values) -> tuple[document.Place, ...]:
    """Return where that was written which only the process that serves it can refuse."""
    return tuple(
        document.Place(path=path, written=values.place(name))
        for path, name in _OPENED.items()
        if _has(values, name)
    )


def _about(values: contract_values.Values) -> document.About:
    """Return what a process says of itself at /version: its contract and effective values."""
    shown = [
        document.EffectiveValue(name=name, texts=texts) for name, texts in values.shown().items()
    ]
    return document.About(
        component=values.contract.component,
        contract=written.digest(values.contract),
        values=tuple(shown),
    )


def parameter_of(path: str, places: Mapping[str, str] | None = None) -> str | None:
    """Return the parameter that a place in a document came from, such as `routes[0].key`.

    None where it came from no single one, which is a mistake of ours and not of a user.

    Args:
        path: the place, as the data plane's checks name it.
        places: the parameters of a component that has others, by place, without indexes.
    """
    known = {**_SHARED_PLACES, **(_PARAMETER_OF if places is None else places)}
    plain = re.sub(r"\[[0-9]+\]", "", path)
    limit = plain.removeprefix("limits.")
    if limit != plain:
        sizes = {field: name for name, field in _SIZE_LIMITS.items()}
        durations = {f"{name}_ms": name for name in _DURATION_LIMITS}
        counts = {name: name for name in _COUNT_LIMITS}
        return (sizes | durations | counts).get(limit)
    near = [prefix for prefix in known if plain == prefix or plain.startswith(f"{prefix}.")]
    return known[max(near, key=len)] if near else None
