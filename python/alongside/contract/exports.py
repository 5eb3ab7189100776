"""Write a contract's parameters as other tools want them: a JSON Schema, lines of a Dockerfile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from alongside.contract import filed, promise, written

if TYPE_CHECKING:
    from collections.abc import Iterator

LABEL = "dev.alongside.contract"
"""What the labels of images begin with that name the digests of contracts."""
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PATTERNS = {
    promise.Kind.DURATION: r"^(0|([0-9]+(\.[0-9]+)?(ms|s|m|h))+)$",
    promise.Kind.SIZE: "^[0-9]+(Ki|Mi|Gi|k|M|G|B)$",
}


def parameters_schema(contract: promise.Contract) -> dict[str, object]:
    """Return the JSON Schema of a file of parameters, for editors to complete and check it by.

    It is looser than `values.resolve`: ranges of durations and sizes are words there.
    """
    properties: dict[str, object] = {}
    for parameter in contract.parameters:
        if parameter.is_argument or parameter == promise.PARAMETERS_FILE:
            continue
        names = {parameter.flag: parameter.deprecated} if parameter.flag else {}
        names |= {one.name: one.deprecated for one in parameter.aliases if one.is_flag}
        for flag, deprecated in names.items():
            shape = _described(parameter)
            properties[filed.key_of(flag)] = shape | ({"deprecated": True} if deprecated else {})
    return {
        "$schema": _DIALECT,
        "title": f"Parameters of {contract.component}",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def _described(parameter: promise.Parameter) -> dict[str, object]:
    one = _shape(parameter)
    shape: dict[str, object] = one
    if parameter.is_repeated:
        shape = {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}
    unset = f"unset: {parameter.unset}" if parameter.unset else ""
    words = [parameter.description, parameter.bounds, unset]
    described: dict[str, object] = {
        **shape,
        "description": "; ".join(filter(None, words)),
        "examples": [_typed(parameter, parameter.example)],
    }
    if parameter.default is not None and not parameter.is_secret:
        described["default"] = _typed(parameter, parameter.default)
    return described


def _shape(parameter: promise.Parameter) -> dict[str, object]:
    if parameter.kind in _PATTERNS:
        pattern: dict[str, object] = {"type": "string", "pattern": _PATTERNS[parameter.kind]}
        return {"type": ["string", "number"]} if parameter.unit else pattern
    match parameter.kind:
        case promise.Kind.BOOLEAN:
            return {"type": "boolean"}
        case promise.Kind.INTEGER | promise.Kind.PORT:
            return {"type": "integer", **_range(parameter)}
        case promise.Kind.NUMBER:
            return {"type": "number", **_range(parameter)}
        case promise.Kind.CHOICE:
            return {"enum": list(parameter.choices)}
        case kind:
            is_text = kind is promise.Kind.TEXT  # `123` is one too, quoted or not
            return {"type": ["string", "number"] if is_text else "string", "minLength": 1}


def _range(parameter: promise.Parameter) -> dict[str, object]:
    bounds = {"minimum": parameter.minimum, "maximum": parameter.maximum}
    return {key: _typed(parameter, text) for key, text in bounds.items() if text is not None}


def _typed(parameter: promise.Parameter, text: str) -> object:
    """Return a text as the YAML that means it: a number, a boolean, or the text."""
    match parameter.kind:
        case promise.Kind.BOOLEAN:
            return text == "true"
        case promise.Kind.INTEGER | promise.Kind.PORT:
            return int(text)
        case promise.Kind.NUMBER:
            return float(text)
        case _:
            return text


def dockerfile(contract: promise.Contract) -> str:
    """Return the lines of a Dockerfile for one component: ENV, EXPOSE, VOLUME, LABEL, USER.

    Every variable has a line: with its default, or as a remark where it has none. What stands as
    ENV is stronger than a file of parameters. No text of the contract begins a line of its own, or
    stands where the first remark of a file may be an order to the builder.
    """
    return "\n".join(_lines(contract)) + "\n"


def _lines(contract: promise.Contract) -> Iterator[str]:
    yield _line(f"# Parameters of {contract.component}")
    for parameter in contract.parameters:
        variable = contract.variable(parameter)
        if variable is None:
            continue
        yield _line(f"# {parameter.description}{_note(parameter)}")
        default = parameter.default
        if default is None or parameter.is_secret or not default.isprintable():
            yield _line(f"# ENV {variable}={_quoted(parameter.example)}")
        else:
            yield _line(f"ENV {variable}={_quoted(default)}")
    for port in contract.ports:
        if port.number is not None:
            yield _line(f"# {port.description} ({port.protocol})")
            yield f"EXPOSE {port.number}/tcp"
    for volume in contract.volumes:
        yield _line(f"# {volume.description}")
        yield f"VOLUME {json.dumps([volume.path])}"
    labels = {
        "org.opencontainers.image.title": contract.component,
        "org.opencontainers.image.description": contract.summary,
        "org.opencontainers.image.version": contract.version,
        f"{LABEL}.{contract.component}": written.digest(contract),
    }
    for key, text in labels.items():
        if text:
            yield _line(f"LABEL {key}={_in_quotes(_line(text))}")
    if contract.user:
        yield _line(f"USER {contract.user}")


def _line(text: str) -> str:
    """Return a text as one line: whatever breaks or steers a line is a blank."""
    return "".join(one if one.isprintable() else " " for one in text)


def _note(parameter: promise.Parameter) -> str:
    bounds = f", {parameter.bounds}" if parameter.bounds else ""
    needed = ", required" if parameter.is_required else ""
    unset = f"; unset: {parameter.unset}" if parameter.unset else ""
    return f" ({parameter.kind.value}{bounds}{needed}{unset})"


def _quoted(text: str) -> str:
    """Return a value as ENV takes it: `$` would name another variable there."""
    if text and all(letter.isalnum() or letter in "-_./:,@%+" for letter in text):
        return text
    return _in_quotes(text)


def _in_quotes(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'
