"""Turn the texts of files into resources, or into every mistake in them at once."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import pydantic

from alongside.base import files, nearest
from alongside.resources import explaining, fields, kinds, kubernetes, lines, problems

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FILES_MAX = 64
PASSES_MAX = 2
"""A document is checked, freed of what is not honoured, and checked once more."""

M = TypeVar("M", kinds.ShardedCache, kubernetes.Pod, kubernetes.Service)
AnyKind = kinds.ShardedCache | kubernetes.Pod | kubernetes.Service

_KINDS: dict[tuple[str, str], type[AnyKind]] = {
    (kinds.API_VERSION, "ShardedCache"): kinds.ShardedCache,
    ("v1", "Pod"): kubernetes.Pod,
    ("v1", "Service"): kubernetes.Service,
}
_LATER = {"ShardedService", "SidecarPolicy", "App", "ConfigMap", "Secret", "Job"}
_LATER_PODS = {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"}


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was read: its name for messages, its folder (absolute), its text."""

    file: str
    folder: str
    text: str


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
    pods: tuple[Resource[kubernetes.Pod], ...] = ()
    services: tuple[Resource[kubernetes.Service], ...] = ()
    warnings: tuple[str, ...] = ()


def load(paths: Sequence[Path]) -> list[Source]:
    """Return the files' texts.

    Raises:
        errors.UsageError: a file is missing, too large or no text.
    """
    sources = []
    for path in paths:
        content = files.read_bounded(path, bytes_max=lines.TEXT_BYTES_MAX)
        text = content.decode("utf-8", "surrogateescape")
        sources.append(Source(str(path), str(path.absolute().parent), text))
    return sources


def read(sources: Sequence[Source]) -> Resources:
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
    return collector.result()


class _Collector:
    def __init__(self) -> None:
        self.found: list[problems.Problem] = []
        self.warnings: list[str] = []
        self.seen: dict[tuple[str, str], str] = {}
        self.caches: list[Resource[kinds.ShardedCache]] = []
        self.pods: list[Resource[kubernetes.Pod]] = []
        self.services: list[Resource[kubernetes.Service]] = []

    def result(self) -> Resources:
        if self.found:
            raise problems.ResourceError(self.found)
        return Resources(
            tuple(self.caches), tuple(self.pods), tuple(self.services), tuple(self.warnings)
        )

    def add(self, document: lines.Document, folder: str) -> None:
        model_type = self.kind_of(document)
        if model_type is None:
            return
        model = self.checked(model_type, document)
        if model is None:
            return
        match model:
            case kinds.ShardedCache():
                cache = Resource(model, document, folder)
                self.once(cache)
                self.caches.append(cache)
            case kubernetes.Pod():
                pod = Resource(model, document, folder)
                self.once(pod)
                self.pods.append(pod)
            case kubernetes.Service():
                service = Resource(model, document, folder)
                self.once(service)
                self.services.append(service)

    def once(self, resource: Resource[M]) -> None:
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
        self.found.append(
            problems.Problem(
                document.file,
                document.line(path),
                explaining.resource_text(document),
                problems.field_text(path),
                message,
            )
        )

    def kind_of(self, document: lines.Document) -> type[AnyKind] | None:
        value = document.value
        if not isinstance(value, dict):
            self.refuse(document, (), f"{fields.shown(value)} is not a resource; write its fields")
            return None
        kind, version = value.get("kind"), value.get("apiVersion")
        known = {name: version for version, name in _KINDS}
        if not isinstance(kind, str):
            self.refuse(document, ("kind",), f"missing; write one of {', '.join(known)}")
        elif kind in _LATER_PODS:
            self.refuse(document, ("kind",), f'"{kind}" is not run here yet; write a Pod')
        elif kind not in known:
            state = "is not there yet" if kind in _LATER else "is not known"
            near = nearest.nearest(kind, known)
            hint = f'did you mean "{near}"? ' if near and kind not in _LATER else ""
            choice = f"{hint}write one of {', '.join(known)}"
            self.refuse(document, ("kind",), f"{fields.shown(kind)} {state}; {choice}")
        elif version != known[kind]:
            what = f"{fields.shown(version)} is not the version of {kind}"
            self.refuse(document, ("apiVersion",), f"{what}; write {known[kind]}")
        else:
            return _KINDS[known[kind], kind]
        return None

    def checked(self, model_type: type[AnyKind], document: lines.Document) -> AnyKind | None:
        value = copy.deepcopy(document.value)
        for _ in range(PASSES_MAX):
            try:
                return model_type.model_validate(value)
            except pydantic.ValidationError as error:
                details = error.errors(include_url=False, include_context=True)
            remaining = []
            for detail in details:
                path = explaining.path_of(detail["loc"], document)
                if detail["type"] == "extra_forbidden" and explaining.is_not_honoured(
                    model_type, detail["loc"]
                ):
                    self.warn(document, path)
                    explaining.remove(value, path)
                else:
                    remaining.append((path, explaining.message(model_type, detail)))
            if remaining:
                for path, message in remaining:
                    self.refuse(document, path, message)
                return None
        return None

    def warn(self, document: lines.Document, path: problems.Path) -> None:
        self.warnings.append(
            str(
                problems.Problem(
                    document.file,
                    document.line(path),
                    explaining.resource_text(document),
                    problems.field_text(path),
                    "has no effect where pods run as local processes",
                )
            )
        )
