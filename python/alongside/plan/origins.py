"""Find the address behind an origin: Service, then pod, then 127.0.0.1 and the container's port."""

from __future__ import annotations

import ipaddress
import urllib.parse
from typing import TYPE_CHECKING

from alongside.base import nearest
from alongside.plan import shape

if TYPE_CHECKING:
    from alongside.resources import kinds, problems, reading
    from alongside.resources.kubernetes import podspecs, services

LOOPBACK = "127.0.0.1"


def container_process(pod: reading.Resource[podspecs.Pod], at: int) -> str:
    """Return the process name of a pod's container: the pod's, where it has only one."""
    containers = pod.model.spec.containers
    return pod.name if len(containers) == 1 else f"{pod.name}.{containers[at].name}"


def resolve(
    cache: reading.Resource[kinds.ShardedCache], resources: reading.Resources
) -> shape.Origin | problems.Problem:
    """Return where a cache's origin is reached, or why that cannot be said."""
    origin = cache.model.spec.origin
    if origin.url is not None:
        return _of_url(origin.url)
    name, port = str(origin.service), int(origin.port or 0)
    for service in resources.services:
        if service.name == name:
            return _of_service(cache, service, resources, port)
    for pod in resources.pods:
        if pod.name == name:
            return _of_pod(pod, port)
    known = [*(found.name for found in resources.services), *(pod.name for pod in resources.pods)]
    near = nearest.nearest(name, known)
    hint = f'did you mean "{near}"?' if near else "add one, or write {url: http://HOST:PORT}"
    return cache.problem(
        ("spec", "origin", "service"), f'no Service or Pod "{name}" in these files; {hint}'
    )


def _of_url(url: str) -> shape.Origin:
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    try:
        is_v6 = ipaddress.ip_address(host).version == 6
    except ValueError:
        is_v6 = False
    address = f"[{host}]:{parts.port or 80}" if is_v6 else f"{host}:{parts.port or 80}"
    return shape.Origin(address, host=parts.netloc)


def _of_pod(pod: reading.Resource[podspecs.Pod], port: int) -> shape.Origin:
    for at, container in enumerate(pod.model.spec.containers):
        if any(declared.container_port == port for declared in container.ports):
            return shape.Origin(f"{LOOPBACK}:{port}", process=container_process(pod, at))
    # Kubernetes reaches a port that no container declares, so that is no mistake.
    return shape.Origin(f"{LOOPBACK}:{port}", process=container_process(pod, 0))


def _of_service(
    cache: reading.Resource[kinds.ShardedCache],
    service: reading.Resource[services.Service],
    resources: reading.Resources,
    port: int,
) -> shape.Origin | problems.Problem:
    ports = {declared.port: declared for declared in service.model.spec.ports}
    if port not in ports:
        choices = " or ".join(str(number) for number in ports)
        return cache.problem(
            ("spec", "origin", "port"),
            f"Service/{service.name} has no port {port}; write {choices}",
        )
    selector = service.model.spec.selector
    pods = [pod for pod in resources.pods if selector.items() <= pod.model.metadata.labels.items()]
    if not pods:
        labels = ", ".join(f"{key}: {value}" for key, value in selector.items())
        return service.problem(
            ("spec", "selector"), f"no Pod of these files has the labels {{{labels}}}; give it them"
        )
    if len(pods) > 1:
        names = ", ".join(f"Pod/{pod.name}" for pod in pods)
        return service.problem(
            ("spec", "selector"),
            f"{names} match, and as processes of one machine they cannot share one address; "
            "select one Pod",
        )
    target = ports[port].target_port if ports[port].target_port is not None else port
    if isinstance(target, int):
        return _of_pod(pods[0], target)
    for container in pods[0].model.spec.containers:
        for declared in container.ports:
            if declared.name == target:
                return _of_pod(pods[0], declared.container_port)
    at = list(ports).index(port)
    return service.problem(
        ("spec", "ports", at, "targetPort"),
        f'Pod/{pods[0].name} has no port named "{target}"; name one of its ports so',
    )
