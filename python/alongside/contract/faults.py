"""Find what is wrong with a contract beyond its form: names, values and numbers that cannot be.

In messages stands the path of what is wrong, as in a contract's file: `parameters["wait"].unit`.
"""

from __future__ import annotations

import collections
import itertools
import re
from typing import TYPE_CHECKING

from alongside.base import errors, units
from alongside.contract import kinds, promise

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Kind = promise.Kind

_NAME = re.compile(r"[a-z0-9]{1,100}(?:_[a-z0-9]{1,100}){0,20}")
_COMPONENT = re.compile(r"[a-z0-9]{1,100}(?:[._-]{1,2}[a-z0-9]{1,100}){0,20}")
_FLAG = re.compile(r"--?[A-Za-z0-9][A-Za-z0-9_.-]{0,200}")
_ARGUMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,200}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,200}")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,100})?")
_UNITS = {
    Kind.DURATION: ("ms", "s", "m", "h"),
    Kind.SIZE: ("B", "k", "M", "G", "Ki", "Mi", "Gi"),
}
_UNIT_WORDS = {
    **dict.fromkeys(("milliseconds", "millisecond", "msec"), "ms"),
    **dict.fromkeys(("seconds", "second", "sec"), "s"),
    **dict.fromkeys(("minutes", "minute", "min"), "m"),
    **dict.fromkeys(("hours", "hour"), "h"),
    **dict.fromkeys(("bytes", "byte", "b"), "B"),
    **dict.fromkeys(("KiB", "K", "kibibytes"), "Ki"),
    **dict.fromkeys(("MiB", "mebibytes"), "Mi"),
    **dict.fromkeys(("GiB", "gibibytes"), "Gi"),
    **dict.fromkeys(("kB", "KB", "kilobytes"), "k"),
    **dict.fromkeys(("MB", "megabytes"), "M"),
    **dict.fromkeys(("GB", "gigabytes"), "G"),
}
_BOUNDED = frozenset(
    (
        Kind.INTEGER,
        Kind.NUMBER,
        Kind.DURATION,
        Kind.SIZE,
        Kind.PORT,
        Kind.ADDRESS,
        Kind.TEXT,
        Kind.PATH,
    )
)


def is_user(text: str) -> bool:
    """Return whether a text names a user, and maybe a group, by names or numbers."""
    return bool(_USER.fullmatch(text))


def found(contract: promise.Contract) -> list[str]:
    """Return what keeps a contract from being used, each with its path and a remedy."""
    return [
        *_twice(contract),
        *_names(contract),
        *(fault for one in contract.parameters for fault in _parameter(one)),
        *_numbers(contract),
    ]


def examples(contract: promise.Contract) -> list[str]:
    """Return the examples that a user could not write; an empty one is not given yet."""
    return [
        f"{_place(one)}.example: {fault}"
        for one in contract.parameters
        if one.example and not any(_form(one))
        for text in _split(one, one.example)
        for fault in _misread(text, one)
    ]


def _twice(contract: promise.Contract) -> Iterator[str]:
    """Yield what stands in a list more than once, by what tells its members apart."""
    names = [
        *(f"parameters: {one.name}" for one in contract.parameters),
        *(f"metrics: {one.name}" for one in contract.metrics),
        *(f"exits: {one.code}" for one in contract.exits),
        *(f"routes: {_route(one)}" for one in contract.routes),
        *(f"ports: {one.name}" for one in contract.ports),
        *(f"files: {one.path} that it {one.access}" for one in contract.files),
        *(f"volumes: {one.path}" for one in contract.volumes),
        *(f"privileges: {one.name}" for one in contract.privileges),
        *(f"signals: {one.name}" for one in contract.signals),
        *(f"failures: {one.fault}" for one in contract.failures),
        *(f"precedence: {one}" for one in contract.precedence),
        *(f"flag {flag}" for flag in _flags(contract)),
        *(f"variable {variable}" for variable in _variables(contract)),
    ]
    yield from _repeated(names)
    for inner in _inner_names(contract):
        yield from _repeated(inner)


def _repeated(names: Iterable[str]) -> Iterator[str]:
    for name, count in collections.Counter(names).items():
        if count > 1:
            yield f"{_folded(name)} stands here twice; keep one"


def _folded(text: str) -> str:
    """Return a text of the contract as a message shows it: one line, and no long one."""
    return text if text.isprintable() and len(text) <= 200 else units.shown(text)


def _inner_names(contract: promise.Contract) -> Iterator[list[str]]:
    for route in contract.routes:
        yield [f"fields: {one.path} of {_route(route)}" for one in route.fields]
        yield [f"answers: {one.status} of {_route(route)}" for one in route.answers]
    for metric in contract.metrics:
        yield [f"labels: {label} of {metric.name}" for label in metric.labels]
    for parameter in contract.parameters:
        yield [f"choices: {choice} of {parameter.name}" for choice in parameter.choices]


def _route(route: promise.Route) -> str:
    return f"{route.method} {route.path} of {route.door}"


def _flags(contract: promise.Contract) -> Iterator[str]:
    for parameter in contract.parameters:
        yield from [parameter.flag] if parameter.flag else []
        yield from (alias.name for alias in parameter.aliases if alias.is_flag)


def _variables(contract: promise.Contract) -> Iterator[str]:
    for parameter in contract.parameters:
        variable = contract.variable(parameter)
        yield from [variable] if variable else []
        yield from (alias.name for alias in parameter.aliases if not alias.is_flag)


