"""Hold what should exist: processes, the sockets and probes they have, and the caches they form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from alongside import document
    from alongside.plan import pods

Role = Literal["app", "server", "node", "router"]
"""`app` is a pod, or a process of a user's; `server` a packaged memcached or Redis; the others are
the data plane's."""
EngineName = Literal["process", "namespaces", "docker"]
Way = Literal["rolling", "recreate", "ordered"]
"""How a workload's pods are replaced: new ones first, all at once after all old ones have gone, or
one after the other from the last to the first."""
LISTENER = "http"
"""The name of the one listener of what serves HTTP; of others it is their protocol."""
OWN_SOCKET = "{socket}"
"""Stands among a server's words for the path of the UNIX socket where it is to listen."""


@dataclass(frozen=True, slots=True)
class Socket:
    """A listening TCP socket that the engine binds and a process is given."""

    name: str
    host: str
    port: int
    """0 lets the engine choose a free one."""
    shared_by: str = ""
    """Processes whose sockets are equal and name the same group are given one and the same."""


@dataclass(frozen=True, slots=True)
class Probe:
    """How to see that a process can be used, and how often to look; times in seconds."""

    way: Literal["http", "tcp", "exec", "admin", "memcache", "redis"]
    """The last two ask a server at its own socket."""
    address: str = ""
    """HOST:PORT for http and tcp."""
    path: str = "/"
    command: tuple[str, ...] = ()
    delay_s: float = 0.0
    period_s: float = 10.0
    timeout_s: float = 1.0
    successes: int = 1
    failures: int = 3


@dataclass(frozen=True, slots=True)
class Process:
    """One process to keep running. Two equal ones need no restart to become each other."""

    name: str
    role: Role
    argv: tuple[str, ...] = ()
    """Empty for the data plane: the engine knows its binary and where its document lies."""
    environment: tuple[tuple[str, str], ...] = ()
    directory: str | None = None
    sockets: tuple[Socket, ...] = ()
    claims: tuple[str, ...] = ()
    """Addresses that it binds by itself."""
    probe: Probe | None = None
    grace_s: float = field(default=30.0, compare=False)
    """Between SIGTERM and SIGKILL; another one needs no restart."""
    restart: pods.Restart = "always"
    pod: pods.Pod | None = None
    """What runs, where this is a pod; `argv`, `environment`, `directory`, `probe` are empty."""
    after: tuple[str, ...] = ()
    """Processes that have to be ready, or to have ended well, before it is started."""
    after_end: tuple[str, ...] = ()
    """Processes that have to have ended well before it is started."""
    group: str = ""
    """The workload that it is one of, as `StatefulSet/NAME`; its pods are replaced as that says."""

    @property
    def is_data_plane(self) -> bool:
        """Whether our binary runs it by a document."""
        return self.role in {"node", "router"}

    @property
    def has_document(self) -> bool:
        """Whether something in it is told what to do by a document of the plan's."""
        containers = self.pod.containers if self.pod is not None else ()
        return self.is_data_plane or any(one.is_ours for one in containers)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a cache gets what it does not have."""

    address: str
    host: str | None = None
    """The Host header to send; None passes the client's."""
    process: str | None = None
    """The process of the plan that answers there, or the first of them."""
    others: tuple[str, ...] = ()
    """Processes that answer there too, behind a Service."""
    service: str = ""
    """`NAME:PORT` of a Service, whose address is known when it is served; `address` is empty."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A fraction of a cache's keys; its name is what is hashed."""

    name: str
    nodes: tuple[str, ...]
    """The names of the processes that serve it, which are also their ids; at least one."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a cache's routers and nodes do under failure and load, as its file says."""

    buffer_bytes: int = 64 * 2**10
    fallback: Literal["origin", "next_shard", "error"] = "origin"
    retries_percent: int = 20
    attempts_max: int = 3
    requests_max: int = 8192
    node_requests_max: int = 4096
    queue_max: int = 1024
    queue_timeout_ms: int = 1000
    access_log_one_in: int | None = None
    """None for no access log."""
    warm_bytes_per_s: int | None = 32 * 2**20
    """None for no warm-up."""
    drain_timeout_ms: int = 10_000
    """What a router or node that ends gives the requests and tunnels it has."""


