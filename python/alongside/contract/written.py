"""Read and write contracts as files: YAML or JSON, `contract: 1` and the fields of `promise`.

A contract is the same in both; JSON is what `contract show` prints and `contract diff` reads.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import json
from typing import TYPE_CHECKING, cast

from alongside.base import errors, nearest, release, units
from alongside.contract import promise

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pydantic
    import pydantic_core

FORMAT = 1
"""The version of the format, which stands in every file as `contract`."""
BYTES_MAX = 1024 * 1024
"""Longer files are refused before they are read."""
_PROBLEMS_MAX = 20


def to_json(contract: promise.Contract) -> dict[str, object]:
    """Return a contract as JSON data: defaults left out, flags and variables spelt out.

    Equal contracts give equal data, in the same order.
    """
    explicit = _explicit(contract, contract.version or release.version())
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
    problems = [f"{place}: {problem}" for problem in faults(contract)]
    if problems:
        raise errors.UsageError(*problems)
    return contract


def faults(contract: promise.Contract) -> list[str]:
    """Return what is wrong with a contract beyond its form: names that appear twice."""
    names = [
        *(f"parameters: {one.name}" for one in contract.parameters),
        *(f"metrics: {one.name}" for one in contract.metrics),
        *(f"exits: {one.code}" for one in contract.exits),
        *(f"routes: {one.method} {one.path} of {one.door}" for one in contract.routes),
        *(f"flag {flag}" for flag in _flags(contract)),
        *(f"variable {variable}" for variable in _variables(contract)),
    ]
    twice = [name for name, count in collections.Counter(names).items() if count > 1]
    return [f"{name} stands here twice; keep one" for name in twice]


def schema() -> dict[str, object]:
    """Return the JSON Schema of a contract's file, for editors."""
    whole = _adapter().json_schema(by_alias=True)
    whole["properties"] = {"contract": {"const": FORMAT}, **whole["properties"]}
    whole["required"] = ["contract", *whole.get("required", [])]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole}


def _flags(contract: promise.Contract) -> list[str]:
    aliases = [one.name for p in contract.parameters for one in p.aliases if one.is_flag]
    return [*(p.flag for p in contract.parameters if p.flag), *aliases]


def _variables(contract: promise.Contract) -> list[str]:
    aliases = [one.name for p in contract.parameters for one in p.aliases if not one.is_flag]
    own = [contract.variable(parameter) for parameter in contract.parameters]
    return [*filter(None, own), *aliases]


@functools.cache
def _adapter() -> pydantic.TypeAdapter[promise.Contract]:
    # Late: no component needs it to start.
    import pydantic  # noqa: PLC0415

    return pydantic.TypeAdapter(promise.Contract)


def _mapping(text: str, place: str) -> dict[str, object]:
    import yaml  # noqa: PLC0415

    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        told = " ".join(str(error).split())
        raise errors.UsageError(f"{place}: is neither YAML nor JSON: {told}") from error
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
