"""Find what answers behind an origin: a pod at its address, or a Service with its pods."""

from __future__ import annotations

import ipaddress
import urllib.parse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alongside.base import nearest
from alongside.plan import claiming, loopback, pods, shape

if TYPE_CHECKING:
    from alongside.plan.translating import Translated
    from alongside.resources import kinds, problems, reading
    from alongside.resources.kubernetes import services as written

_BESIDE = "-origin"
"""Behind the name of a pod or a headless Service: a Service that only its caches ask."""


@dataclass(frozen=True, slots=True)
class Origins:
    """The origins of a plan's caches."""

    resources: reading.Resources
    translated: Translated
    engine: shape.EngineName
    site: claiming.Site
    _beside: dict[str, dict[int, tuple[pods.Endpoint, ...]]] = field(default_factory=dict)

    def resolve(
        self, cache: reading.Resource[kinds.ShardedCache]
    ) -> shape.Origin | problems.Problem:
        """Return where a cache's origin is reached, or why that cannot be said."""
        origin = cache.model.spec.origin
        if origin.url is not None:
            return _of_url(origin.url)
        name, port = str(origin.service), int(origin.port or 0)
        for service in self.resources.services:
            if service.name == name:
                return self._of_service(cache, service, port)
        known = [one.pod.name for one in self.translated.units]
        if name in known:
            return self._of_pods(name, port, (pods.Endpoint(name, port),))
        known += [found.name for found in self.resources.services]
        near = nearest.nearest(name, known)
        hint = f'did you mean "{near}"?' if near else "add one, or write {url: http://HOST:PORT}"
        return cache.problem(
            ("spec", "origin", "service"), f'no Service or Pod "{name}" in these files; {hint}'
        )

    def services(self) -> tuple[pods.Service, ...]:
        """Return the Services that the origins need beside those of the files."""
        return tuple(
            pods.Service(
                name,
                tuple(pods.ServicePort(number, f"p{number}") for number in ports),
                tuple(ports.values()),
            )
            for name, ports in self._beside.items()
        )

    def _of_service(
        self,
        cache: reading.Resource[kinds.ShardedCache],
        service: reading.Resource[written.Service],
        port: int,
    ) -> shape.Origin | problems.Problem:
        numbers = [declared.port for declared in service.model.spec.ports]
        if port not in numbers:
            choices = " or ".join(str(number) for number in numbers) or "a Pod's name and its port"
            return cache.problem(
                ("spec", "origin", "port"),
                f"Service/{service.name} has no port {port}; write {choices}",
            )
        at = numbers.index(port)
        planned = next(one for one in self.translated.services if one.name == service.name)
        if not planned.endpoints[at]:
            return self._without_pods(service, at)
        if planned.is_headless or self._is_direct(planned.endpoints[at]):
            return self._of_pods(service.name, port, planned.endpoints[at])
        return _behind(f"{service.name}:{port}", planned.endpoints[at])

    def _without_pods(
        self, service: reading.Resource[written.Service], at: int
    ) -> problems.Problem:
        selector = service.model.spec.selector
        labels = ", ".join(f"{key}: {value}" for key, value in selector.items())
        chosen = [
            one
            for one in self.translated.units
            if selector and selector.items() <= dict(one.pod.labels).items()
        ]
        if not chosen:
            return service.problem(
                ("spec", "selector"),
                f"no Pod of these files has the labels {{{labels}}}; give it them",
            )
        target = service.model.spec.ports[at].target_port
        return service.problem(
            ("spec", "ports", at, "targetPort"),
            f'{chosen[0].template.owner} has no port named "{target}"; name one of its ports so',
        )

    def _is_direct(self, endpoints: tuple[pods.Endpoint, ...]) -> bool:
        """Return whether there is one pod, and this machine reaches it at its own address."""
        pod = self._pod(endpoints[0].pod)
        return len(endpoints) == 1 and (self.engine == "process" or pod.uses_host_network)

    def _of_pods(self, name: str, port: int, endpoints: tuple[pods.Endpoint, ...]) -> shape.Origin:
        if self._is_direct(endpoints):
            one = endpoints[0]
            pod = self._pod(one.pod)
            is_alone = self.engine == "process"
            host = self.site.address(pod) if is_alone else loopback.SHARED
            return shape.Origin(f"{host}:{one.port}", process=one.pod)
        taken = {one.name for one in self.translated.services}
        name += _BESIDE
        while name in taken:
            name += _BESIDE
        self._beside.setdefault(name, {})[port] = endpoints
        return _behind(f"{name}:{port}", endpoints)

    def _pod(self, name: str) -> pods.Pod:
        return next(one.pod for one in self.translated.units if one.pod.name == name)


def _behind(service: str, endpoints: tuple[pods.Endpoint, ...]) -> shape.Origin:
    first, *others = dict.fromkeys(one.pod for one in endpoints)
    return shape.Origin("", process=first, others=tuple(others), service=service)


def _of_url(url: str) -> shape.Origin:
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    try:
        is_v6 = ipaddress.ip_address(host).version == 6
    except ValueError:
        is_v6 = False
    address = f"[{host}]:{parts.port or 80}" if is_v6 else f"{host}:{parts.port or 80}"
    return shape.Origin(address, host=parts.netloc)
