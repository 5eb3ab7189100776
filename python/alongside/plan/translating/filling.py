"""Make a pod's volumes, with the files of those that hold ConfigMaps, Secrets and the pod's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside.plan import pods
from alongside.plan.translating import identity, stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alongside.plan.translating import notes, written
    from alongside.resources import problems
    from alongside.resources.kubernetes import storage


@dataclass(frozen=True, slots=True)
class Filler:
    """Whose volumes are made, and from what."""

    template: written.Template
    who: identity.Identity
    store: stored.Store
    notes: notes.Notes

    def volumes(self) -> tuple[pods.Volume, ...]:
        """Return the pod's volumes in their order; what cannot be filled is noted."""
        result: dict[str, pods.Volume] = {}
        for at, volume in enumerate(self.template.spec.volumes):
            path: problems.Path = ("spec", "volumes", at)
            if volume.name in result:
                reason = f'the name "{volume.name}" is used twice; rename one of the two'
                self.notes.refuse(self.template.problem((*path, "name"), reason))
            result.setdefault(volume.name, self._volume(volume, path))
        for name in self.who.claims:
            result[name] = pods.Volume(name, "empty")
        return tuple(result.values())

    def _volume(self, volume: storage.Volume, path: problems.Path) -> pods.Volume:
        name = volume.name
        if volume.host_path is not None:
            host = volume.host_path
            return pods.Volume(name, "host", path=host.path, host_type=host.type)
        if volume.config_map is not None:
            one = volume.config_map
            wanted = _Wanted("ConfigMap", one.name, one.items, one.optional, one.default_mode)
            return self._files(name, [self._stored(wanted, (*path, "configMap"), "name")])
        if volume.secret is not None:
            other = volume.secret
            wanted = _Wanted(
                "Secret", other.secret_name, other.items, other.optional, other.default_mode
            )
            return self._files(name, [self._stored(wanted, (*path, "secret"), "secretName")])
        if volume.downward_api is not None:
            downward = volume.downward_api
            items = (*path, "downwardAPI", "items")
            return self._files(name, [self._downward(downward.items, downward.default_mode, items)])
        if volume.projected is not None:
            return self._files(name, self._projected(volume.projected, (*path, "projected")))
        directory = volume.empty_dir
        return pods.Volume(
            name,
            "memory" if directory is not None and directory.medium == "Memory" else "empty",
            size_bytes=directory.size_limit if directory is not None else None,
        )

    def _files(self, name: str, parts: Sequence[_Part]) -> pods.Volume:
        files = {file.path: file for part in parts for file in part.files}
        return pods.Volume(
            name,
            "files",
            sources=tuple(dict.fromkeys(part.source for part in parts)),
            files=tuple(files.values()),
            is_secret=any(part.source.startswith("Secret/") for part in parts),
        )

    def _projected(self, wanted: storage.Projected, path: problems.Path) -> list[_Part]:
        parts, mode = [], wanted.default_mode
        for at, source in enumerate(wanted.sources):
            where = (*path, "sources", at)
            if source.config_map is not None:
                one = source.config_map
                asked = _Wanted("ConfigMap", one.name, one.items, one.optional, mode)
                parts.append(self._stored(asked, (*where, "configMap"), "name"))
            if source.secret is not None:
                other = source.secret
                asked = _Wanted("Secret", other.name, other.items, other.optional, mode)
                parts.append(self._stored(asked, (*where, "secret"), "name"))
            if source.downward_api is not None:
                items = (*where, "downwardAPI", "items")
                parts.append(self._downward(source.downward_api.items, mode, items))
        return parts

    def _stored(self, wanted: _Wanted, path: problems.Path, name_field: str) -> _Part:
        source = f"{wanted.kind}/{wanted.name}"
        held = self.store.held(wanted.kind, wanted.name)
        if held is None:
            if not wanted.is_optional:
                self.notes.refuse(
                    self.store.missing(self.template, (*path, name_field), wanted.kind, wanted.name)
                )
            return _Part(source, ())
        if not wanted.items:
            whole = [pods.File(key, content, wanted.mode) for key, content in held.files.items()]
            return _Part(source, tuple(whole))
        files = []
        for at, item in enumerate(wanted.items):
            content = held.files.get(item.key)
            if content is not None:
                mode = wanted.mode if item.mode is None else item.mode
                files.append(pods.File(item.path, content, mode))
            elif not wanted.is_optional:
                named = (wanted.kind, wanted.name, item.key)
                where = (*path, "items", at, "key")
                self.notes.refuse(self.store.missing_key(self.template, where, named, held.files))
        return _Part(source, tuple(files))

    def _downward(
        self, items: Sequence[storage.DownwardItem], mode: int, path: problems.Path
    ) -> _Part:
        files = []
        for at, item in enumerate(items):
            text = self._told(item, (*path, at))
            if text is not None:
                own = mode if item.mode is None else item.mode
                files.append(pods.File(item.path, text.encode("utf-8", "surrogateescape"), own))
        return _Part("downwardAPI", tuple(files))

    def _told(self, item: storage.DownwardItem, path: problems.Path) -> str | None:
        if item.field_ref is not None:
            text = identity.field_file(self.who, item.field_ref.field_path)
            if text is None:
                where = (*path, "fieldRef", "fieldPath")
                wanted = item.field_ref.field_path
                self.notes.refuse(
                    identity.unknown_field(self.template, where, wanted, is_file=True)
                )
            return text
        if item.resource_field_ref is None:
            return None
        where = (*path, "resourceFieldRef")
        told = identity.resource_value(self.template, where, item.resource_field_ref, "")
        if isinstance(told, str):
            return told
        self.notes.refuse(told)
        return None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a volume takes from a ConfigMap or Secret."""

    kind: stored.Kind
    name: str
    items: Sequence[storage.KeyToPath]
    is_optional: bool
    mode: int


@dataclass(frozen=True, slots=True)
class _Part:
    """The files of one source."""

    source: str
    files: tuple[pods.File, ...]
