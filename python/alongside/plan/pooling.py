"""Plan a sharded cache of memcache or Redis: its servers, its routers, and the routers' document.

The servers are the packaged ones. Each listens at a UNIX socket of its own in the project's folder,
which only its user reaches, so it needs no port and cannot be met at one. Its name in the ring is
that of its shard, so a server keeps its keys wherever it listens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alongside import document
from alongside.plan import dataplane, shape

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from alongside.resources import pools, reading

PROGRAMS: Mapping[Literal["memcache", "redis"], str] = {
    "memcache": "memcached",
    "redis": "redis-server",
}
PROBE_PERIOD_S = 10.0
PROBE_TIMEOUT_S = 2.0
"""Seldom: a death is told at once, and of a server that hangs routers find out by themselves."""
GRACE_S = 10.0
"""For a server to end: it has nothing to write."""
RETRY_MS = 500
"""Between two looks of a router at a server that it does not use."""
CONNECT_TIMEOUT_MS = 1000
SCHEMA = 1
_MEBI = 2**20
_THREADS = 2
"""Of one memcached: there are as many of them as shards, on one machine."""


def pool(cache: reading.Resource[pools.PooledCache]) -> shape.Pool:
    """Return what a file says of such a cache."""
    spec, name = cache.model.spec, cache.name
    return shape.Pool(
        name,
        spec.protocol,
        spec.access,
        tuple(f"{name}-router-{at}" for at in range(spec.routers)),
        tuple(f"{name}-{at}" for at in range(spec.shards)),
        spec.function,
        spec.hash,
        spec.hash_tag,
        timeout_ms=spec.timeout,
        eject_failures=spec.eject.failures,
        servers_percent_min=spec.eject.min_percent,
        memory_bytes=spec.memory,
        drain_timeout_ms=spec.drain_timeout,
        place=str(cache.problem(("spec", "protocol"), "")),
    )


def processes(one: shape.Pool, *, host: str, port: int) -> list[shape.Process]:
    """Return a pool's servers, then its routers, which share the address."""
    door = shape.Socket(one.protocol, host, port, one.name)
    return [
        *(_server(one, name) for name in one.servers),
        *(
            dataplane.process(name, "router", door, drain_timeout_ms=one.drain_timeout_ms)
            for name in one.routers
        ),
    ]


def workload(one: shape.Pool) -> shape.Workload:
    """Return how servers get other words: one after the other, since each loses what it holds."""
    return shape.Workload(_group(one), "rolling", surge=0, unavailable=1)


def _group(one: shape.Pool) -> str:
    return f"ShardedCache/{one.name}"


def _server(one: shape.Pool, name: str) -> shape.Process:
    return shape.Process(
        name,
        "server",
        argv=_words(one),
        probe=shape.Probe(one.protocol, period_s=PROBE_PERIOD_S, timeout_s=PROBE_TIMEOUT_S),
        grace_s=GRACE_S,
        group=_group(one),
    )


def _words(one: shape.Pool) -> tuple[str, ...]:
    program, megabytes = PROGRAMS[one.protocol], one.memory_bytes // _MEBI
    if one.protocol == "memcache":
        # As root it wants to be told whom to become; nobody else reads the word.
        reach = ("-s", shape.OWN_SOCKET, "-a", "0600", "-u", "root")
        return (program, *reach, "-m", str(megabytes), "-t", str(_THREADS))
    reach = ("--port", "0", "--unixsocket", shape.OWN_SOCKET, "--unixsocketperm", "600")
    memory = ("--maxmemory", f"{megabytes}mb", "--maxmemory-policy", "allkeys-lru")
    return (program, *reach, *memory, "--save", "", "--appendonly", "no", "--databases", "1")


def document_of(
    one: shape.Pool, *, address: str, servers: Mapping[str, str], admin: str
) -> document.Document:
    """Return what a router of a pool serves.

    Args:
        one: the pool.
        address: where the router listens.
        servers: the address of each server.
        admin: the path of the router's admin socket.
    """
    ejection = None
    if one.eject_failures is not None:
        ejection = document.Ejection(
            failures=one.eject_failures, servers_percent_min=one.servers_percent_min
        )
    served = document.Pool(
        name=one.name,
        protocol=one.protocol,
        placement=document.PoolPlacement(
            function=one.function,
            compatible_with="twemproxy",
            hash=one.hash,
            hash_tag=one.hash_tag,
        ),
        servers=tuple(document.Server(name=name, address=servers[name]) for name in one.servers),
        timeout_ms=one.timeout_ms,
        connect_timeout_ms=CONNECT_TIMEOUT_MS,
        retry_ms=RETRY_MS,
        ejection=ejection,
    )
    return document.Document(
        schema=SCHEMA,
        epoch=0,
        generation=0,
        listeners=(document.Listener(name=one.protocol, address=address, serves=one.name),),
        pools=(served,),
        admin=document.Admin(path=admin),
        limits=document.Limits(drain_timeout_ms=one.drain_timeout_ms),
    )
