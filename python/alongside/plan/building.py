"""Turn resources into a plan, or into every reason why they cannot run together."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.plan import (
    accompanying,
    ambassadors,
    choosing,
    claiming,
    collisions,
    dataplane,
    loopback,
    origins,
    pooling,
    shape,
    translating,
)
from alongside.resources import problems, reading
from alongside.resources.kubernetes import workloads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alongside.plan import commands, pods
    from alongside.resources import kinds, pools

GRACE_S = translating.GRACE_S
NODES_MAX = 256
"""Of one cache: each is a process here; more belong on more than one machine."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What files ask for, before it is known what runs their pods."""

    resources: reading.Resources
    translated: translating.Translated
    site: claiming.Site

    @property
    def has_pods(self) -> bool:
        """Whether there is a pod, or could be one when a workload has more than none."""
        return bool(self.translated.units)

    def clashes(self, engine: shape.EngineName = "process") -> list[problems.Problem]:
        """Return what cannot share an address where an engine runs the pods."""
        return collisions.find(self.claims(engine))

    def doubts(self) -> list[problems.Problem]:
        """Return what would collide as processes if pods do not listen where they are told."""
        return replace(self, site=replace(self.site, believes=False)).clashes()

    def claims(self, engine: shape.EngineName) -> Iterator[collisions.Claim]:
        """Yield the addresses that pods and caches need for themselves."""
        for unit in self.translated.units:
            yield from claiming.of_unit(unit, engine, self.site)
        for service in self.resources.services:
            yield from claiming.of_service(service)
        for cache in self.resources.sharded:
            port = accompanying.port(cache, engine, self.translated.units)
            if port is not None:
                owner = f"{cache.model.kind}/{cache.name}"
                place = cache.problem(("spec", "port"), "")
                host = dataplane.HOSTS[cache.model.spec.expose]
                yield collisions.Claim(host, port, owner, owner, place)


def draft(
    resources: reading.Resources, *, grace_s: float = GRACE_S, site: claiming.Site | None = None
) -> Draft:
    """Return what files ask for, after all checks that hold whatever runs their pods.

    Args:
        resources: all of the files.
        grace_s: between SIGTERM and SIGKILL of a pod that does not say it itself.
        site: whose pods they are; of an unnamed project where there is none.

    Raises:
        problems.ResourceError: origins that name nothing, names or addresses used twice; all.
    """
    drafted = Draft(
        resources, translating.pods(resources, grace_s=grace_s), site or claiming.Site()
    )
    builder = _Builder(drafted, "docker", None)
    builder.add_all()
    if builder.found:
        raise problems.ResourceError(builder.found)
    return drafted


def finish(
    drafted: Draft, choice: choosing.Choice, known: commands.Commands | None = None
) -> shape.Plan:
    """Return what should run: pods, then cache nodes, then routers.

    Args:
        drafted: what the files ask for.
        choice: what runs the pods.
        known: which programs stand for images; None where that is not to be checked.

    Raises:
        problems.ResourceError: addresses that two pods need, images that stand for nothing; all.
    """
    builder = _Builder(drafted, choice.engine, known if choice.engine != "docker" else None)
    builder.add_all()
    if builder.found:
        raise problems.ResourceError(builder.found)
    builder.check_origins()
    order: dict[shape.Role, int] = {"app": 0, "server": 1, "node": 1, "router": 2}
    translated = drafted.translated
    return shape.Plan(
        tuple(sorted(builder.processes, key=lambda process: order[process.role])),
        tuple(builder.caches),
        (*drafted.resources.warnings, *translated.warnings, *builder.warnings),
        tuple(builder.places.items()),
        (*translated.services, *builder.services, *builder.origins.services()),
        choice.engine,
        choice.reason if drafted.has_pods else "",
        (
            *_workloads(drafted.resources),
            *(one for pool in builder.pools for one in pooling.workloads(pool)),
        ),
        tuple(_jobs(drafted.resources)),
        tuple(builder.pools),
    )


def plan(resources: reading.Resources, *, grace_s: float = GRACE_S) -> shape.Plan:
    """Return the plan for the engine that needs nothing; raises as `draft` and `finish` do."""
    return finish(draft(resources, grace_s=grace_s), choosing.Choice("process", ""))


def _workloads(resources: reading.Resources) -> Iterator[shape.Workload]:
    for one in resources.deployments:
        yield _deployment(one)
    for each in resources.stateful_sets:
        yield shape.Workload(f"StatefulSet/{each.name}", "ordered")


def _jobs(resources: reading.Resources) -> Iterator[shape.Job]:
    for one in resources.jobs:
        spec = one.model.spec
        seconds = spec.active_deadline_seconds
        deadline_s = None if seconds is None else float(seconds)
        yield shape.Job(f"Job/{one.name}", spec.backoff_limit, deadline_s)


