"""Say which addresses of this machine pods need for themselves, by what runs them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alongside.plan import collisions, loopback
from alongside.plan import places as shared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alongside.plan import pods, shape
    from alongside.plan.translating import Unit
    from alongside.resources import reading
    from alongside.resources.kubernetes import containers, services

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what a nodePort means


@dataclass(frozen=True, slots=True)
class Site:
    """Whose pods they are, and what their machine's loopback network is like."""

    project: str = ""
    """As named by its user."""
    has_loopbacks: bool = True
    """Whether there is more than one address."""
    places: shared.Places = field(default_factory=shared.Below)
    believes: bool = True
    """Whether a pod counts as listening at its own address that is told it, whatever it does with
    it; else only one whose words name it."""

    def address(self, pod: pods.Pod) -> str:
        """Return where the process engine has a pod listen."""
        is_own = self.has_loopbacks and (self.believes or loopback.is_meant(pod))
        return loopback.address(pod, self.project, has_loopbacks=is_own)


def of_unit(unit: Unit, engine: shape.EngineName, on: Site) -> list[collisions.Claim]:
    """Return what a pod needs on this machine's own network.

    Args:
        unit: the pod.
        engine: what runs it.
        on: whose it is.
    """
    pod = unit.pod
    is_outside = engine == "process" or pod.uses_host_network
    host = on.address(pod) if engine == "process" else loopback.SHARED
    found: dict[tuple[str, int], collisions.Claim] = {}
    for path, declared in _ports(unit):
        own = (host, declared.container_port)
        wanted = {own: pod.uses_host_network} if is_outside else {}
        if declared.host_port is not None:
            wanted[declared.host_ip or loopback.SHARED, declared.host_port] = True
        for at, is_fixed in wanted.items():
            place = unit.template.problem(path, "")
            owner = unit.template.owner
            claim = collisions.Claim(*at, owner, pod.name, place, is_pod=True, is_fixed=is_fixed)
            found.setdefault(at, claim)
    return list(found.values())


def of_service(service: reading.Resource[services.Service]) -> Iterator[collisions.Claim]:
    """Yield the ports of this machine that a Service names, whatever runs its pods."""
    for at, port in enumerate(service.model.spec.ports):
        if port.node_port is not None:
            owner = f"Service/{service.name}:{port.port}"
            place = service.problem(("spec", "ports", at, "nodePort"), "")
            yield collisions.Claim(EVERYWHERE, port.node_port, owner, owner, place, is_fixed=True)


def _ports(unit: Unit) -> Iterator[tuple[tuple[str | int, ...], containers.ContainerPort]]:
    """Yield the ports on which containers listen beside each other, with their paths in the pod."""
    staying = {one.name for one in unit.pod.containers if one.kind != "init"}
    for path, container in unit.template.containers():
        for at, declared in enumerate(container.ports):
            if container.name in staying and declared.protocol == "TCP":
                yield (*path, "ports", at, "containerPort"), declared
