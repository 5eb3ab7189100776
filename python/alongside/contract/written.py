"""Read and write contracts as files: YAML or JSON, `contract: 1` and the fields of `promise`.

A contract is the same in both; JSON is what `contract show` prints and `contract diff` reads.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from typing import TYPE_CHECKING, cast

from alongside.base import errors, nearest, units
from alongside.contract import faults as checked
from alongside.contract import filed, promise

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pydantic
    import pydantic_core
    import yaml

FORMAT = 1
"""The version of the format, which stands in every file as `contract`."""
BYTES_MAX = 1024 * 1024
"""Longer files are refused before they are read."""
_PROBLEMS_MAX = 20
_NOT_PLAIN = "anchors and merge keys are not read; write it out"
_NUMERIC = frozenset(("int", "float", "timestamp"))
_NUMBER_LENGTH_MAX = 64
"""Characters: longer ones take Python long to read."""


def to_json(contract: promise.Contract) -> dict[str, object]:
    """Return a contract as JSON data: defaults left out, flags and variables spelt out.

    Equal contracts give equal data, in the same order.
    """
    explicit = _explicit(contract, contract.version)
    data = _adapter().dump_python(explicit, mode="json", by_alias=True, exclude_defaults=True)
    return {"contract": FORMAT, **cast("dict[str, object]", data)}


def to_text(contract: promise.Contract) -> str:
    """Return a contract as indented JSON with a line feed at its end."""
    return json.dumps(to_json(contract), indent=2, ensure_ascii=False) + "\n"


def digest(contract: promise.Contract) -> str:
    """Return the SHA-256 of a contract in hexadecimal: equal promises have equal digests.

    The version is left out, so that a release which changes nothing keeps the digest.
    """
    data = dataclasses.asdict(_explicit(contract, ""))
    canonical = json.dumps(data, sort_keys=True, default=lambda kind: kind.value).encode()
    return hashlib.sha256(canonical).hexdigest()


def _explicit(contract: promise.Contract, version: str) -> promise.Contract:
    """Return a contract in which nothing is derived from its component's name."""
    parameters = tuple(
        dataclasses.replace(
            parameter, own_flag=parameter.flag, own_variable=contract.variable(parameter) or ""
        )
        for parameter in contract.parameters
    )
    return dataclasses.replace(
        contract, version=version, own_prefix=contract.prefix, parameters=parameters
    )


def from_text(text: str, place: str) -> promise.Contract:
    """Return the contract that a file holds, YAML or JSON.

    Args:
        text: the whole file.
        place: what to call it in messages.

    Raises:
        errors.UsageError: it is no contract; every mistake with its path and a remedy.
    """
    data = _mapping(text, place)
    found = data.pop("contract", None)
    if found != FORMAT:
        said = "does not say" if found is None else f"says {units.shown(str(found))}"
        raise errors.UsageError(
            f"{place}: contract: {said} which format this is; write contract: {FORMAT}"
        )
    contract = _validated(data, place)
    problems = [f"{place}: {problem}" for problem in checked.found(contract)]
    if problems:
        raise errors.UsageError(*problems)
    return contract


def faults(contract: promise.Contract) -> list[str]:
    """Return what is wrong with a contract beyond its form, each with its path and a remedy.

    `from_text` refuses all but an example that does not fit, which `contract check` tells of.
    """
    return [*checked.found(contract), *checked.examples(contract)]


def schema() -> dict[str, object]:
    """Return the JSON Schema of a contract's file, for editors."""
    whole = _adapter().json_schema(by_alias=True)
    whole["properties"] = {"contract": {"const": FORMAT}, **whole["properties"]}
    whole["required"] = ["contract", *whole.get("required", [])]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole}


@functools.cache
def _adapter() -> pydantic.TypeAdapter[promise.Contract]:
    # Late: no component needs it to start.
    import pydantic  # noqa: PLC0415

    return pydantic.TypeAdapter(promise.Contract)