def _deployment(one: reading.Resource[workloads.Deployment]) -> shape.Workload:
    spec, name = one.model.spec, f"Deployment/{one.name}"
    if spec.strategy.type == "Recreate":
        return shape.Workload(name, "recreate")
    rolling = spec.strategy.rolling_update or workloads.RollingUpdate()
    surge = math.ceil(_pods(rolling.max_surge, spec.replicas))
    unavailable = math.floor(_pods(rolling.max_unavailable, spec.replicas))
    # Kubernetes has the same way out where both are rounded to nothing.
    return shape.Workload(name, "rolling", surge, unavailable if surge else max(1, unavailable))


def _pods(share: int | str, replicas: int) -> float:
    """Return how many pods a number, or a part as `25%`, means."""
    return float(share) if isinstance(share, int) else int(share.removesuffix("%")) * replicas / 100


class _Builder:
    def __init__(
        self, drafted: Draft, engine: shape.EngineName, known: commands.Commands | None
    ) -> None:
        self.drafted = drafted
        self.engine = engine
        self.known = known
        self.processes: list[shape.Process] = []
        self.caches: list[shape.Cache] = []
        self.pools: list[shape.Pool] = []
        self.services: list[pods.Service] = []
        self.found = drafted.clashes(engine)
        self.names: dict[str, str] = {}
        self.places: dict[str, str] = {}
        self.warnings: list[str] = []
        self.origins = origins.Origins(drafted.resources, drafted.translated, engine, drafted.site)

    def add_all(self) -> None:
        for unit in self.drafted.translated.units:
            self.add_pod(unit)
        for cache in self.drafted.resources.caches:
            self.add_cache(cache)
        for pool in self.drafted.resources.pooled:
            self.add_pool(pool)

    def add_pod(self, unit: translating.Unit) -> None:
        pod = self.accompanied(unit, self.settled(unit))
        claims = claiming.of_unit(unit, self.engine, self.drafted.site)
        for claim in claims:
            self.places[f"{pod.name}:{claim.port}"] = str(claim.place)
        self.claim_name(
            unit.template.owner, unit.template.problem(("metadata", "name"), ""), pod.name
        )
        self.processes.append(
            shape.Process(
                pod.name,
                "app",
                claims=tuple(f"{claim.host}:{claim.port}" for claim in claims),
                grace_s=pod.grace_s,
                pod=pod,
                after=unit.after,
                after_end=unit.after_end,
                group=unit.group,
            )
        )

    def settled(self, unit: translating.Unit) -> pods.Pod:
        """Return a pod with what stands for its images; note where nothing does, once for all."""
        if self.known is None:
            return unit.pod
        for container in unit.pod.containers:
            try:
                self.known.words(unit.pod, container)
            except errors.UsageError as error:
                path = (*unit.template.path_of(container.name), "image")
                problem = unit.template.problem(path, str(error))
                self.found += [problem] if problem not in self.found else []
        settled = tuple(self.known.settled(one) for one in unit.pod.containers)
        return replace(unit.pod, containers=settled)

    def accompanied(self, unit: translating.Unit, pod: pods.Pod) -> pods.Pod:
        """Return a pod with what it needs to reach the caches that it asks."""
        found = list(accompanying.mistakes(unit, self.drafted.resources))
        self.found += (one for one in found if one not in self.found)
        if self.engine == "process":
            return accompanying.linked(pod, self.drafted.resources)
        if found or not ambassadors.has_own(pod, self.engine):
            return pod
        return ambassadors.added(pod, self.drafted.site.places)

    def check_origins(self) -> None:
        """Warn of containers that are asked by caches and counted as ready before they answer."""
        told: dict[str, None] = {}
        asked = {(pod, port) for cache in self.caches for pod, port in self.asked(cache.origin)}
        for unit in self.drafted.translated.units:
            for container in unit.pod.containers:
                numbers = [
                    port.number for port in container.ports if (unit.pod.name, port.number) in asked
                ]
                if container.readiness is not None or not numbers or container.kind == "init":
                    continue
                reason = (
                    f'container "{container.name}" is an origin without readinessProbe, so it '
                    "counts as ready when it is started, and may be asked before it answers; "
                    f"add readinessProbe: {{tcpSocket: {{port: {numbers[0]}}}}}"
                )
                path = unit.template.path_of(container.name)
                told.setdefault(str(unit.template.problem(path, reason)))
        self.warnings += told

    def asked(self, origin: shape.Origin) -> Iterator[tuple[str, int]]:
        """Yield the pods that answer for an origin, and their ports."""
        if origin.process is not None and origin.address:
            yield origin.process, int(origin.address.rpartition(":")[2])
        name, _, number = origin.service.rpartition(":")
        for service in (*self.drafted.translated.services, *self.origins.services()):
            for port, endpoints in zip(service.ports, service.endpoints, strict=True):
                if service.name == name and str(port.number) == number:
                    yield from ((one.pod, one.port) for one in endpoints)

    def add_cache(self, cache: reading.Resource[kinds.ShardedCache]) -> None:
        spec = cache.model.spec
        self.check_scale(cache)
        routers = tuple(f"{cache.name}-router-{at}" for at in range(spec.routers))
        for name in routers if spec.port is not None else ():
            self.places[f"{name}:{spec.port}"] = str(cache.problem(("spec", "port"), ""))
        origin = self.origins.resolve(cache)
        if isinstance(origin, problems.Problem):
            self.found.append(origin)
            return
        shards = tuple(
            shape.Shard(name, tuple(f"{name}-{at}" for at in range(spec.replicas.min)))
            for name in (f"{cache.name}-{at}" for at in range(spec.shards))
        )
        planned = shape.Cache(
            cache.name, routers, shards, origin, spec.key, spec.function, spec.memory, _terms(spec)
        )
        owner = f"{cache.model.kind}/{cache.name}"
        for name in (*planned.nodes, *routers):
            self.claim_name(owner, cache.problem(("metadata", "name"), ""), name)
        inside = shape.Socket(shape.LISTENER, loopback.SHARED, 0)
        door = shape.Socket(
            shape.LISTENER, dataplane.HOSTS[spec.expose], spec.port or 0, cache.name
        )
        self.processes += [
            _data_plane(name, "node", inside, planned.terms) for name in planned.nodes
        ]
        self.processes += [_data_plane(name, "router", door, planned.terms) for name in routers]
        self.caches.append(planned)

    def add_pool(self, cache: reading.Resource[pools.PooledCache]) -> None:
        spec, planned = cache.model.spec, pooling.pool(cache)
        for name in planned.routers if spec.port is not None else ():
            self.places[f"{name}:{spec.port}"] = str(cache.problem(("spec", "port"), ""))
        owner = f"{cache.model.kind}/{cache.name}"
        for name in (*planned.servers, *planned.routers):
            self.claim_name(owner, cache.problem(("metadata", "name"), ""), name)
        self.pools.append(planned)
        self.processes += pooling.servers(planned)
        units = self.drafted.translated.units
        if planned.access == "service" and self.engine != "process" and units:
            self.add_router_pods(cache, planned)
            return
        afar = accompanying.afar(cache.name, self.engine, units)
        if planned.access == "ambassador" and afar:
            self.warnings.append(str(cache.problem(("spec", "access"), afar)))
        host, port = dataplane.HOSTS[spec.expose], accompanying.port(cache, self.engine, units)
        self.processes += pooling.routers(planned, host=host, port=port or 0)

    def add_router_pods(
        self, cache: reading.Resource[pools.PooledCache], planned: shape.Pool
    ) -> None:
        """Plan routers in the network of the pods, and the Service by which these reach them."""
        where = cache.problem(("metadata", "name"), "")
        if any(one.name == cache.name for one in self.drafted.resources.services):
            reason = "a Service has its name, by which pods are to reach it; rename one of the two"
            self.found.append(replace(where, message=reason))
        place = f"{where.file}:{where.line}: ShardedCache/{cache.name}"
        is_published = cache.model.spec.expose == "public"
        self.processes += pooling.router_pods(planned, self.drafted.site.places, place)
        self.services.append(pooling.service(planned, is_published=is_published, place=place))

    def check_scale(self, cache: reading.Resource[kinds.ShardedCache]) -> None:
        """Note more nodes than there may be, and warn of a scale that nobody changes yet."""
        spec, path = cache.model.spec, ("spec", "replicas")
        replicas = spec.replicas
        if spec.shards * replicas.max > NODES_MAX:
            most = NODES_MAX // spec.shards
            remedy = f"write at most {most} replicas" if most else "write fewer shards"
            self.found.append(
                cache.problem(
                    path,
                    f"{spec.shards} shards × {replicas.max} replicas are "
                    f"{spec.shards * replicas.max} nodes, and a cache has at most {NODES_MAX}; "
                    f"{remedy}",
                )
            )
        if replicas.min < replicas.max:
            self.warnings.append(
                str(
                    cache.problem(
                        path,
                        f"each shard has min, {replicas.min}; "
                        f"nothing scales it up to {replicas.max} yet",
                    )
                )
            )

    def claim_name(self, owner: str, place: problems.Problem, name: str) -> None:
        """Note a name of a pod or process, and a mistake where another one has it."""
        if name in self.names:
            reason = (
                f'its process "{name}" has the name of one of {self.names[name]}; '
                "rename one of the two"
            )
            self.found.append(replace(place, message=reason))
        self.names.setdefault(name, owner)


def _terms(spec: kinds.ShardedCacheSpec) -> shape.Terms:
    limits, log = spec.limits, spec.access_log
    return shape.Terms(
        buffer_bytes=spec.buffer,
        fallback="next_shard" if spec.fallback == "next-shard" else spec.fallback,
        retries_percent=spec.retries.percent,
        attempts_max=spec.retries.attempts,
        requests_max=limits.requests,
        node_requests_max=limits.per_node,
        queue_max=limits.queue,
        queue_timeout_ms=limits.queue_timeout,
        access_log_one_in=log.one_in if log is not None else None,
        warm_bytes_per_s=spec.warmup.bandwidth,
        drain_timeout_ms=spec.drain_timeout,
    )


def _data_plane(
    name: str, role: shape.Role, socket: shape.Socket, terms: shape.Terms
) -> shape.Process:
    return dataplane.process(name, role, socket, drain_timeout_ms=terms.drain_timeout_ms)
