"""Show a project as data: the shape that `status --json`, the live table and the console read."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, TypedDict

from alongside.base import release
from alongside.engines.pods import driver
from alongside.plan import pooling
from alongside.server import pooled

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from alongside.engines.local import members
    from alongside.plan import shape
    from alongside.server import rolling, sampling, supervisor, traffic

    Samples = Mapping[str, sampling.Sample]


class ContainerStatus(TypedDict):
    """A container of a pod."""

    name: str
    kind: str
    """`init`, `sidecar` or `main`."""
    state: str
    """`waiting`, `running` or `terminated`."""
    reason: str
    """Kubernetes' word, such as `CrashLoopBackOff`; empty where it runs."""
    message: str
    ready: bool
    started: bool
    restarts: int
    id: str
    """A pid or a container's id; empty where it does not run."""
    exit_code: int | None
    """Of its latest run that ended."""
    since_s: float


class ProcessStatus(TypedDict):
    """One process; times in seconds, ratios from 0 to 1. None is what is not known or not so."""

    name: str
    role: str
    state: str
    pid: int | None
    address: str | None
    restarts: int
    reason: str
    since_s: float
    requests_per_s: float | None
    hit_ratio: float | None
    in_flight: int | None
    """Of a router, requests that nodes are answering for it; of a node, for all routers."""
    share_ratio: float | None
    """Of a node, the part of its requests that it gets, over the routers; 0 while it is left."""
    warmth_ratio: float | None
    epoch: int | None
    generation: int | None
    """Both of the document in force."""
    silent: bool
    """Whether it was asked in vain for its figures, when that was last tried."""
    phase: str | None
    """Of a pod: `Pending`, `Running`, `Succeeded` or `Failed`."""
    group: str | None
    """The workload that a pod is one of, as `Deployment/web`."""
    containers: list[ContainerStatus]
    """Of a pod, in its order."""


class NodeStatus(TypedDict):
    """One replica of a shard as the routers that answer see it."""

    name: str
    shares: dict[str, float]
    """By router."""
    warmth_ratio: float | None
    in_flight: int | None
    left: dict[str, int]
    """How often routers left it, by reason."""
    purges_owed: int


class ShardStatus(TypedDict):
    """One shard and its replicas."""

    name: str
    replicas: list[NodeStatus]


class CacheStatus(TypedDict):
    """One sharded cache, where clients reach it, and how it does; counts since the start."""

    name: str
    address: str | None
    origin: str
    key: str
    function: str
    memory_bytes: int
    fallback: str
    routers: list[str]
    shards: list[ShardStatus]
    requests_per_s: float | None
    """Of all routers that answer."""
    hit_ratio: float | None
    """Of all nodes that answer: requests that the node asked had an answer for."""
    spared_ratio: float | None
    """Of all nodes that answer: requests that did not reach the origin, by a sibling's help too."""
    in_flight: int | None
    retries: dict[str, int]
    fallbacks: dict[str, int]
    resumed: int


class Status(TypedDict):
    """A whole project."""

    project: str
    supervisor_pid: int
    version: str
    """Of the supervisor, which stays what it is while newer commands speak to it."""
    folder: str
    files: list[str]
    engine: str | None
    """What runs the pods; None where there are none."""
    engine_reason: str
    services: dict[str, dict[str, str]]
    """Where this machine reaches each port of each Service that is served."""
    console: str
    """The address of the project's page, with its token; empty for who may not know it."""
    ready: bool
    leaving: list[str]
    """Processes that were told to end and finish what they have; their grace bounds that."""
    failed: dict[str, str]
    """Jobs that failed, as `Job/migrate`, and why: they are not tried again."""
    warnings: list[str]
    caches: list[CacheStatus]
    pools: list[pooled.PoolStatus]
    """The caches of memcache and Redis."""
    processes: list[ProcessStatus]
    restart: rolling.RestartStatus | None
    """The present or last one."""


async def of(watched: supervisor.Supervisor, *, now_s: float) -> Status:
    """Return the state of everything, in the plan's order; what is being removed comes last."""
    samples = await watched.sampler.sample()
    running = watched.engine
    planned = [process.name for process in watched.plan.processes]
    removed = [name for name in running.children if name not in planned]
    sources = watched.sources
    return Status(
        project=running.setting.project,
        supervisor_pid=os.getpid(),
        version=release.version(),
        folder=watched.folder,
        files=[source.file for source in sources],
        engine=watched.plan.engine if watched.plan.engine_reason else None,
        engine_reason=watched.plan.engine_reason,
        services=_services(running.published()),
        console="",
        ready=watched.is_ready(),
        leaving=running.leaving(),
        failed=dict(running.failed_jobs()),
        warnings=watched.warnings(),
        caches=[_cache(watched, cache, samples) for cache in watched.plan.caches],
        pools=[pooled.status(watched, pool, samples) for pool in watched.plan.pools],
        processes=[_process(watched, name, samples, now_s) for name in (*planned, *removed)],
        restart=watched.rolling.status(),
    )