def plain_yaml(text: str, place: str) -> object:
    """Return the data that a YAML or JSON text holds, in time and space of the text's length.

    Anchors, aliases and merge keys, with which a short text can mean a huge one, are refused; so
    is a name that stands twice in one mapping, of which YAML would keep the last.

    Args:
        text: the whole text; its length is the caller's to bound.
        place: what to call it in messages.

    Raises:
        errors.UsageError: it is neither YAML nor JSON, or more than plain.
    """
    import yaml  # noqa: PLC0415

    try:
        return yaml.load(text, _plain_loader())  # noqa: S506 - a SafeLoader that reads less
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        told = filed.yaml_fault(error)
        raise errors.UsageError(f"{place}: is neither YAML nor JSON: {told}") from None


@functools.cache
def _plain_loader() -> type[yaml.SafeLoader]:
    # Late: only who reads a file needs it.
    import yaml  # noqa: PLC0415

    class Plain(yaml.SafeLoader):
        """Refuses while it composes, before anything is built of it."""

        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            event = self.peek_event()  # type: ignore[no-untyped-call]
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
                raise _refused(_NOT_PLAIN, event.start_mark)
            node = super().compose_node(parent, index)
            if node is not None:
                _check_plain(node)
            return node

    return Plain


def _check_plain(node: yaml.Node) -> None:
    """Raise MarkedYAMLError where a node, its own members aside, is more than plain."""
    kind = node.tag.rpartition(":")[2]
    if kind == "merge":
        raise _refused(_NOT_PLAIN, node.start_mark)
    if kind in _NUMERIC and len(node.value) > _NUMBER_LENGTH_MAX:
        raise _refused("a number is too long; write it in quotes", node.start_mark)
    if kind == "map":
        names: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if not isinstance(key.value, str):
                raise _refused("a name is a list or a mapping", key.start_mark)
            if (key.tag, key.value) in names:
                raise _refused("a name stands here twice; keep one", key.start_mark)
            names.add((key.tag, key.value))


def _refused(problem: str, mark: yaml.Mark) -> yaml.MarkedYAMLError:
    import yaml  # noqa: PLC0415

    return yaml.MarkedYAMLError(None, None, problem, mark)


def _mapping(text: str, place: str) -> dict[str, object]:
    data = plain_yaml(text, place)
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise errors.UsageError(
            f"{place}: holds no contract; it begins with contract: {FORMAT}, "
            "`alongside contract show cache` prints one"
        )
    return cast("dict[str, object]", data)


def _validated(data: Mapping[str, object], place: str) -> promise.Contract:
    import pydantic  # noqa: PLC0415

    try:
        return _adapter().validate_python(data, by_alias=True, by_name=False)
    except pydantic.ValidationError as error:
        found = error.errors(include_url=False)
        problems = [f"{place}: {_worded(problem, data)}" for problem in found[:_PROBLEMS_MAX]]
        if len(found) > _PROBLEMS_MAX:
            problems.append(f"{place}: and {len(found) - _PROBLEMS_MAX} more mistakes")
        raise errors.UsageError(*problems) from error


def _worded(problem: pydantic_core.ErrorDetails, data: Mapping[str, object]) -> str:
    where = _where(problem["loc"], data)
    match problem["type"]:
        case "missing" | "missing_argument" | "missing_keyword_only_argument":
            return f"{where}: is missing"
        case "extra_forbidden" | "unexpected_keyword_argument" | "unexpected_positional_argument":
            near = nearest.nearest(str(problem["loc"][-1]), _known_names())
            return f"{where}: is no field; {f'did you mean {near}?' if near else 'leave it out'}"
        case "string_type":
            return f"{where}: is no text; write it in quotes"
        case _:
            told = problem["msg"]
            return f"{where}: {told[:1].lower()}{told[1:]}"


def _where(location: tuple[int | str, ...], data: object) -> str:
    """Return the path of a mistake, with the name of a list's member where it has one."""
    words: list[str] = []
    for step in location:
        data = _inside(data, step)
        if isinstance(step, int):
            name = data.get("name") if isinstance(data, dict) else None
            words.append(f"[{units.shown(str(name)) if name else step}]")
        else:
            words.append(f".{step}" if words else str(step))
    return "".join(words)


def _inside(data: object, step: int | str) -> object:
    if isinstance(data, dict):
        return data.get(step)
    if isinstance(data, list) and isinstance(step, int) and step < len(data):
        return data[step]
    return None


def _known_names() -> list[str]:
    return [
        promise.written_name(name) for part in promise.PARTS for name in part.__dataclass_fields__
    ]
