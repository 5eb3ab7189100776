"""What texts of a contract mean: units, bounds, defaults, so that only meanings are compared.

`64Ki` and `65536B` are one size, `60` with the unit `s` and `1m` are one duration.
"""

from __future__ import annotations

import dataclasses
import re
from fractions import Fraction
from typing import Literal

from alongside.base import errors, units
from alongside.contract import kinds, promise

Kind = promise.Kind

QUANTITIES = frozenset({Kind.INTEGER, Kind.NUMBER, Kind.DURATION, Kind.SIZE})
"""The kinds whose texts are numbers of something."""
FRACTIONAL = frozenset({Kind.NUMBER, Kind.DURATION})
THINGS = "things"

_CARRIES = {Kind.DURATION: "time", Kind.SIZE: "bytes"}
_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?")
_SECOND = Fraction(1)
_UNITS: dict[str, tuple[str, Fraction]] = {
    "": (THINGS, Fraction(1)),
    "ratio": ("ratio", Fraction(1)),
    **dict.fromkeys(("%", "percent"), ("ratio", Fraction(1, 100))),
    **dict.fromkeys(("ns", "nanoseconds"), ("time", _SECOND / 10**9)),
    **dict.fromkeys(("us", "µs", "microseconds"), ("time", _SECOND / 10**6)),
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), ("time", _SECOND / 1000)),
    **dict.fromkeys(("s", "sec", "second", "seconds"), ("time", _SECOND)),
    **dict.fromkeys(("m", "min", "minute", "minutes"), ("time", _SECOND * 60)),
    **dict.fromkeys(("h", "hour", "hours"), ("time", _SECOND * 3600)),
    **dict.fromkeys(("d", "day", "days"), ("time", _SECOND * 86_400)),
    **dict.fromkeys(("B", "byte", "bytes"), ("bytes", Fraction(1))),
    **{
        name: ("bytes", Fraction(1024 if "i" in name else 1000) ** power)
        for power, letters in enumerate(("kK", "M", "G", "T"), start=1)
        for letter in letters
        for name in (letter, f"{letter}B", f"{letter}i", f"{letter}iB")
    },
}


@dataclasses.dataclass(frozen=True, slots=True)
class Amount:
    """A number of something: `1m` is 60 of `time`, `64Ki` is 65536 of `bytes`."""

    measure: str
    number: Fraction


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """What the texts of a parameter count under one of its names."""

    bare: Amount | None
    """One of what a bare number counts; None where it is refused, or no number is expected."""
    carries: str | None
    """What is measured where values carry their own unit: `time`, `bytes`."""
    words: str
    """The same for people."""
    description: str | None = None
    """What people are told that it counts; None where a unit says so, or it is no number."""


def policy(parameter: promise.Parameter, unit: str = "") -> Policy:
    """Return what texts count for a parameter, under an alias that has a unit of its own."""
    counted = unit or parameter.unit
    carries = _CARRIES.get(parameter.kind)
    if counted or (parameter.kind in QUANTITIES and carries is None):
        bare = Amount(*unit_of(counted))
        counts = f"a bare number counts {counted or 'things'}"
        told = None if counted else parameter.description
        return Policy(bare, carries, f"{parameter.kind.value}, {counts}", told)
    refused = ", a bare number is refused" if carries else ""
    told = parameter.description if parameter.kind is Kind.TEXT else None
    return Policy(None, carries, f"{parameter.kind.value}{refused}", told)


Bound = Literal["minimum", "maximum"]
BOUNDS: tuple[Bound, Bound] = ("minimum", "maximum")
_IMPLIED: dict[tuple[Kind, Bound], str] = {
    (Kind.PORT, "minimum"): "1",
    (Kind.PORT, "maximum"): "65535",
    (Kind.ADDRESS, "minimum"): "1",
    (Kind.TEXT, "minimum"): "1",
    (Kind.PATH, "minimum"): "1",
    (Kind.SIZE, "minimum"): "0B",
    (Kind.DURATION, "minimum"): "1ms",
}
"""What the grammar of a kind allows by itself: durations are whole milliseconds, and zero has to be
allowed expressly."""
_BOUND_OF = {Kind.TEXT: "length", Kind.PATH: "length", Kind.ADDRESS: "port number"}
_UNBOUNDED = frozenset({Kind.BOOLEAN, Kind.CHOICE, Kind.URL, Kind.CIDR, Kind.NODE, Kind.REPLICA})


