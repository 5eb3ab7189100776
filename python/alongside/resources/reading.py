"""Turn the texts of files into resources, or into every mistake in them at once."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import pydantic

from alongside.base import nearest
from alongside.resources import explaining, fields, kinds, lines, pools, problems
from alongside.resources.kubernetes import data, podspecs, services, workloads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alongside.resources import texts

FILES_MAX = 64
PASSES_MAX = 2
"""A document is checked, freed of what is not honoured, and checked once more."""
NOTHING = (
    "no resource is here; write one, or leave the file out; alongside down stops all that runs"
)
"""One that was emptied by mistake would stop all that it asked for, with every sign of success."""

AnyKind = (
    kinds.ShardedCache
    | pools.PooledCache
    | podspecs.Pod
    | workloads.Deployment
    | workloads.StatefulSet
    | workloads.Job
    | services.Service
    | data.ConfigMap
    | data.Secret
)
M = TypeVar("M", bound=AnyKind)

_KINDS: dict[str, tuple[str, type[AnyKind]]] = {
    "ShardedCache": (kinds.API_VERSION, kinds.ShardedCache),
    "Pod": ("v1", podspecs.Pod),
    "Deployment": ("apps/v1", workloads.Deployment),
    "StatefulSet": ("apps/v1", workloads.StatefulSet),
    "Job": ("batch/v1", workloads.Job),
    "Service": ("v1", services.Service),
    "ConfigMap": ("v1", data.ConfigMap),
    "Secret": ("v1", data.Secret),
}
_OURS = frozenset({kinds.ShardedCache, pools.PooledCache})
_OLD_VERSIONS = frozenset({"extensions/v1", "extensions/v1beta1", "apps/v1beta1", "apps/v1beta2"})
"""Of Deployment and StatefulSet: no server that is alive knows them, and many files name them."""
_LATER = {"ShardedService", "SidecarPolicy", "App"}
_INSTEAD = {
    "DaemonSet": "write a Deployment",
    "ReplicaSet": "write a Deployment",
    "ReplicationController": "write a Deployment",
    "CronJob": "write a Job",
}
_ELSEWHERE = frozenset(
    {"Namespace", "PersistentVolumeClaim", "PersistentVolume", "StorageClass", "ServiceAccount"}
    | {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "Ingress", "IngressClass"}
    | {"NetworkPolicy", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Endpoints"}
    | {"EndpointSlice", "LimitRange", "ResourceQuota", "PriorityClass", "Node", "Event"}
    | {"CustomResourceDefinition", "Lease", "RuntimeClass"}
)
"""Kinds of Kubernetes that only mean something in a cluster."""


@dataclass(frozen=True, slots=True)
class Resource(Generic[M]):
    """A checked resource that knows where each of its fields was written."""

    model: M
    document: lines.Document
    folder: str

    @property
    def name(self) -> str:
        """Its `metadata.name`."""
        return self.model.metadata.name

    def problem(self, path: problems.Path, message: str) -> problems.Problem:
        """Return a mistake found later, at a path such as `("spec", "origin")`."""
        return problems.Problem(
            self.document.file,
            self.document.line(path),
            f"{self.model.kind}/{self.name}",
            problems.field_text(path),
            message,
        )


@dataclass(frozen=True, slots=True)
class Resources:
    """All that the files say, in their order, and what in them has no effect here."""

    caches: tuple[Resource[kinds.ShardedCache], ...] = ()
    pods: tuple[Resource[podspecs.Pod], ...] = ()
    services: tuple[Resource[services.Service], ...] = ()
    warnings: tuple[str, ...] = ()
    deployments: tuple[Resource[workloads.Deployment], ...] = ()
    stateful_sets: tuple[Resource[workloads.StatefulSet], ...] = ()
    jobs: tuple[Resource[workloads.Job], ...] = ()
    config_maps: tuple[Resource[data.ConfigMap], ...] = ()
    secrets: tuple[Resource[data.Secret], ...] = ()
    pooled: tuple[Resource[pools.PooledCache], ...] = ()
    """Sharded caches of memcache and Redis."""

    @property
    def sharded(self) -> list[Resource[kinds.ShardedCache] | Resource[pools.PooledCache]]:
        """All that is of the kind `ShardedCache`."""
        return [*self.caches, *self.pooled]


def read(sources: Sequence[texts.Source]) -> Resources:
    """Return the resources of all files.

    Raises:
        problems.ResourceError: every mistake in them, in the order of file and line.
    """
    collector = _Collector()
    if len(sources) > FILES_MAX:
        collector.found.append(
            problems.Problem(sources[FILES_MAX].file, 1, "", "", f"more than {FILES_MAX} files")
        )
    for source in sources[:FILES_MAX]:
        try:
            documents = lines.documents(source.text, file=source.file)
        except problems.ResourceError as error:
            collector.found.extend(error.found)
            continue
        for document in documents:
            collector.add(document, source.folder)
        if not documents:
            collector.found.append(problems.Problem(source.file, 1, "", "", NOTHING))
    if sources and not collector.resources and not collector.found:
        collector.found.append(problems.Problem(sources[0].file, 1, "", "", NOTHING))
    return collector.result()


class _Collector:
    def __init__(self) -> None:
        self.found: list[problems.Problem] = []
        self.warnings: list[str] = []
        self.seen: dict[tuple[str, str], str] = {}
        self.resources: list[Resource[AnyKind]] = []

    def result(self) -> Resources:
        if self.found:
            raise problems.ResourceError(self.found)
        return Resources(
            caches=self.of(kinds.ShardedCache),
            pods=self.of(podspecs.Pod),
            services=self.of(services.Service),
            warnings=tuple(self.warnings),
            deployments=self.of(workloads.Deployment),
            stateful_sets=self.of(workloads.StatefulSet),
            jobs=self.of(workloads.Job),
            config_maps=self.of(data.ConfigMap),
            secrets=self.of(data.Secret),
            pooled=self.of(pools.PooledCache),
        )

    def of(self, model_type: type[M]) -> tuple[Resource[M], ...]:
        return tuple(
            Resource(resource.model, resource.document, resource.folder)
            for resource in self.resources
            if isinstance(resource.model, model_type)
        )

    def add(self, document: lines.Document, folder: str) -> None:
        value = document.value
        if isinstance(value, dict) and value.get("kind") == "List":
            self.add_items(document, value, folder)
            return
        model_type = self.kind_of(document)
        model = self.checked(model_type, document) if model_type is not None else None
        if model is None:
            return
        resource = Resource(model, document, folder)
        self.once(resource)
        self.resources.append(resource)

    def add_items(
        self, document: lines.Document, value: dict[str, lines.Value], folder: str
    ) -> None:
        """Take a `kind: List`, which is what `kubectl get -o yaml` writes."""
        items = value.get("items")
        for name in value.keys() - {"apiVersion", "kind", "metadata", "items"}:
            self.refuse(document, (name,), "unknown field; a List has only items")
        if not isinstance(items, list):
            self.refuse(document, ("items",), f"{fields.shown(items)} is not a list; write one")
            return
        for at, item in enumerate(items):
            if isinstance(item, dict) and item.get("kind") == "List":
                self.refuse(document, ("items", at), "a List in a List is not read; write one List")
            else:
                self.add(document.part(("items", at)), folder)

    def once(self, resource: Resource[AnyKind]) -> None:
        identity = (resource.model.kind, resource.name)
        path: problems.Path = ("metadata", "name")
        if identity in self.seen:
            self.found.append(
                resource.problem(
                    path, f"already used by {self.seen[identity]}; give one another name"
                )
            )
        self.seen.setdefault(identity, f"{resource.document.file}:{resource.document.line(path)}")

    def refuse(self, document: lines.Document, path: problems.Path, message: str) -> None:
        self.found.append(_problem(document, path, message))

    def warn(self, document: lines.Document, path: problems.Path, message: str) -> None:
        self.warnings.append(str(_problem(document, path, message)))

    def kind_of(self, document: lines.Document) -> type[AnyKind] | None:
        value = document.value
        if not isinstance(value, dict):
            self.refuse(document, (), f"{fields.shown(value)} is not a resource; write its fields")
            return None
        kind, version = value.get("kind"), value.get("apiVersion")
        if not isinstance(kind, str):
            self.refuse(document, ("kind",), f"missing; write one of {', '.join(_KINDS)}")
            return None
        if kind not in _KINDS:
            self.refuse(document, ("kind",), _unknown_kind(kind))
            return None
        known, model_type = _KINDS[kind]
        if known == "apps/v1" and version in _OLD_VERSIONS:
            self.warn(
                document,
                ("apiVersion",),
                f'"{version}" is read as {known} here; a real API server refuses it: no matches '
                f'for kind "{kind}" in version "{version}"; write {known}',
            )
        elif version != known:
            what = f"{fields.shown(version)} is not the version of {kind}"
            self.refuse(document, ("apiVersion",), f"{what}; write {known}")
            return None
        return pools.model(value) if model_type is kinds.ShardedCache else model_type

    def checked(self, model_type: type[AnyKind], document: lines.Document) -> AnyKind | None:
        value = _readable(document.value, model_type)
        for _ in range(PASSES_MAX):
            try:
                return model_type.model_validate(value)
            except pydantic.ValidationError as error:
                details = error.errors(include_url=False, include_context=True)
            remaining = []
            for detail in details:
                path = explaining.path_of(detail["loc"], document)
                effect = explaining.not_honoured(model_type, detail)
                if effect is not None:
                    self.warn(document, path, effect)
                    explaining.remove(value, path)
                else:
                    remaining.append((path, explaining.message(model_type, detail)))
            if remaining:
                for path, message in remaining:
                    self.refuse(document, path, message)
                return None
        return None


def _problem(document: lines.Document, path: problems.Path, message: str) -> problems.Problem:
    return problems.Problem(
        document.file,
        document.line(path),
        explaining.resource_text(document),
        problems.field_text(path),
        message,
    )


def _unknown_kind(kind: str) -> str:
    if kind in _INSTEAD:
        return f'"{kind}" is not run here; {_INSTEAD[kind]}'
    if kind in _ELSEWHERE:
        return f'"{kind}" has a meaning only in a cluster; leave it out here'
    state = "is not there yet" if kind in _LATER else "is not known"
    near = nearest.nearest(kind, _KINDS)
    hint = f'did you mean "{near}"? ' if near and kind not in _LATER else ""
    return f"{fields.shown(kind)} {state}; {hint}write one of {', '.join(_KINDS)}"


def _readable(value: lines.Value, model_type: type[AnyKind]) -> lines.Value:
    """Return a copy of a document's values as its model takes them.

    Of Kubernetes' kinds a null field is one that is not written, and an old version is today's.
    """
    if model_type in _OURS or not isinstance(value, dict):
        return copy.deepcopy(value)
    kept = {"data", "stringData"} if model_type in {data.ConfigMap, data.Secret} else set()
    plain = {
        name: copy.deepcopy(item) if name in kept else explaining.without_nothing(item)
        for name, item in value.items()
        if item is not None
    }
    if value.get("apiVersion") in _OLD_VERSIONS:
        plain["apiVersion"] = "apps/v1"
    return plain
