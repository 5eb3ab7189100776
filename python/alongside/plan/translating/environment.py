"""Resolve a container's variables in Kubernetes' order: `envFrom`, then `env`, the later wins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alongside.plan import pods, variables
from alongside.plan.translating import identity

if TYPE_CHECKING:
    from collections.abc import Collection

    from alongside.plan.translating import notes, stored, written
    from alongside.resources import problems
    from alongside.resources.kubernetes import containers


@dataclass(slots=True)
class Environment:
    """A container's variables, and how a text of it is expanded."""

    unknown: set[str]
    """All that is known only at the start: what an engine sets by itself, and `late`."""
    watched: frozenset[str]
    """All names whose `$(NAME)` is replaced at the start, with those set further down."""
    resolved: dict[str, pods.Variable] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)
    """Of the container's own."""
    named: set[str] = field(default_factory=set)
    """Late ones that a text of the container names."""

    def expanded(self, text: str) -> str:
        """Return a text with `$(NAME)` of what is known now replaced."""
        result = variables.expanded(text, self.known, self.unknown, self.watched)
        self.named |= variables.named(result) & self.late
        return result

    def set(self, name: str, value: str, written: str, *, is_late: bool) -> None:
        """Set a variable; one of the same name is forgotten, and its place too."""
        self.resolved.pop(name, None)
        self.known.pop(name, None)
        self.late.discard(name)
        self.unknown.discard(name)
        self.resolved[name] = pods.Variable(name, value, written)
        if is_late:
            self.late.add(name)
            self.unknown.add(name)
        else:
            self.known[name] = value


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose variables are to be resolved, and with what."""

    template: written.Template
    path: problems.Path
    """Of the container."""
    container: containers.Container
    who: identity.Identity
    store: stored.Store
    notes: notes.Notes


def resolve(asked: Asked, outside: Collection[str]) -> Environment:
    """Return a container's variables; what cannot be resolved is noted and left out."""
    watched = frozenset(outside)
    while True:
        result = _resolved(asked, frozenset(outside), watched)
        if result.late <= watched:
            return result
        watched |= result.late


def _resolved(asked: Asked, outside: frozenset[str], watched: frozenset[str]) -> Environment:
    result = Environment(set(outside), watched)
    for name, value in asked.who.variables.items():
        _set_literal(result, name, value, value)
    for at, source in enumerate(asked.container.env_from):
        _add_all(asked, result, source, (*asked.path, "envFrom", at))
    for at, variable in enumerate(asked.container.env):
        _add(asked, result, variable, (*asked.path, "env", at))
    return result


def _add_all(
    asked: Asked, result: Environment, source: containers.VariablesSource, path: problems.Path
) -> None:
    kind: stored.Kind = "ConfigMap" if source.config_map_ref is not None else "Secret"
    reference = source.config_map_ref or source.secret_ref
    if reference is None:
        return
    where = "configMapRef" if kind == "ConfigMap" else "secretRef"
    held = asked.store.held(kind, reference.name)
    if held is None:
        if not reference.optional:
            asked.notes.refuse(
                asked.store.missing(asked.template, (*path, where, "name"), kind, reference.name)
            )
        return
    for key, content in held.texts.items():
        text = _text(asked, (*path, where), f"{kind}/{reference.name}", key, content)
        if text is not None:
            written = f"{kind}/{reference.name}.{key}"
            _set_literal(result, f"{source.prefix}{key}", text, written)


def _add(
    asked: Asked, result: Environment, variable: containers.Variable, path: problems.Path
) -> None:
    name = variable.name
    value = result.expanded(variable.value)
    if name in result.late and name in result.named:
        asked.notes.refuse(
            asked.template.problem(
                (*path, "name"),
                f'"{name}" is set before, to what is known only at the start, and is named by '
                "then; give one of the two another name",
            )
        )
    if variable.value_from is not None:
        _add_from(asked, result, variable, (*path, "valueFrom"))
    else:
        is_late = variables.has_late(value, result.watched)
        result.set(name, value, variable.value, is_late=is_late)


def _add_from(
    asked: Asked, result: Environment, variable: containers.Variable, path: problems.Path
) -> None:
    source, name = variable.value_from, variable.name
    if source is None:
        return
    if source.field_ref is not None:
        field_path = source.field_ref.field_path
        value = identity.field_value(asked.who, field_path)
        if value is None:
            where = (*path, "fieldRef", "fieldPath")
            asked.notes.refuse(
                identity.unknown_field(asked.template, where, field_path, is_file=False)
            )
        elif field_path in identity.LATE:
            result.set(name, "", f"field:{field_path}", is_late=True)
        else:
            _set_literal(result, name, value, f"field:{field_path}")
    elif source.resource_field_ref is not None:
        wanted = source.resource_field_ref
        told = identity.resource_value(
            asked.template, (*path, "resourceFieldRef"), wanted, asked.container.name
        )
        if isinstance(told, str):
            _set_literal(result, name, told, f"resource:{wanted.resource}")
        else:
            asked.notes.refuse(told)
    elif source.config_map_key_ref is not None:
        where = (*path, "configMapKeyRef")
        _add_key(asked, result, (name, "ConfigMap", source.config_map_key_ref), where)
    elif source.secret_key_ref is not None:
        where = (*path, "secretKeyRef")
        _add_key(asked, result, (name, "Secret", source.secret_key_ref), where)


def _add_key(
    asked: Asked,
    result: Environment,
    wanted: tuple[str, stored.Kind, containers.KeyRef],
    path: problems.Path,
) -> None:
    name, kind, reference = wanted
    held = asked.store.held(kind, reference.name)
    if held is None:
        if not reference.optional:
            asked.notes.refuse(
                asked.store.missing(asked.template, (*path, "name"), kind, reference.name)
            )
        return
    content = held.texts.get(reference.key)
    if content is None:
        if not reference.optional:
            named = (kind, reference.name, reference.key)
            where = (*path, "key")
            asked.notes.refuse(asked.store.missing_key(asked.template, where, named, held.texts))
        return
    text = _text(asked, (*path, "key"), f"{kind}/{reference.name}", reference.key, content)
    if text is not None:
        _set_literal(result, name, text, f"{kind}/{reference.name}.{reference.key}")


def _set_literal(result: Environment, name: str, value: str, written: str) -> None:
    """Set a value in which nothing is replaced, however it looks."""
    kept = variables.literal(value, result.watched)
    result.set(name, kept, written, is_late=kept != value)


def _text(asked: Asked, path: problems.Path, where: str, key: str, content: bytes) -> str | None:
    """Return a stored value as a variable's; what no process can be given is noted."""
    if b"\0" not in content:
        return content.decode("utf-8", "surrogateescape")
    asked.notes.refuse(
        asked.template.problem(
            path,
            f'"{key}" of {where} holds a NUL character, which no variable can; mount it as a file',
        )
    )
    return None
