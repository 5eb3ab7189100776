"""Find the pods behind each Service, and the names by which numbered pods are found."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from alongside.plan import ambassadors, pods
from alongside.plan.translating import notes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alongside.plan.translating import written
    from alongside.resources import pools, problems, reading
    from alongside.resources.kubernetes import services, workloads

Made = tuple["written.Template", pods.Pod]


def outline(resource: reading.Resource[services.Service]) -> pods.Service:
    """Return a Service that no pod stands behind yet."""
    spec, document = resource.model.spec, resource.document
    return pods.Service(
        resource.name,
        tuple(pods.ServicePort(port.port, port.name or "", port.node_port) for port in spec.ports),
        tuple(() for _ in spec.ports),
        is_headless=spec.is_headless,
        is_published=spec.type != "ClusterIP",
        announces_unready=spec.publish_not_ready_addresses,
        place=f"{document.file}:{document.line(('metadata', 'name'))}: Service/{resource.name}",
    )


def of_cache(cache: reading.Resource[pools.PooledCache]) -> pods.Service:
    """Return the Service of a cache's routers, of which nothing is known but how it is called."""
    protocol, port = cache.model.spec.protocol, cache.model.spec.port
    number = ambassadors.USUAL_PORTS[protocol] if port is None else port
    return pods.Service(cache.name, (pods.ServicePort(number, protocol),), ((),))


def service(
    resource: reading.Resource[services.Service], made: Sequence[Made], noted: notes.Notes
) -> pods.Service:
    """Return a Service with all planned pods that it selects."""
    spec = resource.model.spec
    selected = [
        (template, pod)
        for template, pod in made
        if spec.selector and spec.selector.items() <= dict(pod.labels).items()
    ]
    _check_selector(resource, bool(selected), noted)
    if spec.cluster_ip not in {"", "None"}:
        reason = "has no effect here; it gets an address of its own"
        noted.warn(resource.problem(("spec", "clusterIP"), reason))
    endpoints = [_endpoints(resource, at, selected, noted) for at in range(len(spec.ports))]
    return replace(outline(resource), endpoints=tuple(endpoints))


def _check_selector(
    resource: reading.Resource[services.Service], is_any: bool, noted: notes.Notes
) -> None:
    path: problems.Path = ("spec", "selector")
    selector = resource.model.spec.selector
    if not selector:
        reason = "missing, and Endpoints are not read here: nothing stands behind it"
        noted.warn(resource.problem(path, reason))
    elif not is_any:
        labels = ", ".join(f"{key}: {value}" for key, value in selector.items())
        reason = f"no pod of these files has the labels {{{labels}}}: nothing stands behind it"
        noted.warn(resource.problem(path, reason))


def _endpoints(
    resource: reading.Resource[services.Service],
    at: int,
    selected: Sequence[Made],
    noted: notes.Notes,
) -> tuple[pods.Endpoint, ...]:
    wanted = resource.model.spec.ports[at]
    target = wanted.port if wanted.target_port is None else wanted.target_port
    result = []
    for template, pod in selected:
        number = target if isinstance(target, int) else _number(pod, target)
        if number is not None:
            result.append(pods.Endpoint(pod.name, number))
            continue
        names = [port.name for one in pod.containers for port in one.ports if port.name]
        remedy = notes.hint(str(target), names, "name one of its ports so")
        reason = f'{template.owner} has no port named "{target}"; {remedy}'
        noted.refuse(resource.problem(("spec", "ports", at, "targetPort"), reason))
    return tuple(result)


def _number(pod: pods.Pod, name: str) -> int | None:
    return next(
        (
            port.number
            for container in pod.containers
            if container.kind != "init"
            for port in container.ports
            if port.name == name
        ),
        None,
    )


def further_names(
    stateful_sets: Sequence[reading.Resource[workloads.StatefulSet]],
    made: Sequence[Made],
    services_known: Sequence[str],
    noted: notes.Notes,
) -> dict[str, tuple[str, ...]]:
    """Return more names of StatefulSets' pods, by pod: `<serviceName>-<n>.<serviceName>`.

    A name that is somebody's own, or that two would have, is nobody's.
    """
    own = {f"{pod.hostname or pod.name}.{pod.subdomain}" for _, pod in made if pod.subdomain}
    wanted: dict[str, str] = {}
    for resource in stateful_sets:
        name = resource.model.spec.service_name
        if name is None or resource.model.spec.replicas == 0:
            continue
        _check_service(resource, name, services_known, noted)
        if name == resource.name:
            continue
        path: problems.Path = ("spec", "serviceName")
        reason = (
            f"its pods answer here to {name}-0.{name} and so on too; a real cluster knows only "
            f"{resource.name}-0.{name}; name the StatefulSet {name}, or write these names"
        )
        noted.warn(resource.problem(path, reason))
        for at in range(resource.model.spec.replicas):
            wanted[f"{resource.name}-{at}"] = f"{name}-{at}.{name}"
    times = Counter(wanted.values())
    return {pod: (name,) for pod, name in wanted.items() if times[name] == 1 and name not in own}


def _check_service(
    resource: reading.Resource[workloads.StatefulSet],
    name: str,
    known: Sequence[str],
    noted: notes.Notes,
) -> None:
    if name not in known:
        remedy = notes.hint(name, known, f"add it, with clusterIP: None, or {name} names nothing")
        reason = f'no Service "{name}" in these files; {remedy}'
        noted.warn(resource.problem(("spec", "serviceName"), reason))
