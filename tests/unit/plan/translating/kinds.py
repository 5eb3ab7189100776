"""Write resources shortly, and translate them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from alongside.plan import translating
from alongside.resources import problems, reading, texts

if TYPE_CHECKING:
    from alongside.plan import pods

Written = dict[str, object]


def document(kind: str, name: str, /, **fields: object) -> Written:
    """Return a resource of a kind, with its version."""
    version = {"Job": "batch/v1"}.get(kind, "apps/v1" if kind[0] in "D" or "Set" in kind else "v1")
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **fields}


def pod(name: str = "web", labels: Written | None = None, /, **spec: object) -> Written:
    """Return a Pod; without containers it has one named `a`."""
    containers = spec.pop("containers", [container()])
    made = document("Pod", name, spec={"containers": containers, **spec})
    made["metadata"] = {"name": name, "labels": labels or {}}
    return made


def container(name: str = "a", /, **fields: object) -> Written:
    """Return a container with an image."""
    return {"name": name, "image": "x", **fields}


def workload(kind: str, name: str = "web", /, **spec: object) -> Written:
    """Return a workload whose template has the label `app` with its name."""
    inner: Written = {"containers": spec.pop("containers", [container()])}
    template: Written = {"metadata": {"labels": {"app": name}}, "spec": inner}
    if kind == "Job":
        inner["restartPolicy"] = "Never"
        return document(kind, name, spec={"template": template, **spec})
    return document(
        kind,
        name,
        spec={"selector": {"matchLabels": {"app": name}}, "template": template, **spec},
    )


def translated(*documents: Written) -> translating.Translated:
    """Return what becomes of documents; each stands on one line, and `---` on every other."""
    text = "\n---\n".join(json.dumps(one) for one in documents)
    return translating.pods(reading.read([texts.Source("f.yaml", "/data", text)]))


def only(*documents: Written) -> pods.Container:
    """Return the one container of the first pod that documents make."""
    (found,) = translated(*documents).units[0].pod.containers
    return found


def mistakes(*documents: Written) -> list[str]:
    """Return every mistake that documents have."""
    with pytest.raises(problems.ResourceError) as caught:
        translated(*documents)
    return list(caught.value.problems)