def _names(contract: promise.Contract) -> Iterator[str]:
    """Yield the names that nobody could write where they have to stand."""
    if not _COMPONENT.fullmatch(contract.component):
        shown = units.shown(contract.component)
        yield f"component: {shown} is no name; write small letters, digits and dashes"
        return  # the names of its variables are derived from it
    if contract.prefix and not _VARIABLE.fullmatch(contract.prefix):
        yield f"prefix: {units.shown(contract.prefix)} begins no variable; write one such as APP_"
    for one in contract.parameters:
        place = _place(one)
        if not _NAME.fullmatch(one.name):
            yield f"{place}.name: is no name; write small words joined by _, such as idle_timeout"
            continue  # its flag and its variable are derived from it
        flags = [one.flag, *(alias.name for alias in one.aliases if alias.is_flag)]
        for flag in filter(None, flags):
            form = _ARGUMENT if one.is_argument and flag == one.flag else _FLAG
            if not form.fullmatch(flag):
                yield f"{place}: {units.shown(flag)} is no flag; write one such as --idle-timeout"
        variables = [contract.variable(one)]
        variables += [alias.name for alias in one.aliases if not alias.is_flag]
        for variable in variables:
            if variable is not None and not _VARIABLE.fullmatch(variable):
                yield (
                    f"{place}: {units.shown(variable)} is no variable; "
                    "write one such as APP_IDLE_TIMEOUT"
                )


def _place(parameter: promise.Parameter) -> str:
    return f"parameters[{units.shown(parameter.name)}]"


def _parameter(parameter: promise.Parameter) -> Iterator[str]:
    """Yield what is wrong with the values of one parameter, its units and bounds first."""
    place = _place(parameter)
    first = list(_form(parameter))
    yield from (f"{place}.{fault}" for fault in first)
    if parameter.is_secret and parameter.default is not None:
        yield f"{place}.default: is a secret that everybody reads; leave it out"
        return
    if first:
        return  # no value can be judged by what is wrong itself
    for one in _split(parameter, parameter.default):
        yield from (f"{place}.default: {fault}" for fault in _misread(one, parameter))


def _form(parameter: promise.Parameter) -> Iterator[str]:
    yield from _wrong_units(parameter)
    yield from _wrong_choices(parameter)
    yield from _wrong_bounds(parameter)


def _split(parameter: promise.Parameter, text: str | None) -> Iterable[str]:
    if text is None:
        return ()
    return [part for part in re.split(r"[,\s]+", text) if part] if parameter.is_repeated else [text]


def _misread(text: str, parameter: promise.Parameter) -> tuple[str, ...]:
    try:
        kinds.read_foreign(text, parameter)
    except errors.UsageError as error:
        return ("is not of its kind, and not shown",) if parameter.is_secret else error.problems
    return ()


def _wrong_units(parameter: promise.Parameter) -> Iterator[str]:
    known = _UNITS.get(parameter.kind)
    if known is None:
        return
    named = [("unit", parameter.unit)]
    named += [(f"aliases[{units.shown(one.name)}].unit", one.unit) for one in parameter.aliases]
    for place, unit in named:
        if unit and unit not in known:
            meant = _UNIT_WORDS.get(unit, "")
            remedy = f"write {meant if meant in known else ', '.join(known)}"
            yield f"{place}: {units.shown(unit)} is no unit of a {parameter.kind.value}; {remedy}"


def _wrong_choices(parameter: promise.Parameter) -> Iterator[str]:
    match parameter.kind, parameter.choices:
        case Kind.CHOICE, ():
            yield "choices: are missing; list the words that may be chosen"
        case ((Kind.CHOICE | Kind.URL), choices) if "" in choices:
            yield "choices: one is empty; leave it out"
        case ((Kind.CHOICE | Kind.URL), _):
            return
        case _, choices if choices:
            yield f"choices: mean nothing for type {parameter.kind.value}; write type choice"
        case _:
            return


def _wrong_bounds(parameter: promise.Parameter) -> Iterator[str]:
    bounds = {"minimum": parameter.minimum, "maximum": parameter.maximum}
    numbers: list[float] = []
    for field, text in bounds.items():
        if text is None:
            continue
        if parameter.kind not in _BOUNDED:
            yield f"{field}: means nothing for type {parameter.kind.value}; leave it out"
            continue
        try:
            numbers.append(kinds.bound(text, parameter.kind))
        except errors.UsageError as error:
            yield from (f"{field}: {fault}" for fault in error.problems)
    if any(least > most for least, most in itertools.pairwise(numbers)):
        yield f"minimum: {parameter.minimum} is more than the maximum; nothing lies between"


def _numbers(contract: promise.Contract) -> Iterator[str]:
    for port in contract.ports:
        if port.number is not None and not 1 <= port.number <= 65_535:
            place = f"ports[{units.shown(port.name)}].number"
            yield f"{place}: {port.number} is no port; write 1 to 65535"
    for exit_code in contract.exits:
        if not 0 <= exit_code.code <= 255:
            yield f"exits: {exit_code.code} is no exit code; write 0 to 255"
    for route in contract.routes:
        for answer in route.answers:
            if not 100 <= answer.status <= 599:
                yield f"answers: {answer.status} of {_route(route)} is no status; write 100 to 599"
    if contract.user and not is_user(contract.user):
        yield f"user: {units.shown(contract.user)} is no user; write UID or UID:GID"
