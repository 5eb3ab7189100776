"""Judge what a program is given by its contract, and say what it is given in the end."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from alongside.base import environment, errors, units
from alongside.components.wrap import quantities
from alongside.contract import flags, kinds, promise, values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_WORD = re.compile(r"[^,\s]+")
_WITH_UNITS = (promise.Kind.DURATION, promise.Kind.SIZE)
_FLAG_LENGTH_MIN = 4
"""Shorter flags are one letter from each other by nature."""


def judged(contract: promise.Contract) -> promise.Contract:
    """Return the part of a contract that can be judged from outside: all but bare words."""
    parameters = tuple(one for one in contract.parameters if not one.is_argument)
    return dataclasses.replace(contract, parameters=parameters)


def heeded(
    contract: promise.Contract, variables: environment.Environment
) -> environment.Environment:
    """Return the variables that are judged: an empty one counts as not set.

    Images write `ENV NAME=` for what may be set. Of a required parameter it stays, as a mistake.
    """
    dropped: set[str] = set()
    for parameter in contract.parameters:
        names = _names(contract, parameter)
        is_set = any(variables.get(name) for name in names)
        if is_set or not parameter.is_required:
            dropped |= {name for name in names if variables.get(name) == ""}
    return environment.Environment({n: text for n, text in variables.items() if n not in dropped})


def given(contract: promise.Contract, words: Sequence[str]) -> flags.Flags:
    """Return what a program's words say under flags that its contract names.

    Other words are the program's own affair.
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
    found = flags.read(contract, known)
    return flags.Flags(found.texts, (*found.problems, *problems))


def suspected(contract: promise.Contract, words: Sequence[str]) -> tuple[str, ...]:
    """Return a line for each flag that is one slip of the hand away from one of the contract's.

    It may be the program's own all the same: a reason to look, never to refuse.
    """
    by_flag = _by_flag(contract)
    end = words.index("--") if "--" in words else len(words)
    found = dict.fromkeys(word.partition("=")[0] for word in words[:end] if word.startswith("-"))
    return tuple(
        f"{units.shown(flag)}: is no flag of {contract.component}; did you mean {near[0]}?"
        for flag in found
        if flag not in by_flag and len(flag) >= _FLAG_LENGTH_MIN
        if (near := [known for known in by_flag if _is_one_slip(flag, known)])
    )


def _is_one_slip(word: str, known: str) -> bool:
    """Return whether one letter is too much, missing or wrong, or two have changed places."""
    if abs(len(word) - len(known)) > 1:
        return False
    pairs = zip(word, known, strict=False)
    at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(word), len(known)))
    rest, known_rest = word[at:], known[at:]
    return (
        rest[1:] == known_rest
        or rest == known_rest[1:]
        or rest[1:] == known_rest[1:]
        or (rest[2:] == known_rest[2:] and rest[:2] == known_rest[1::-1])
    )


def _by_flag(contract: promise.Contract) -> dict[str, promise.Parameter]:
    """Return the parameters by flag, each with the unit that a bare number has under it."""
    found = {one.flag: one for one in contract.parameters if one.flag}
    for parameter in contract.parameters:
        found |= {alias.name: _under(parameter, alias.name) for alias in parameter.aliases}
    return {name: parameter for name, parameter in found.items() if name.startswith("-")}


def _names(contract: promise.Contract, parameter: promise.Parameter) -> list[str]:
    """Return every variable of a parameter, its own first."""
    own = contract.variable(parameter)
    return [*filter(None, [own]), *(one.name for one in parameter.aliases if not one.is_flag)]


