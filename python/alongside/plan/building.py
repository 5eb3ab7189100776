"""Turn resources into a plan, or into every reason why they cannot run together."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from alongside.base import nearest
from alongside.plan import origins, pods, shape
from alongside.resources import problems, reading

if TYPE_CHECKING:
    from alongside.resources import kinds
    from alongside.resources.kubernetes import containers, podspecs, probing

GRACE_S = 30.0
"""Kubernetes' default between SIGTERM and SIGKILL."""
DRAIN_MARGIN_S = 5.0
"""What a data-plane process gets beyond its drain timeout, so that it ends by itself."""
DATA_PLANE_PROBE = shape.Probe("admin", period_s=10.0, timeout_s=2.0)
"""Seldom, because the death of a process is told at once without looking."""
NODES_MAX = 256
"""Of one cache: each is a process here; more belong on more than one machine."""
HOSTS = {"local": "127.0.0.1", "public": "0.0.0.0"}  # noqa: S104 - a user wrote `public`

_RESTART: dict[str, pods.Restart] = {
    "Always": "always",
    "OnFailure": "on-failure",
    "Never": "never",
}
_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_.-][A-Za-z0-9_.-]*)\)")


def plan(resources: reading.Resources, *, grace_s: float = GRACE_S) -> shape.Plan:
    """Return what should run: applications, then cache nodes, then routers.

    Args:
        resources: all of the files.
        grace_s: between SIGTERM and SIGKILL of a pod that does not say it itself.

    Raises:
        problems.ResourceError: origins that name nothing, names or addresses used twice; all.
    """
    builder = _Builder(grace_s)
    for pod in resources.pods:
        builder.add_pod(pod)
    for cache in resources.caches:
        builder.add_cache(cache, resources)
    if builder.found:
        raise problems.ResourceError(builder.found)
    for pod in resources.pods:
        builder.check_origins(pod)
    order: dict[shape.Role, int] = {"app": 0, "node": 1, "router": 2}
    return shape.Plan(
        tuple(sorted(builder.processes, key=lambda process: order[process.role])),
        tuple(builder.caches),
        (*resources.warnings, *builder.warnings),
        tuple(builder.places.items()),
    )


class _Builder:
    def __init__(self, grace_s: float) -> None:
        self.grace_s = grace_s
        self.processes: list[shape.Process] = []
        self.caches: list[shape.Cache] = []
        self.found: list[problems.Problem] = []
        self.names: dict[str, str] = {}
        self.ports: dict[int, str] = {}
        self.places: dict[str, str] = {}
        self.warnings: list[str] = []

    def add_pod(self, pod: reading.Resource[podspecs.Pod]) -> None:
        for at, container in enumerate(pod.model.spec.containers):
            path: problems.Path = ("spec", "containers", at)
            name = origins.container_process(pod, at)
            for number, declared in enumerate(container.ports):
                where = (*path, "ports", number, "containerPort")
                self.claim_port(pod, where, declared.container_port, name)
            self.check_probe(pod, at)
            self.claim_name(pod, (*path, "name"), name)
            self.processes.append(_app(pod, container, name, self.grace_s))

    def check_probe(self, pod: reading.Resource[podspecs.Pod], at: int) -> None:
        """Note a probe's port whose name its container does not declare, since it has no number."""
        container = pod.model.spec.containers[at]
        if container.readiness_probe is None:
            return
        way, port = _looked_at(container.readiness_probe)
        names = [declared.name for declared in container.ports if declared.name is not None]
        if not isinstance(port, str) or port in names:
            return
        near = nearest.nearest(port, names) or (names[0] if len(names) == 1 else None)
        hint = (
            f'did you mean "{near}"?'
            if near is not None
            else f"write {' or '.join(names)}, or a number"
            if names
            else "give one of its ports that name, or write a number"
        )
        path: problems.Path = ("spec", "containers", at, "readinessProbe", way, "port")
        reason = f'container "{container.name}" declares no port named "{port}"; {hint}'
        self.found.append(pod.problem(path, reason))

    def check_origins(self, pod: reading.Resource[podspecs.Pod]) -> None:
        """Warn of containers that are asked by caches and counted as ready before they answer."""
        addresses = {one.origin.process: one.origin.address for one in reversed(self.caches)}
        for at, container in enumerate(pod.model.spec.containers):
            address = addresses.get(origins.container_process(pod, at))
            if container.readiness_probe is None and address is not None:
                reason = (
                    f'container "{container.name}" is an origin without readinessProbe, so it '
                    "counts as ready when it is started, and may be asked before it answers; "
                    f"add readinessProbe: {{tcpSocket: {{port: {address.rpartition(':')[2]}}}}}"
                )
                self.warnings.append(str(pod.problem(("spec", "containers", at), reason)))

    def add_cache(
        self, cache: reading.Resource[kinds.ShardedCache], resources: reading.Resources
    ) -> None:
        spec = cache.model.spec
        self.check_scale(cache)
        routers = tuple(f"{cache.name}-router-{at}" for at in range(spec.routers))
        if spec.port is not None:
            self.claim_port(cache, ("spec", "port"), spec.port, *routers)
        origin = origins.resolve(cache, resources)
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
        for name in (*planned.nodes, *routers):
            self.claim_name(cache, ("metadata", "name"), name)
        inside = shape.Socket(shape.LISTENER, origins.LOOPBACK, 0)
        door = shape.Socket(shape.LISTENER, HOSTS[spec.expose], spec.port or 0, cache.name)
        self.processes += [
            _data_plane(name, "node", inside, planned.terms) for name in planned.nodes
        ]
        self.processes += [_data_plane(name, "router", door, planned.terms) for name in routers]
        self.caches.append(planned)

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

    def claim_name(
        self, resource: reading.Resource[reading.M], path: problems.Path, name: str
    ) -> None:
        owner = f"{resource.model.kind}/{resource.name}"
        if name in self.names:
            self.found.append(
                resource.problem(
                    path,
                    f'its process "{name}" has the name of one of {self.names[name]}; '
                    "rename one of the two",
                )
            )
        self.names.setdefault(name, owner)

    def claim_port(
        self, resource: reading.Resource[reading.M], path: problems.Path, port: int, *processes: str
    ) -> None:
        owner = f"{resource.model.kind}/{resource.name}"
        for process in processes:
            self.places[f"{process}:{port}"] = str(resource.problem(path, ""))
        if port in self.ports:
            self.found.append(
                resource.problem(
                    path,
                    f"port {port} of this machine is also used by {self.ports[port]}; "
                    "give one of the two another port",
                )
            )
        self.ports.setdefault(port, owner)


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
    grace_s = terms.drain_timeout_ms / 1000 + DRAIN_MARGIN_S
    return shape.Process(name, role, sockets=(socket,), probe=DATA_PLANE_PROBE, grace_s=grace_s)


