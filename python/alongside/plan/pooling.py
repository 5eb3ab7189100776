"""Plan a sharded cache of memcache or Redis: its servers, its routers, and the routers' document.

The servers are the packaged ones. Each listens at a UNIX socket of its own in the project's folder,
which only its user reaches, so it needs no port and cannot be met at one. Its name in the ring is
that of its shard, so a server keeps its keys wherever it listens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alongside import document
from alongside.plan import ambassadors, dataplane, pods, shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Literal

    from alongside.plan import places as shared
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
_GROUP = "ShardedCache/"
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
        port=spec.port,
        place=str(cache.problem(("spec", "protocol"), "")),
    )


def servers(one: shape.Pool) -> list[shape.Process]:
    """Return a pool's servers."""
    return [_server(one, name) for name in one.servers]


def routers(one: shape.Pool, *, host: str, port: int) -> list[shape.Process]:
    """Return a pool's routers, which share the address."""
    door = shape.Socket(one.protocol, host, port, one.name)
    return [
        dataplane.process(name, "router", door, drain_timeout_ms=one.drain_timeout_ms)
        for name in one.routers
    ]


def router_pods(one: shape.Pool, places: shared.Places, place: str) -> list[shape.Process]:
    """Return a pool's routers as pods, for where pods have a network of their own.

    Args:
        one: the pool.
        places: where it shares its sockets with them.
        place: where a user wrote it, for messages.
    """
    grace_s = one.drain_timeout_ms / 1000 + dataplane.DRAIN_MARGIN_S
    made = [
        pods.Pod(name, (), grace_s=grace_s, owner=_group(one), pools=(one.name,), place=place)
        for name in one.routers
    ]
    return [
        shape.Process(
            pod.name,
            "app",
            pod=ambassadors.alone(pod, places),
            grace_s=grace_s,
            group=_router_group(one),
        )
        for pod in made
    ]


def service(one: shape.Pool, *, is_published: bool, place: str) -> pods.Service:
    """Return the Service of routers that are pods: the cache's name."""
    number = port_of(one)
    return pods.Service(
        one.name,
        (pods.ServicePort(number, one.protocol),),
        (tuple(pods.Endpoint(name, number) for name in one.routers),),
        is_published=is_published,
        place=place,
    )


def port_of(one: shape.Pool) -> int:
    """Return where clients reach a pool in a network of pods."""
    return ambassadors.USUAL_PORTS[one.protocol] if one.port is None else one.port


def workloads(one: shape.Pool) -> Iterator[shape.Workload]:
    """Yield how its processes get other words: one after the other.

    A server loses what it holds; of routers, there is always another one for who comes.
    """
    yield shape.Workload(_group(one), "rolling", surge=0, unavailable=1)
    yield shape.Workload(_router_group(one), "rolling", surge=0, unavailable=1)


def owner(server: shape.Process) -> str:
    """Return the name of the cache whose server a process is."""
    return server.group.removeprefix(_GROUP)


def _group(one: shape.Pool) -> str:
    return f"{_GROUP}{one.name}"


def _router_group(one: shape.Pool) -> str:
    return f"{_group(one)}/routers"


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
    return _document([(one, address, servers)], admin=admin, drain_timeout_ms=one.drain_timeout_ms)


def document_beside(
    pod: pods.Pod, pools_: Sequence[shape.Pool], servers: Mapping[str, str]
) -> document.Document:
    """Return what a pod's own ambassador serves, or a router that is a pod.

    Args:
        pod: it has one.
        pools_: the caches that it asks, in its order.
        servers: the address of each server on this machine.
    """
    is_router = pod.name in pools_[0].routers
    host = ambassadors.HOSTS[ambassadors.ROUTER if is_router else ambassadors.CONTAINER]
    served = [
        (
            one,
            f"{host}:{port_of(one)}",
            ambassadors.inside(pod, one.name, {name: servers[name] for name in one.servers}),
        )
        for one in pools_
    ]
    return _document(
        served,
        admin=ambassadors.admin(),
        drain_timeout_ms=max(one.drain_timeout_ms for one in pools_),
    )


def _document(
    served: Sequence[tuple[shape.Pool, str, Mapping[str, str]]],
    *,
    admin: str,
    drain_timeout_ms: int,
) -> document.Document:
    return document.Document(
        schema=SCHEMA,
        epoch=0,
        generation=0,
        listeners=tuple(
            document.Listener(
                name=one.protocol if len(served) == 1 else one.name,
                address=address,
                serves=one.name,
            )
            for one, address, _ in served
        ),
        pools=tuple(_pool(one, servers) for one, _, servers in served),
        admin=document.Admin(path=admin),
        limits=document.Limits(drain_timeout_ms=drain_timeout_ms),
    )


def _pool(one: shape.Pool, servers: Mapping[str, str]) -> document.Pool:
    ejection = None
    if one.eject_failures is not None:
        ejection = document.Ejection(
            failures=one.eject_failures, servers_percent_min=one.servers_percent_min
        )
    return document.Pool(
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