def bounds(
    old: promise.Parameter, new: promise.Parameter, which: Bound
) -> tuple[Amount | str | None, Amount | str | None]:
    """Return the least or greatest value of both; None where there is none, a text without meaning.

    What a kind implies counts beside one of the same kind, or beside a bound that is said: an
    integer that becomes a duration was hardly ever negative, but may well have been 0 to 60.
    """
    are_unsaid = old.kind is not new.kind and said(old, which) is None and said(new, which) is None
    return (None, None) if are_unsaid else (_bound(old, which), _bound(new, which))


def said(parameter: promise.Parameter, which: Bound) -> str | None:
    """Return a bound as the contract says it; None where it does not."""
    return parameter.minimum if which == "minimum" else parameter.maximum


def _bound(parameter: promise.Parameter, which: Bound) -> Amount | str | None:
    text = said(parameter, which)
    if parameter.kind in _UNBOUNDED:
        return None
    text = _IMPLIED.get((parameter.kind, which)) if text is None else text
    if text is None:
        return None
    amount = _amount(parameter, text)
    if amount is None:
        return text
    return Amount(_BOUND_OF.get(parameter.kind, amount.measure), amount.number)


def bound_measure(parameter: promise.Parameter) -> str | None:
    """Return what the bounds of a parameter are counted in; None where it has no bounds."""
    if parameter.kind in _UNBOUNDED:
        return None
    usual = _CARRIES.get(parameter.kind) or unit_of(parameter.unit)[0]
    return _BOUND_OF.get(parameter.kind, usual)


def default(parameter: promise.Parameter) -> tuple[object, ...]:
    """Return what a parameter's default means; empty where it has none.

    A boolean without a default is false. Two defaults that mean the same are equal, also where
    kinds and notations differ.
    """
    text = parameter.default
    if text is None:
        return ("false",) if parameter.kind is Kind.BOOLEAN else ()
    texts = (
        [part for part in re.split(r"[,\s]+", text) if part] if parameter.is_repeated else [text]
    )
    return tuple(_meaning(parameter, part) for part in texts)


def _meaning(parameter: promise.Parameter, text: str) -> object:
    if parameter.kind in {Kind.URL, Kind.CIDR}:
        try:
            return kinds.read(text, parameter)
        except errors.UsageError:
            return text
    amount = _amount(parameter, text) if parameter.kind in {*QUANTITIES, Kind.PORT} else None
    return text if amount is None else amount


def _amount(parameter: promise.Parameter, text: str) -> Amount | None:
    """Return what a number in a parameter's notation means; None where it is none."""
    try:
        match parameter.kind:
            case Kind.DURATION if text == "0" or not _NUMBER.fullmatch(text):
                seconds = units.parse_duration_s(text, zero_allowed=True)
                return Amount("time", Fraction(seconds).limit_denominator(10**9))
            case Kind.SIZE if not _NUMBER.fullmatch(text):
                return Amount("bytes", Fraction(units.parse_size_bytes(text)))
    except errors.UsageError:
        return None
    if not _NUMBER.fullmatch(text):
        return None
    measure, factor = unit_of(parameter.unit)
    return Amount(measure, Fraction(text) * factor)


def is_unit(text: str) -> bool:
    """Return whether a text is a unit that is known here."""
    return bool(text) and text in _UNITS


def unit_of(text: str) -> tuple[str, Fraction]:
    """Return what a unit measures and how much one of it is; unknown ones measure themselves."""
    return _UNITS.get(text.strip(), (text.strip(), Fraction(1)))
