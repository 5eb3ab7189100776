"""Say what is measured: the work, who does it, and the budget it is held against."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.http import figures, load, ours, peers, servers

NGINX, TUNED, VARNISH, HAPROXY = "nginx", "nginx-tuned", "varnish", "haproxy"
PROTOTYPE = "prototype"
SHARDS = 4
REPLICAS = 2
SMALL_BYTES = 1024
LARGE_BYTES = 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Site:
    """Where a case is set up: a folder in memory, the binaries, the ports of the origins."""

    folder: Path
    binary: Path
    prototype: Path | None
    origins: tuple[int, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Contestant:
    """Who does the work: the processes, and the port where requests come in."""

    name: str
    port: int
    programs: tuple[servers.Program, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One kind of work.

    `budgets` are the greatest ratios allowed, by peer; `is_cached` says that once every target
    was asked for, the origin must hear nothing more, `is_spread` that all origins are asked.
    """

    name: str
    what: str
    budgets: Mapping[str, float]
    contestants: Callable[[Site], list[Contestant]]
    body_bytes: int = SMALL_BYTES
    connections: int = 64
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    is_cached: bool = False
    is_spread: bool = True
    is_tls: bool = False


def routers(site: Site) -> list[Contestant]:
    """Return routers that hash the target over all origins."""
    first, second, third = servers.free_ports(3)
    # Two replicas a shard at one address: their work, on the same upstreams as nginx's.
    document = ours.router(first, [(origin, origin) for origin in site.origins])
    name = figures.OURS
    found = [
        _one(name, ours.program("ours", site.binary, document, first, site.folder)),
        _one(NGINX, peers.router("nginx", second, site.origins, site.folder)),
    ]
    return found + _prototype(site, third, site.origins)


def sealed_routers(site: Site) -> list[Contestant]:
    """Return routers as `routers` does, behind TLS 1.3."""
    first, second = servers.free_ports(2)
    pair = peers.pair(site.folder)
    document = ours.router(first, [(origin, origin) for origin in site.origins])
    sealed = ours.sealed(document, pair)
    return [
        _one(figures.OURS, ours.program("ours", site.binary, sealed, first, site.folder)),
        _one(NGINX, peers.router("nginx", second, site.origins, site.folder, pair=pair)),
    ]


def sidecars(site: Site) -> list[Contestant]:
    """Return what speaks TLS 1.3 for one program, which is the first origin."""
    first, second, third = servers.free_ports(3)
    pair, origin = peers.pair(site.folder), site.origins[0]
    sealed = ours.sealed(ours.sidecar(first, origin), pair)
    found = [
        _one(figures.OURS, ours.program("ours", site.binary, sealed, first, site.folder)),
        _one(NGINX, peers.router("nginx", second, [origin], site.folder, pair=pair)),
    ]
    if peers.is_installed("haproxy"):
        found.append(_one(HAPROXY, peers.haproxy(HAPROXY, third, origin, site.folder, pair)))
    return found


def caches(site: Site) -> list[Contestant]:
    """Return caches in front of the first origin."""
    origin, folder = site.origins[0], site.folder
    first, *others = servers.free_ports(5)
    document = ours.cache(first, origin)
    tuned = peers.cache(TUNED, others[1], origin, folder, tuning=peers.TUNED)
    found = [
        _one(figures.OURS, ours.program("ours", site.binary, document, first, folder)),
        _one(NGINX, peers.cache(NGINX, others[0], origin, folder)),
        _one(TUNED, tuned),
    ]
    if peers.is_installed("varnishd"):
        found.append(_one(VARNISH, peers.varnish(VARNISH, others[2], origin, folder)))
    return found + _prototype(site, others[3], [origin], "cache")


def paths(site: Site) -> list[Contestant]:
    """Return routers, each in front of a process for every cache; ours has two a shard."""
    origin = site.origins[0]
    first, *nodes = servers.free_ports(1 + SHARDS * REPLICAS)
    second, *others = servers.free_ports(1 + SHARDS)
    shards = [nodes[at : at + REPLICAS] for at in range(0, len(nodes), REPLICAS)]
    document = ours.router(first, shards, origin)
    ours_programs = [ours.program("ours", site.binary, document, first, site.folder)]
    nginx_programs = [peers.router("nginx", second, others, site.folder)]
    for shard in shards:
        for node in shard:
            siblings = [other for other in shard if other != node]
            document = ours.cache(node, origin, ["127.0.0.0/8"], siblings)
            name = f"ours-{node}"
            ours_programs.append(ours.program(name, site.binary, document, node, site.folder))
    for number, other in enumerate(others):
        nginx_programs.append(peers.cache(f"nginx-{number}", other, origin, site.folder))
    return [
        Contestant(figures.OURS, first, tuple(ours_programs)),
        Contestant(NGINX, second, tuple(nginx_programs)),
    ]


def _one(name: str, program: servers.Program) -> Contestant:
    return Contestant(name, program.port, (program,))


def _prototype(site: Site, port: int, upstreams: Sequence[int], *words: str) -> list[Contestant]:
    if site.prototype is None:
        return []
    listen = f"{servers.HOST}:{port}"
    addresses = ",".join(f"{servers.HOST}:{upstream}" for upstream in upstreams)
    command = (str(site.prototype), listen, addresses, *words)
    return [_one(PROTOTYPE, servers.Program(PROTOTYPE, command, port))]


CASES = (
    Case("routing", "routing by consistent hash, 1 KiB", {NGINX: 0.85}, routers),
    Case(
        "routing-headers",
        "the same, 12 request headers",
        {NGINX: 0.85},
        routers,
        headers=load.BROWSER,
    ),
    Case(
        "routing-tls",
        "the same, TLS 1.3, kept connections",
        {NGINX: 0.80},
        sealed_routers,
        is_tls=True,
    ),
    Case(
        "handshake",
        "HTTPS for one program, a handshake for each request",
        {NGINX: 1.0, HAPROXY: 1.0},
        sidecars,
        headers={"Connection": "close"},
        is_spread=False,
        is_tls=True,
    ),
    Case(
        "hit",
        "cache hit, 1 KiB",
        {NGINX: 0.60, TUNED: 0.60, VARNISH: 0.40},
        caches,
        is_cached=True,
        is_spread=False,
    ),
    Case(
        "path",
        "router and two replicas a shard, hit, 1 KiB",
        {NGINX: 1.30},
        paths,
        is_cached=True,
        is_spread=False,
    ),
    Case(
        "large",
        "routing, 1 MiB answers, 16 clients",
        {NGINX: 0.60},
        routers,
        body_bytes=LARGE_BYTES,
        connections=16,
    ),
)