def _under(parameter: promise.Parameter, name: str) -> promise.Parameter:
    """Return a parameter with the unit that a bare number has under one of its names."""
    unit = next((one.unit for one in parameter.aliases if one.name == name), "")
    return dataclasses.replace(parameter, unit=unit) if unit else parameter


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
) -> tuple[dict[str, str | None], list[str]]:
    """Return the variables of a program that change, None for those to drop, and every mistake.

    What is given stands under the parameter's own variable, counted in its unit. What is not given
    is left to the program, which has a default of its own. Dropped is a name that does not rule: an
    alias, a variable that a flag overrules, what Kubernetes injects for a Service of that name.
    """
    changes: dict[str, str | None] = {}
    problems: list[str] = []
    for parameter in resolved.contract.parameters:
        names = _names(resolved.contract, parameter)
        changes |= {name: None for name in names if variables.get(name)}
        if resolved.source(parameter.name) != "environment":
            continue
        place = resolved.place(parameter.name)
        own = resolved.contract.variable(parameter) or place
        try:
            changes[own] = _translated(parameter, variables[place], place, own)
        except errors.UsageError as error:
            problems += [f"{place}: {problem}" for problem in error.problems]
    made = {name: text for name, text in changes.items() if variables.get(name) != text}
    return made, problems


def _translated(parameter: promise.Parameter, text: str, place: str, own: str) -> str:
    """Return what is given under one name as the program reads it under another."""
    if parameter.kind not in _WITH_UNITS:
        return text
    given_as, read_as = _under(parameter, place), _under(parameter, own)
    if parameter.is_repeated:
        return _WORD.sub(lambda word: _counted(word[0], given_as, read_as.unit), text)
    return _counted(text, given_as, read_as.unit)


def _counted(text: str, parameter: promise.Parameter, unit: str) -> str:
    """Return a quantity as a bare number of a unit; with its own unit where there is none."""
    is_bare = _NUMBER.fullmatch(text) is not None
    if not unit:
        return text + parameter.unit if is_bare else text
    if is_bare and parameter.unit == unit:
        return text
    value = kinds.read(text, parameter)
    if parameter.kind is promise.Kind.DURATION:
        one = units.parse_duration_s(f"1{unit}")
    else:
        one = units.parse_size_bytes(f"1{unit}")
    count = float(value) / one if isinstance(value, int | float) else 0.0
    if abs(count - round(count)) > 1e-9 * max(1.0, count):
        raise errors.UsageError(
            f"{units.shown(text)} is no whole number of {unit}, in which the program "
            f"counts; write whole ones"
        )
    return str(round(count))


def in_templates(
    resolved: values.Values, said: flags.Flags, variables: environment.Environment
) -> dict[str, quantities.Value]:
    """Return every parameter as templates see it: with its default, and secrets as they are.

    Args:
        resolved: what says that all of it is right.
        said: what the program's flags say.
        variables: those that were judged.
    """
    seen: dict[str, quantities.Value] = {}
    for parameter in resolved.contract.parameters:
        found = list(_in_template(parameter, resolved, said, variables))
        seen[parameter.name] = found if parameter.is_repeated else found[0] if found else None
    return seen


def _in_template(
    parameter: promise.Parameter,
    resolved: values.Values,
    said: flags.Flags,
    variables: environment.Environment,
) -> Iterator[quantities.Single]:
    place = resolved.place(parameter.name)
    match resolved.source(parameter.name):
        case "flag":
            texts = said.texts[place]
        case "environment":
            texts = _split(parameter, variables[place])
        case "default":
            texts, place = _split(parameter, parameter.default or ""), ""
        case _:
            texts = []
    for text in texts:
        yield _single(kinds.read_foreign(text, _under(parameter, place)), parameter)


def _split(parameter: promise.Parameter, text: str) -> list[str]:
    return _WORD.findall(text) if parameter.is_repeated else [text]


def _single(value: kinds.Value, parameter: promise.Parameter) -> quantities.Single:
    match value:
        case kinds.Node() | kinds.Replica():
            return kinds.shown(value, parameter)
        case int() | float() if parameter.kind is promise.Kind.DURATION:
            return quantities.Duration(value)
        case int() if parameter.kind is promise.Kind.SIZE:
            return quantities.Size(value)
        case _:
            return value