def _app(
    pod: reading.Resource[podspecs.Pod],
    container: containers.Container,
    name: str,
    grace_s: float,
) -> shape.Process:
    spec = pod.model.spec
    seconds = spec.termination_grace_period_seconds
    variables: dict[str, str] = {}
    for variable in container.env:
        variables[variable.name] = expanded(variable.value, variables)
    directory = PurePosixPath(pod.folder) / (container.working_dir or ".")
    return shape.Process(
        name,
        "app",
        argv=tuple(expanded(text, variables) for text in (*container.command, *container.args)),
        environment=tuple(variables.items()),
        directory=str(directory),
        claims=tuple(f"{origins.LOOPBACK}:{port.container_port}" for port in container.ports),
        probe=_probe(container),
        grace_s=grace_s if seconds is None else float(seconds),
        restart=_RESTART[spec.restart_policy],
    )


def expanded(text: str, variables: dict[str, str]) -> str:
    """Return a text with `$(NAME)` replaced as Kubernetes does; unknown ones stay, `$$` is `$`."""
    return _REFERENCE.sub(
        lambda match: "$" if match[0] == "$$" else variables.get(match[1], match[0]), text
    )


def _looked_at(probe: probing.Probe) -> tuple[str, int | str | None]:
    """Return a probe's way as users write it, and its port."""
    if probe.http_get is not None:
        return "httpGet", probe.http_get.port
    if probe.tcp_socket is not None:
        return "tcpSocket", probe.tcp_socket.port
    return "exec", None


def _probe(container: containers.Container) -> shape.Probe | None:
    wanted = container.readiness_probe
    if wanted is None:
        return None
    way, host, port, path = "exec", None, None, "/"
    if wanted.http_get is not None:
        way, path = "http", wanted.http_get.path
        host, port = wanted.http_get.host, wanted.http_get.port
    elif wanted.tcp_socket is not None:
        way, host, port = "tcp", wanted.tcp_socket.host, wanted.tcp_socket.port
    number = {declared.name: declared.container_port for declared in container.ports}.get(
        str(port), port
    )
    return shape.Probe(
        "http" if way == "http" else "tcp" if way == "tcp" else "exec",
        address=f"{host or origins.LOOPBACK}:{number}" if way != "exec" else "",
        path=path if path.startswith("/") else f"/{path}",
        command=tuple(wanted.exec.command) if wanted.exec is not None else (),
        delay_s=float(wanted.initial_delay_seconds),
        period_s=float(wanted.period_seconds),
        timeout_s=float(wanted.timeout_seconds),
        successes=wanted.success_threshold,
        failures=wanted.failure_threshold,
    )
