"""Say which addresses of this machine pods need for themselves, by what runs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside.plan import collisions, loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alongside.plan import pods, shape
    from alongside.plan.translating import Unit
    from alongside.resources.kubernetes import containers


@dataclass(frozen=True, slots=True)
class Site:
    """Whose pods they are, and what their machine's loopback network is like."""

    project: str = ""
    """As named by its user."""
    has_loopbacks: bool = True
    """Whether there is more than one address."""

    def address(self, pod: pods.Pod) -> str:
        """Return where the process engine has a pod listen."""
        return loopback.address(pod, self.project, has_loopbacks=self.has_loopbacks)


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
        wanted = [(host, declared.container_port)] if is_outside else []
        if declared.host_port is not None:
            wanted.append((declared.host_ip or loopback.SHARED, declared.host_port))
        for at in wanted:
            place = unit.template.problem(path, "")
            owner = unit.template.owner
            found.setdefault(at, collisions.Claim(*at, owner, pod.name, place, is_pod=True))
    return list(found.values())


def _ports(unit: Unit) -> Iterator[tuple[tuple[str | int, ...], containers.ContainerPort]]:
    """Yield the ports on which containers listen beside each other, with their paths in the pod."""
    staying = {one.name for one in unit.pod.containers if one.kind != "init"}
    for path, container in unit.template.containers():
        for at, declared in enumerate(container.ports):
            if container.name in staying and declared.protocol == "TCP":
                yield (*path, "ports", at, "containerPort"), declared
