"""Say in our words what pydantic found: what is wrong, which value, and what to write instead."""

from __future__ import annotations

import types
import typing
from typing import TYPE_CHECKING

from alongside.base import nearest
from alongside.resources import fields, lines, problems

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_TYPE_WORDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "string_type": "a text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_PLAIN = {"missing": "missing; write it", "too_short": "empty; write at least one"}


def resource_text(document: lines.Document) -> str:
    """Return `kind/name` of a document as far as it says so, for messages."""
    value = document.value if isinstance(document.value, dict) else {}
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    kind = value.get("kind")
    if not isinstance(kind, str):
        return ""
    return f"{kind}/{name}"[:130] if isinstance(name, str) else kind[:64]


def path_of(location: tuple[int | str, ...], document: lines.Document) -> problems.Path:
    """Return a pydantic location without the words it adds for unions and keys."""
    path: problems.Path = ()
    if location and location[-1] == "[key]":
        location = location[:-1]
    for part in location:
        if (*path, part) in document.lines or part == location[-1]:
            path = (*path, part)
    return path


def not_honoured(model_type: type[fields.Model], detail: ErrorDetails) -> str | None:
    """Return what happens to a field that Kubernetes knows and we do nothing with, or None."""
    location = detail["loc"]
    if detail["type"] != "extra_forbidden":
        return None
    owner = _model_at(model_type, location[:-1])
    if owner is None or str(location[-1]) not in owner.NOT_HONOURED:
        return None
    return f"has no effect here; {owner.INSTEAD}" if owner.INSTEAD else "has no effect here"


def without_nothing(value: lines.Value) -> lines.Value:
    """Return a value without the fields that are null, which Kubernetes takes as not written."""
    if isinstance(value, list):
        return [without_nothing(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: without_nothing(item) for name, item in value.items() if item is not None}


def remove(value: lines.Value, path: problems.Path) -> None:
    """Take the value at a path out of a document's values."""
    for part in path[:-1]:
        if isinstance(value, dict):
            value = value[str(part)]
        elif isinstance(value, list):
            value = value[int(part)]
    if isinstance(value, dict):
        value.pop(str(path[-1]), None)


def message(model_type: type[fields.Model], detail: ErrorDetails) -> str:
    """Return what is wrong with a field, its value and the remedy."""
    kind, value, location = detail["type"], detail["input"], detail["loc"]
    context = detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(_model_at(model_type, location[:-1]), str(location[-1]))
    if kind == "value_error":
        return str(context.get("error", detail["msg"]))
    if kind in _TYPE_WORDS:
        return f"{fields.shown(value)} is not {_TYPE_WORDS[kind]}; write {_example(kind, value)}"
    if kind in {"greater_than_equal", "less_than_equal"}:
        bound = "at least" if kind == "greater_than_equal" else "at most"
        limit = context.get("ge", context.get("le"))
        return f"{fields.shown(value)} is out of range; write {bound} {limit}"
    return _PLAIN.get(kind) or f"{fields.shown(value)}: {detail['msg']}; correct it"


def _example(kind: str, value: object) -> str:
    if kind == "string_type" and isinstance(value, int | float | bool):
        return f'it in quotes, "{fields.shown(value)}"'
    if kind in {"int_type", "int_from_float"}:
        digits = isinstance(value, str) and value.strip().isdigit()
        return f"{str(value).strip()} without quotes" if digits else "digits such as 3"
    return _TYPE_WORDS[kind]


def _unknown(owner: type[fields.Model] | None, name: str) -> str:
    if owner is not None and name in owner.ELSEWHERE:
        return owner.ELSEWHERE[name]
    known = _names(owner) if owner is not None else {}
    near = nearest.nearest(name, [*known, *(owner.NOT_HONOURED if owner else ())])
    if near:
        return f'unknown field; did you mean "{near}"?'
    return f"unknown field; remove it, or write one of {', '.join(known)}"


def _names(model_type: type[fields.Model]) -> dict[str, object]:
    return {
        field.alias or name: field.annotation for name, field in model_type.model_fields.items()
    }


def _model_at(
    model_type: type[fields.Model] | None, location: tuple[int | str, ...]
) -> type[fields.Model] | None:
    for part in location:
        if isinstance(part, int):
            continue
        if model_type is None:
            return None
        names = _names(model_type)
        if part in names:
            model_type = _model_in(names[part])
    return model_type


def _model_in(annotation: object) -> type[fields.Model] | None:
    """Return the model inside `Model`, `list[Model]` or `Model | None`."""
    if isinstance(annotation, type) and issubclass(annotation, fields.Model):
        return annotation
    origin = typing.get_origin(annotation)
    if origin in {list, typing.Union, types.UnionType, typing.Annotated}:
        found = [_model_in(inner) for inner in typing.get_args(annotation)]
        return next((model for model in found if model is not None), None)
    return None
