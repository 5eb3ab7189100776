"""Know where a pod was written: in a Pod, or in the template of a workload."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alongside.resources import problems, reading
    from alongside.resources.kubernetes import containers, podspecs, workloads

    Owner = (
        reading.Resource[podspecs.Pod]
        | reading.Resource[workloads.Deployment]
        | reading.Resource[workloads.StatefulSet]
        | reading.Resource[workloads.Job]
    )

TEMPLATE: problems.Path = ("spec", "template")


@dataclass(frozen=True, slots=True)
class Template:
    """A pod as a user wrote it, with its place in a file."""

    resource: Owner
    prefix: problems.Path
    """`()` of a Pod, `spec.template` of a workload."""
    spec: podspecs.PodSpec
    labels: dict[str, str]
    annotations: dict[str, str]

    @property
    def owner(self) -> str:
        """The resource, as `Deployment/web`."""
        return f"{self.resource.model.kind}/{self.resource.name}"

    def problem(self, path: problems.Path, message: str) -> problems.Problem:
        """Return a mistake at a path of the pod, such as `("spec", "volumes", 0)`."""
        return self.resource.problem((*self.prefix, *path), message)

    def containers(self) -> list[tuple[problems.Path, containers.Container]]:
        """Return its containers, those for the start first, each with its path in the pod."""
        first = [
            (("spec", "initContainers", at), one)
            for at, one in enumerate(self.spec.init_containers)
        ]
        return [
            *first,
            *((("spec", "containers", at), one) for at, one in enumerate(self.spec.containers)),
        ]

    def path_of(self, container: str) -> problems.Path:
        """Return the path of a container in the pod; the pod's own where it has none so named."""
        return next((path for path, one in self.containers() if one.name == container), ("spec",))
