"""Look up what ConfigMaps and Secrets hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from alongside.plan.translating import notes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from alongside.plan.translating import written
    from alongside.resources import problems, reading

Kind = Literal["ConfigMap", "Secret"]


@dataclass(frozen=True, slots=True)
class Held:
    """What one ConfigMap or Secret holds, by key in the order of keys."""

    files: Mapping[str, bytes] = field(repr=False)
    texts: Mapping[str, bytes] = field(repr=False)
    """Of these, what may be a variable: binaryData may not."""


class Store:
    """All ConfigMaps and Secrets of the files."""

    def __init__(self, resources: reading.Resources) -> None:
        """Decode them once."""
        self._held: dict[Kind, dict[str, Held]] = {"ConfigMap": {}, "Secret": {}}
        for config_map in resources.config_maps:
            texts = {
                key: text.encode("utf-8", "surrogateescape")
                for key, text in sorted(config_map.model.data.items())
            }
            files = dict(sorted({**texts, **config_map.model.binary_data}.items()))
            self._held["ConfigMap"][config_map.name] = Held(files, texts)
        for secret in resources.secrets:
            values = dict(sorted({**secret.model.data, **secret.model.string_data}.items()))
            self._held["Secret"][secret.name] = Held(values, values)

    def held(self, kind: Kind, name: str) -> Held | None:
        """Return what a ConfigMap or Secret holds, or None where there is none of that name."""
        return self._held[kind].get(name)

    def missing(
        self, template: written.Template, path: problems.Path, kind: Kind, name: str
    ) -> problems.Problem:
        """Return the mistake of naming one that is not there."""
        remedy = notes.hint(name, self._held[kind], "add it, or write optional: true")
        return template.problem(path, f'no {kind} "{name}" in these files; {remedy}')

    def missing_key(
        self,
        template: written.Template,
        path: problems.Path,
        named: tuple[Kind, str, str],
        known: Collection[str],
    ) -> problems.Problem:
        """Return the mistake of naming a key that a ConfigMap or Secret does not have."""
        kind, name, key = named
        otherwise = f"it has {', '.join(list(known)[:8])}" if known else "it is empty"
        remedy = notes.hint(key, known, f"{otherwise}; write one of its keys, or optional: true")
        return template.problem(path, f'{kind}/{name} has no key "{key}"; {remedy}')