def _services(published: Mapping[str, str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for name, address in published.items():
        service, _, port = name.rpartition(":")
        found.setdefault(service, {})[port] = address
    return found


def _sights(routers: Iterable[str], samples: Samples) -> dict[str, traffic.Sight]:
    """Return what each router that answers says of its nodes."""
    found = {name: samples[name].reading.sight for name in routers if name in samples}
    return {name: sight for name, sight in found.items() if sight is not None}


def _cache(watched: supervisor.Supervisor, cache: shape.Cache, samples: Samples) -> CacheStatus:
    sights = _sights(cache.routers, samples)
    owed = watched.purges.owed()
    nodes = [samples[name].reading for name in cache.nodes if name in samples]
    requests = sum(reading.requests for reading in nodes)
    asked = sum(reading.origin_requests for reading in nodes)
    rates = [samples[name].rate.requests_per_s for name in cache.routers if name in samples]
    return CacheStatus(
        name=cache.name,
        address=watched.engine.sockets.address(cache.routers[0]),
        origin=watched.origin(cache) or f"Service/{cache.origin.service}",
        key=cache.key,
        function=cache.function,
        memory_bytes=cache.memory_bytes,
        fallback=cache.terms.fallback,
        routers=list(cache.routers),
        shards=[
            ShardStatus(
                name=shard.name,
                replicas=[_node(name, sights, owed.get(name, 0)) for name in shard.nodes],
            )
            for shard in cache.shards
        ],
        requests_per_s=round(sum(rates), 1) if rates else None,
        hit_ratio=sum(reading.hits or 0.0 for reading in nodes) / requests if requests else None,
        spared_ratio=1.0 - min(1.0, asked / requests) if requests else None,
        in_flight=_sum(sum(sight.in_flight.values()) for sight in sights.values()),
        retries=_added(sight.retries for sight in sights.values()),
        fallbacks=_added(sight.fallbacks for sight in sights.values()),
        resumed=sum(sight.resumed for sight in sights.values()),
    )


def _node(name: str, sights: Mapping[str, traffic.Sight], owed: int) -> NodeStatus:
    shares = {
        router: sight.shares[name] for router, sight in sights.items() if name in sight.shares
    }
    return NodeStatus(
        name=name,
        shares=shares,
        warmth_ratio=_mean(one.warmths[name] for one in sights.values() if name in one.warmths),
        in_flight=_sum(one.in_flight[name] for one in sights.values() if name in one.in_flight),
        left=_added(one.left.get(name, {}) for one in sights.values()),
        purges_owed=owed,
    )


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return sum(found) / len(found) if found else None


def _sum(values: Iterable[int]) -> int | None:
    found = list(values)
    return sum(found) if found else None


def _added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(total)


def _process(
    watched: supervisor.Supervisor, name: str, samples: Samples, now_s: float
) -> ProcessStatus:
    child = watched.engine.children.get(name)
    pod = child if isinstance(child, driver.PodChild) else None
    planned = watched.plan.process(name)
    process = child.process if child is not None else planned
    sample = samples.get(name)
    address = watched.engine.sockets.address(name)
    if address is None and process is not None:
        address = next(iter(process.claims), None)
        if process.role == "server":
            places = watched.engine.setting.folders
            address = f"unix:{places.server(name, pooling.owner(process))}"
    if pod is not None and pod.address and (address is None or pod.address not in address):
        address = pod.address
    containers = _containers(pod, now_s) if pod is not None else []
    cache = watched.plan.cache_of(name)
    sights = _sights(cache.routers, samples) if cache is not None else {}
    node = _node(name, sights, 0)
    in_flight = _sum(sights[name].in_flight.values()) if name in sights else node["in_flight"]
    reading = sample.reading if sample is not None else None
    return ProcessStatus(
        name=name,
        role=process.role if process is not None else "app",
        state=child.state if child is not None else "planned",
        pid=_pid(child, containers),
        address=address,
        restarts=child.restarts if child is not None else 0,
        reason=child.reason if child is not None else _failed(watched, process),
        since_s=round(now_s - child.since_s, 3) if child is not None else 0.0,
        requests_per_s=round(sample.rate.requests_per_s, 1) if sample is not None else None,
        hit_ratio=sample.rate.hit_ratio if sample is not None else None,
        in_flight=in_flight,
        share_ratio=_mean(node["shares"].values()),
        warmth_ratio=node["warmth_ratio"],
        epoch=reading.epoch if reading is not None else None,
        generation=reading.generation if reading is not None else None,
        silent=watched.sampler.is_silent(name),
        phase=pod.phase if pod is not None else None,
        group=(process.group or None) if process is not None else None,
        containers=containers,
    )


def _failed(watched: supervisor.Supervisor, process: shape.Process | None) -> str:
    """Return why a pod that is not there does not start any more."""
    return watched.engine.failed_jobs().get(process.group, "") if process is not None else ""


def _containers(pod: driver.PodChild, now_s: float) -> list[ContainerStatus]:
    return [
        ContainerStatus(
            name=one.name,
            kind=one.kind,
            state=one.stage,
            reason=one.reason,
            message=one.message,
            ready=one.is_ready,
            started=one.is_started,
            restarts=one.restarts,
            id=one.identity,
            exit_code=one.last.code if one.last is not None else None,
            since_s=round(now_s - one.since_s, 3),
        )
        for one in pod.containers()
    ]


def _pid(child: members.Member | None, containers: Iterable[ContainerStatus]) -> int | None:
    """Return the process of something; of a pod, its first container's of the main ones."""
    mains = [one["id"] for one in containers if one["kind"] == "main"]
    if mains and mains[0].isdecimal():
        return int(mains[0])
    return child.identity.pid if child is not None and child.identity is not None else None
