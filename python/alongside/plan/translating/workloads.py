"""Give the pods of workloads their names, numbers and order."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside.plan.translating import identity, written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alongside.plan.translating import notes
    from alongside.resources import lines, problems, reading
    from alongside.resources.kubernetes import naming, podspecs, workloads

DIGEST_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""As Kubernetes has them: no vowels, so no words, and nothing that looks like another."""
DIGEST_LENGTH = 5
INDEX = "JOB_COMPLETION_INDEX"


@dataclass(frozen=True, slots=True)
class Ordered:
    """A pod of a workload before it is translated, and what it waits for."""

    template: written.Template
    who: identity.Identity
    after: tuple[str, ...] = ()
    after_end: tuple[str, ...] = ()
    is_wanted: bool = True
    """False of the one that stands for a workload without pods: it is only checked."""


def single(pod: reading.Resource[podspecs.Pod]) -> Ordered:
    """Return a pod of its own."""
    metadata = pod.model.metadata
    template = written.Template(pod, (), pod.model.spec, metadata.labels, metadata.annotations)
    return Ordered(template, identity.Identity(pod.name, metadata.labels, metadata.annotations))


def of_deployment(
    deployment: reading.Resource[workloads.Deployment], noted: notes.Notes
) -> Iterator[Ordered]:
    """Yield equal pods, named `NAME-<digest of the template>-<number>`."""
    spec = deployment.model.spec
    template = _template(deployment, spec.template)
    _check_selector(template, spec.selector, noted)
    digest = template_digest(deployment.document.part(written.TEMPLATE))
    labels = {**template.labels, "pod-template-hash": digest}
    for at in range(max(1, spec.replicas)):
        who = identity.Identity(
            f"{deployment.name}-{digest}-{at}", labels, template.annotations, template.owner
        )
        yield Ordered(template, who, is_wanted=at < spec.replicas)


def of_stateful_set(
    stateful_set: reading.Resource[workloads.StatefulSet], noted: notes.Notes
) -> Iterator[Ordered]:
    """Yield pods named `NAME-<number>`, each after the one before it."""
    spec = stateful_set.model.spec
    template = _template(stateful_set, spec.template)
    _check_selector(template, spec.selector, noted)
    if spec.update_strategy.type == "OnDelete":
        reason = "OnDelete has no effect here; pods of an older template are replaced"
        noted.warn(stateful_set.problem(("spec", "updateStrategy", "type"), reason))
    before: tuple[str, ...] = ()
    for at in range(max(1, spec.replicas)):
        name = f"{stateful_set.name}-{at}"
        labels = {
            **template.labels,
            "statefulset.kubernetes.io/pod-name": name,
            "apps.kubernetes.io/pod-index": str(at),
        }
        who = identity.Identity(
            name,
            labels,
            template.annotations,
            template.owner,
            subdomain=spec.service_name or "",
            claims=tuple(claim.metadata.name for claim in spec.volume_claim_templates),
        )
        yield Ordered(template, who, after=before, is_wanted=at < spec.replicas)
        before = (name,) if spec.pod_management_policy == "OrderedReady" else ()


def of_job(job: reading.Resource[workloads.Job]) -> Iterator[Ordered]:
    """Yield pods named `NAME-<number>`, at most `parallelism` at a time."""
    spec = job.model.spec
    template = _template(job, spec.template)
    count = spec.parallelism if spec.completions is None else spec.completions
    names = [f"{job.name}-{at}" for at in range(count)]
    for at, name in enumerate(names):
        own = {"job-name": job.name, "batch.kubernetes.io/job-name": job.name}
        variables = {}
        if spec.completion_mode == "Indexed":
            own["batch.kubernetes.io/job-completion-index"] = str(at)
            variables[INDEX] = str(at)
        who = identity.Identity(
            name,
            {**template.labels, **own},
            template.annotations,
            template.owner,
            variables=variables,
        )
        first = at - spec.parallelism
        yield Ordered(template, who, after_end=(names[first],) if first >= 0 else ())


def template_digest(template: lines.Document) -> str:
    """Return five letters that are equal for equal templates, whatever their layout in the file."""
    text = json.dumps(template.value, sort_keys=True)
    number = int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest())
    letters = ""
    for _ in range(DIGEST_LENGTH):
        number, at = divmod(number, len(DIGEST_LETTERS))
        letters += DIGEST_LETTERS[at]
    return letters


def _template(resource: written.Owner, template: podspecs.PodTemplate) -> written.Template:
    metadata = template.metadata
    return written.Template(
        resource, written.TEMPLATE, template.spec, metadata.labels, metadata.annotations
    )


def _check_selector(
    template: written.Template, selector: naming.Selector | None, noted: notes.Notes
) -> None:
    """Take the template's labels where nothing is selected, and say what a server would do."""
    path: problems.Path = ("spec", "selector")
    wanted = selector.match_labels if selector is not None else {}
    shown = ", ".join(f"{key}: {value}" for key, value in template.labels.items())
    if wanted:
        if not wanted.items() <= template.labels.items():
            reason = f"selector does not match the template's labels {{{shown}}}; write these"
            noted.refuse(template.resource.problem((*path, "matchLabels"), reason))
        return
    if selector is not None and template.resource.document.has((*path, "matchExpressions")):
        return
    if not template.labels:
        reason = "missing, and the template has no labels either; write both"
        noted.refuse(template.resource.problem(path, reason))
        return
    reason = (
        "missing, so the template's labels are taken; a real API server refuses it: spec.selector: "
        f"Required value; write matchLabels: {{{shown}}}"
    )
    noted.warn(template.resource.problem(path, reason))
