"""Read Kubernetes' quantities: `100m`, `128Mi`, `1e3`, `0.5`.

Ours (`base/units.py`) refuse a number without a unit; Kubernetes' have a meaning for it, so the
two grammars stay apart.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Annotated

import pydantic

from alongside.base import errors, units
from alongside.resources import fields

BYTES_MAX = 2**63 - 1
"""The largest that Kubernetes keeps."""
MEMORY_BYTES_MIN = 2**20
"""Less is a slip of the unit: no program starts in it."""
CPU_MILLIS_MAX = 10**9

_SUFFIXES = {
    **{letter: Fraction(1000) ** (at - 3) for at, letter in enumerate("num")},
    "": Fraction(1),
    **{letter: Fraction(1000) ** (at + 1) for at, letter in enumerate("kMGTPE")},
    **{f"{letter}i": Fraction(1024) ** (at + 1) for at, letter in enumerate("KMGTPE")},
}
_QUANTITY = re.compile(
    r"(?P<sign>[+-]?)(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
    r"(?:[eE](?P<exponent>[+-]?[0-9]{1,2})|(?P<suffix>[KMGTPE]i|[numkMGTPE])?)"
)
_HELP = "write a number such as 500m, 0.5 or 2, or with a unit such as 128Mi or 1Gi"


def parse(text: str) -> Fraction:
    """Return the exact number that a quantity names; the base units are CPUs and bytes.

    Raises:
        errors.UsageError: says what is wrong and what to write instead, without naming the place.
    """
    match = _QUANTITY.fullmatch(text) if len(text) <= units.TEXT_LENGTH_MAX else None
    if match is None:
        raise errors.UsageError(f"{units.shown(text)} is not a quantity; {_remedy(text)}")
    number = Fraction(f"0{match['number']}".removesuffix("."))
    if match["exponent"] is not None:
        number *= Fraction(10) ** int(match["exponent"])
    else:
        number *= _SUFFIXES[match["suffix"] or ""]
    return -number if match["sign"] == "-" else number


def cpu_millis(text: str) -> int:
    """Return thousandths of a CPU, rounded up as Kubernetes does.

    Raises:
        errors.UsageError: no quantity, not positive, or more than any machine has.
    """
    millis = parse(text) * 1000
    if not 0 < millis <= CPU_MILLIS_MAX:
        raise errors.UsageError(
            f"{units.shown(text)} CPUs are out of range; write for example 500m, or 2"
        )
    return math.ceil(millis)


def size_bytes(text: str) -> int:
    """Return bytes, rounded up as Kubernetes does.

    Raises:
        errors.UsageError: no quantity, negative, a fraction of a byte, or too large.
    """
    size = parse(text)
    if text.endswith("m") and size.denominator != 1:
        raise errors.UsageError(
            f"{units.shown(text)} is thousandths of a byte; write {text[:-1]}M or {text[:-1]}Mi"
        )
    if not 0 <= size <= BYTES_MAX:
        raise errors.UsageError(f"{units.shown(text)} is out of range; write for example 128Mi")
    return math.ceil(size)


def memory_bytes(text: str) -> int:
    """Return the bytes of a limit of memory.

    Raises:
        errors.UsageError: no size, or less than anything can run in.
    """
    size = size_bytes(text)
    if size < MEMORY_BYTES_MIN:
        raise errors.UsageError(
            f"{units.shown(text)} is {size} bytes, in which nothing starts; write for example 128Mi"
        )
    return size


def _remedy(text: str) -> str:
    packed = "".join(text.split())
    if packed != text and _QUANTITY.fullmatch(packed):
        return f"write it without blanks, {packed}"
    bytes_less = packed.removesuffix("B").removesuffix("b")
    if bytes_less != packed and _QUANTITY.fullmatch(bytes_less):
        return f"Kubernetes' units have no B; write {bytes_less}"
    small = re.fullmatch(r"([0-9.]+)(ki?|mi|gi?|ti?)", packed, flags=re.IGNORECASE)
    if small is not None:
        unit = small[2].capitalize()
        return f"write {small[1]}{'k' if unit == 'K' else unit}"
    return _HELP


def _as_text(value: object) -> object:
    """Take a plain number as the text that it is for Kubernetes."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{fields.shown(value)} is not a quantity; {_HELP}")  # noqa: TRY004
    text = str(value)
    try:
        parse(text)
    except errors.UsageError as error:
        raise ValueError(str(error)) from error
    return text


Quantity = Annotated[str, pydantic.BeforeValidator(_as_text)]
"""A quantity as it was written; what it counts is known where it is used."""


def _size(value: object) -> int:
    try:
        return size_bytes(str(_as_text(value)))
    except errors.UsageError as error:
        raise ValueError(str(error)) from error


Bytes = Annotated[int, pydantic.BeforeValidator(_size)]
