"""Turn Kubernetes' resources into pods: workloads, variables, volumes and ports resolved.

In:    resources that were read and checked, each by itself.
Out:   the pods to run with their order, the Services, and warnings; or every mistake at once.
Not:   placing, engines and addresses; reading files.
Next:  plan/building.py makes processes of the pods; engines/pods runs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alongside.plan import pods as planned
    from alongside.plan.translating import written
    from alongside.resources import reading

__all__ = ["GRACE_S", "Translated", "Unit", "pods"]

GRACE_S = 30.0
"""Kubernetes' default between SIGTERM and SIGKILL."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A pod to run, and what it waits for."""

    pod: planned.Pod
    template: written.Template
    """Where it was written: `template.problem(path, message)` is a mistake of it."""
    after: tuple[str, ...] = ()
    """Pods that have to be ready before it is started."""
    after_end: tuple[str, ...] = ()
    """Pods that have to have ended well before it is started: a Job's, where not all may run."""
    group: str = ""
    """The workload that it is one of, as `StatefulSet/NAME`; empty for a pod of its own."""


@dataclass(frozen=True, slots=True)
class Translated:
    """All pods and Services that resources ask for."""

    units: tuple[Unit, ...] = ()
    """Pods, then Deployments', StatefulSets' and Jobs' pods, each in the files' order."""
    services: tuple[planned.Service, ...] = ()
    warnings: tuple[str, ...] = ()
    """Not those of reading, which `resources.warnings` has."""


def pods(resources: reading.Resources, *, grace_s: float = GRACE_S) -> Translated:
    """Return the pods and Services that resources ask for.

    Args:
        resources: all of the files.
        grace_s: between SIGTERM and SIGKILL of a pod that does not say it itself.

    Raises:
        problems.ResourceError: every mistake between two places, in the order of file and line.
    """
    raise NotImplementedError
