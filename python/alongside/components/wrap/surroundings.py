"""Judge what a program is given by its contract, and say what it is given in the end."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from alongside.base import errors, nearest, units
from alongside.components.wrap import quantities
from alongside.contract import flags, promise, values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from alongside.base import environment

_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_WITH_UNITS = (promise.Kind.DURATION, promise.Kind.SIZE)


def judged(contract: promise.Contract) -> promise.Contract:
    """Return the part of a contract that can be judged from outside: all but bare words."""
    parameters = tuple(one for one in contract.parameters if not one.is_argument)
    return dataclasses.replace(contract, parameters=parameters)


def given(contract: promise.Contract, words: Sequence[str]) -> flags.Flags:
    """Return what a program's words say under flags that its contract names.

    Other words are the program's own affair, but for flags that are nearly one of the contract's.
    """
    by_flag = _by_flag(contract)
    known: list[str] = []
    problems: list[str] = []
    rest = list(reversed(words))
    while rest and rest[-1] != "--":
        word = rest.pop()
        flag, equals, text = word.partition("=")
        if flag in by_flag:
            parameter = by_flag[flag]
            takes_next = not equals and parameter.kind is not promise.Kind.BOOLEAN
            value = rest.pop() if takes_next and rest and rest[-1] not in by_flag else None
            known += [word] if value is None else [f"{flag}={value}"]
            problems += _unit_problem(flag, parameter, text if equals else value)
        elif word.startswith("-") and len(flag) > 3:
            near = nearest.nearest(flag, by_flag)
            told = f"{units.shown(flag)}: is no flag of {contract.component}; did you mean {near}?"
            problems += [told] if near else []
    found = flags.read(contract, known)
    return flags.Flags(found.texts, (*found.problems, *problems))


def _by_flag(contract: promise.Contract) -> dict[str, promise.Parameter]:
    found = {one.flag: one for one in contract.parameters if one.flag}
    for parameter in contract.parameters:
        found |= {alias.name: parameter for alias in parameter.aliases if alias.is_flag}
    return found


def _unit_problem(flag: str, parameter: promise.Parameter, text: str | None) -> list[str]:
    """Return what is wrong with a unit in a flag: a program that counts would misread it."""
    has_unit = parameter.unit and parameter.kind in _WITH_UNITS
    if not has_unit or text is None or _NUMBER.fullmatch(text):
        return []
    return [
        f"{flag}: {units.shown(text)} is no bare number, which the program counts in "
        f"{parameter.unit}; write one"
    ]


def variables_of(
    resolved: values.Values, variables: environment.Environment
) -> tuple[dict[str, str], list[str]]:
    """Return the variables to set for a program beyond those it has, and every mistake.

    Each parameter stands under its own variable: a default where nothing is set, the value of an
    alias, and a bare number where the program counts in a unit.
    """
    changes: dict[str, str] = {}
    problems: list[str] = []
    for parameter in resolved.contract.parameters:
        variable = resolved.contract.variable(parameter)
        source = resolved.source(parameter.name)
        if variable is None or source in {"flag", "unset"} or not resolved.is_set(parameter.name):
            continue
        place = resolved.place(parameter.name)
        text = variables[place] if source == "environment" else parameter.default or ""
        try:
            text = _counted(parameter, text, resolved, is_own=place == variable)
        except errors.UsageError as error:
            problems += [f"{place}: {problem}" for problem in error.problems]
            continue
        if variables.get(variable) != text:
            changes[variable] = text
    return changes, problems


def _counted(
    parameter: promise.Parameter, text: str, resolved: values.Values, *, is_own: bool
) -> str:
    """Return a value as the program reads it: in its unit, where it has one."""
    has_unit = parameter.unit and parameter.kind in _WITH_UNITS and not parameter.is_repeated
    is_default = resolved.source(parameter.name) == "default"
    if not has_unit or (_NUMBER.fullmatch(text) and (is_own or is_default)):
        return text
    if parameter.kind is promise.Kind.DURATION:
        count = resolved.duration_s(parameter.name) / units.parse_duration_s(f"1{parameter.unit}")
    else:
        count = resolved.size_bytes(parameter.name) / units.parse_size_bytes(f"1{parameter.unit}")
    if abs(count - round(count)) > 1e-9 * max(1.0, count):
        raise errors.UsageError(
            f"{units.shown(text)} is no whole number of {parameter.unit}, in which the program "
            f"counts; write whole ones"
        )
    return str(round(count))


def in_templates(resolved: values.Values) -> dict[str, quantities.Value]:
    """Return every parameter as templates see it."""
    return dict(_in_templates(resolved, resolved.shown()))


def _in_templates(
    resolved: values.Values, shown: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, quantities.Value]]:
    for parameter in resolved.contract.parameters:
        name = parameter.name
        if parameter.is_repeated:
            is_text = parameter.kind not in _NOT_TEXTS
            yield name, list(resolved.texts(name) if is_text else shown[name])
        else:
            yield name, _single(parameter, resolved) if resolved.is_set(name) else None


_NOT_TEXTS = (
    *(promise.Kind.INTEGER, promise.Kind.NUMBER, promise.Kind.BOOLEAN, promise.Kind.DURATION),
    *(promise.Kind.SIZE, promise.Kind.PORT, promise.Kind.NODE, promise.Kind.REPLICA),
)


def _single(parameter: promise.Parameter, resolved: values.Values) -> quantities.Single:
    return _SINGLE.get(parameter.kind, values.Values.text)(resolved, parameter.name)


def _shown(resolved: values.Values, name: str) -> quantities.Single:
    return resolved.shown()[name][0]


_SINGLE: dict[promise.Kind, Callable[[values.Values, str], quantities.Single]] = {
    promise.Kind.DURATION: lambda found, name: quantities.Duration(found.duration_s(name)),
    promise.Kind.SIZE: lambda found, name: quantities.Size(found.size_bytes(name)),
    promise.Kind.INTEGER: values.Values.integer,
    promise.Kind.PORT: values.Values.integer,
    promise.Kind.BOOLEAN: values.Values.is_on,
    promise.Kind.NUMBER: values.Values.duration_s,
    promise.Kind.NODE: _shown,
    promise.Kind.REPLICA: _shown,
}
"""How a value is taken, where it is not a text."""