@dataclass(frozen=True, slots=True)
class Cache:
    """A sharded cache: the processes that route, the nodes of its shards, and how to place keys."""

    name: str
    routers: tuple[str, ...]
    """At least one; they share their address."""
    shards: tuple[Shard, ...]
    origin: Origin
    key: str
    function: Literal["modulo", "ketama"]
    memory_bytes: int
    """Of each node."""
    terms: Terms = field(default_factory=Terms)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes of all shards, shard by shard."""
        return tuple(node for shard in self.shards for node in shard.nodes)


@dataclass(frozen=True, slots=True)
class Pool:
    """A sharded cache of memcache or Redis: its servers, which are its shards, and its routers."""

    name: str
    protocol: Literal["memcache", "redis"]
    access: Literal["service", "ambassador"]
    routers: tuple[str, ...]
    """At least one; they share their address."""
    servers: tuple[str, ...]
    """At least one; the ring is made of these names."""
    function: Literal["modulo", "ketama"]
    hash: document.KeyHash
    hash_tag: str | None
    timeout_ms: int
    eject_failures: int | None
    """After how many failures in a row a server's keys go to the others; None for never."""
    servers_percent_min: int
    """Of the servers that stay: no further one is ejected."""
    memory_bytes: int
    """Of each server."""
    drain_timeout_ms: int
    port: int | None = None
    """Where clients reach it, as written."""
    place: str = field(default="", compare=False)
    """Where a user wrote the protocol: `file:line: kind/name: field`."""


@dataclass(frozen=True, slots=True)
class Workload:
    """How pods of one group are replaced by those of another template."""

    name: str
    """As `Process.group` says it: `Deployment/web`."""
    way: Way = "rolling"
    surge: int = 0
    """Of `rolling`: how many pods there may be beyond the planned ones meanwhile."""
    unavailable: int = 0
    """Of `rolling`: how many of the planned number may be missing or unready meanwhile."""


@dataclass(frozen=True, slots=True)
class Job:
    """What the pods of a group may take together until they have ended well."""

    name: str
    """As `Process.group` says it: `Job/migrate`."""
    retries: int = 6
    """backoffLimit."""
    deadline_s: float | None = None
    """activeDeadlineSeconds: from the Job's start, over all its pods."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that should exist, in the order of starting; the reverse is the order of stopping."""

    processes: tuple[Process, ...] = ()
    caches: tuple[Cache, ...] = ()
    warnings: tuple[str, ...] = ()
    places: tuple[tuple[str, str], ...] = ()
    """Where a user wrote each process's port: `NAME:PORT` and `file:line: kind/name: field`."""
    services: tuple[pods.Service, ...] = ()
    engine: EngineName = "process"
    """What runs the pods; `auto` is decided by then."""
    engine_reason: str = field(default="", compare=False)
    """Why that engine, as a sentence for people; empty where there is no pod."""
    workloads: tuple[Workload, ...] = ()
    jobs: tuple[Job, ...] = ()
    pools: tuple[Pool, ...] = ()

    def workload(self, name: str) -> Workload | None:
        """Return the workload of a name, or None."""
        return next((one for one in self.workloads if one.name == name), None)

    def place(self, name: str, port: int) -> str:
        """Return where a process was given a port, for messages; its name where nobody wrote it."""
        return dict(self.places).get(f"{name}:{port}", name)

    def process(self, name: str) -> Process | None:
        """Return the process of a name, or None."""
        return next((process for process in self.processes if process.name == name), None)

    def cache_of(self, process: str) -> Cache | None:
        """Return the cache that a node or router belongs to, or None."""
        return next((one for one in self.caches if process in (*one.routers, *one.nodes)), None)

    def cache(self, name: str) -> Cache | None:
        """Return the cache of a name, or None."""
        return next((cache for cache in self.caches if cache.name == name), None)

    def pool(self, name: str) -> Pool | None:
        """Return the pool of a name, or None."""
        return next((pool for pool in self.pools if pool.name == name), None)

    def pool_of(self, process: str) -> Pool | None:
        """Return the pool that a server or router belongs to, or None."""
        return next((one for one in self.pools if process in (*one.routers, *one.servers)), None)
