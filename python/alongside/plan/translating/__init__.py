"""Turn Kubernetes' resources into pods: workloads, variables, volumes and ports resolved.

In:    resources that were read and checked, each by itself.
Out:   the pods to run with their order, the Services, and warnings; or every mistake at once.
Not:   placing, engines and addresses; reading files.
Next:  plan/building.py makes processes of the pods; engines/pods runs them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from alongside.plan import variables
from alongside.plan.translating import notes, serving, single, stored, workloads
from alongside.resources import problems

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    noted = notes.Notes()
    shared = [one for one in resources.pooled if one.model.spec.access == "service"]
    linked = [*map(serving.outline, resources.services), *map(serving.of_cache, shared)]
    links = {name for service in linked for name in variables.links(service, "")}
    around = single.Surroundings(stored.Store(resources), noted, frozenset(links), grace_s)
    units = []
    for ordered in _ordered(resources, noted):
        pod = single.pod(ordered.template, ordered.who, around)
        if ordered.is_wanted:
            group = ordered.who.owner
            units.append(Unit(pod, ordered.template, ordered.after, ordered.after_end, group))
    _check_names(units, noted)
    made = [(unit.template, unit.pod) for unit in units]
    services = tuple(serving.service(service, made, noted) for service in resources.services)
    known = [service.name for service in services]
    names = serving.further_names(resources.stateful_sets, made, known, noted)
    if noted.found:
        raise problems.ResourceError(list(noted.found))
    return Translated(
        tuple(
            replace(unit, pod=replace(unit.pod, names=names.get(unit.pod.name, ())))
            for unit in units
        ),
        services,
        tuple(noted.warned),
    )


def _ordered(resources: reading.Resources, noted: notes.Notes) -> Iterator[workloads.Ordered]:
    for pod in resources.pods:
        yield workloads.single(pod)
    for deployment in resources.deployments:
        yield from workloads.of_deployment(deployment, noted)
    for stateful_set in resources.stateful_sets:
        yield from workloads.of_stateful_set(stateful_set, noted)
    for job in resources.jobs:
        yield from workloads.of_job(job)


def _check_names(units: list[Unit], noted: notes.Notes) -> None:
    owners: dict[str, written.Template] = {}
    for unit in units:
        first = owners.setdefault(unit.pod.name, unit.template)
        if first is not unit.template:
            reason = (
                f'its pod "{unit.pod.name}" has the name of one of {first.owner}; rename one of '
                "the two"
            )
            noted.refuse(unit.template.resource.problem(("metadata", "name"), reason))
