"""Answer what a pod may be told about itself: `fieldRef` and `resourceFieldRef`."""

from __future__ import annotations

import math
import re
import uuid
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.plan.translating import notes
from alongside.resources.kubernetes import quantities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alongside.plan.translating import written
    from alongside.resources import problems
    from alongside.resources.kubernetes import storage

NAMESPACE = "default"
NODE = "localhost"
ACCOUNT = "default"
LATE = frozenset({"status.podIP", "status.podIPs", "status.hostIP", "status.hostIPs"})
"""Known when the pod has its place."""
_ONE_OF = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
_PLAIN = ("metadata.name", "metadata.namespace", "metadata.uid")
_VARIABLES = (*_PLAIN, "spec.nodeName", "spec.serviceAccountName", *sorted(LATE))
_FILES = (*_PLAIN, "metadata.labels", "metadata.annotations")
_RESOURCES = ("limits.cpu", "limits.memory", "requests.cpu", "requests.memory")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a pod is: what tells pods of one template from each other."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    """`Deployment/web`; empty for a pod of its own."""
    hostname: str = ""
    subdomain: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Given to each container where it does not set them itself."""
    claims: tuple[str, ...] = ()
    """Volumes that each pod has for itself."""

    @property
    def uid(self) -> str:
        """Its unique id, equal whenever its name is."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://alongside.dev/pods/{self.name}"))


def field_value(who: Identity, path: str) -> str | None:
    """Return a field's value for a variable; "" of what is late, None where there is no such."""
    one = _ONE_OF.fullmatch(path)
    if one is not None:
        return (who.labels if one[1] == "labels" else who.annotations).get(one[2], "")
    if path in LATE:
        return ""
    return {
        "metadata.name": who.name,
        "metadata.namespace": NAMESPACE,
        "metadata.uid": who.uid,
        "spec.nodeName": NODE,
        "spec.serviceAccountName": ACCOUNT,
    }.get(path)


def field_file(who: Identity, path: str) -> str | None:
    """Return a field's value for a file; None where files cannot tell it."""
    if path in {"metadata.labels", "metadata.annotations"}:
        pairs = who.labels if path == "metadata.labels" else who.annotations
        return "\n".join(f"{key}={_quoted(value)}" for key, value in sorted(pairs.items()))
    return field_value(who, path) if path.startswith("metadata.") else None


def unknown_field(
    template: written.Template, path: problems.Path, value: str, *, is_file: bool
) -> problems.Problem:
    """Return the mistake of naming a field that a pod is not told."""
    known = _FILES if is_file else _VARIABLES
    otherwise = f"write one of {', '.join(known)}, metadata.labels['KEY']"
    remedy = notes.hint(value, known, otherwise)
    return template.problem(path, f'"{value}" is no field that a pod is told here; {remedy}')


def resource_value(
    template: written.Template,
    path: problems.Path,
    asked: storage.ResourceFieldRef,
    container: str,
) -> str | problems.Problem:
    """Return a limit or request in units of the divisor, rounded up; or why that cannot be said."""
    name = asked.container_name or container
    found = next((one for _, one in template.containers() if one.name == name), None)
    if found is None:
        known = [one.name for _, one in template.containers()]
        remedy = notes.hint(name, known, f"write one of {', '.join(known)}")
        reason = f'the pod has no container "{name}"; {remedy}' if name else "missing; write it"
        return template.problem((*path, "containerName"), reason)
    if asked.resource not in _RESOURCES:
        remedy = notes.hint(asked.resource, _RESOURCES, f"write one of {', '.join(_RESOURCES)}")
        return template.problem((*path, "resource"), f'"{asked.resource}" is not told; {remedy}')
    group, _, resource = asked.resource.partition(".")
    limits, requests = found.resources.limits, found.resources.requests
    text = limits.get(resource)
    if group == "requests":
        text = requests.get(resource, text)
    if text is None:
        return template.problem(
            (*path, "resource"),
            f'container "{name}" has no {asked.resource}, and what this machine has is not planned '
            f"with; write resources.limits.{resource}",
        )
    return _divided(template, path, text, asked.divisor)


def _divided(
    template: written.Template, path: problems.Path, text: str, divisor: str
) -> str | problems.Problem:
    try:
        unit = quantities.parse(divisor) or Fraction(1)
        return str(math.ceil(quantities.parse(text) / unit))
    except errors.UsageError as error:
        return template.problem((*path, "divisor"), str(error))


def _quoted(value: str) -> str:
    """Return a value as the kubelet writes it: in quotes as Go has them."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    for plain, shown in {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.items():
        escaped = escaped.replace(plain, shown)
    return f'"{escaped}"'
