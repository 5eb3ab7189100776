"""Find the units that a description names, for numbers to which a contract gives no unit.

`seconds between two looks` says what `--wait=10` counts although no field does.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from alongside.contract.compare import quantities

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction

Units = frozenset[tuple[str, "Fraction"]]

_POWERS = {"kilo": "kB", "mega": "MB", "giga": "GB", "tera": "TB"} | {
    "kibi": "KiB",
    "mebi": "MiB",
    "gibi": "GiB",
    "tebi": "TiB",
}
_WORDS: dict[str, str] = {
    **dict.fromkeys(("ns", "nanosecond", "nanoseconds"), "ns"),
    **dict.fromkeys(("µs", "usec", "usecs", "microsecond", "microseconds"), "us"),
    **dict.fromkeys(("ms", "msec", "msecs", "millis", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("sec", "secs", "seconds"), "s"),
    **dict.fromkeys(("mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("hour", "hours"), "h"),
    **dict.fromkeys(("day", "days"), "d"),
    **{word: word.rstrip("s") for word in ("week", "weeks", "month", "months", "bit", "bits")},
    **dict.fromkeys(("percent", "percentage", "%"), "%"),
    **dict.fromkeys(("permille", "‰"), "permille"),
    **dict.fromkeys(("byte", "bytes"), "B"),
    **{f"{word}{tail}": to for word, to in _POWERS.items() for tail in ("byte", "bytes")},
    **{to.lower(): to for to in _POWERS.values()},
    **{to.removesuffix("B"): to for to in ("KiB", "MiB", "GiB", "TiB")},
}
"""Words that are hardly ever anything else than a unit, and the unit."""
_SPLIT = re.compile(r"\b(nano|micro|milli|kilo|mega|giga|tera|kibi|mebi|gibi|tebi)[- ]", re.I)
_TOKEN = re.compile(r"[A-Za-zµ]+|[%‰]")
_COUNTED = re.compile(r"(?:\b(?:in|of)\s+|[(\[])([A-Za-zµ]{1,3})(?=[)\].,;:\s]|$)")
"""Short ones that are also words: `in s`, `(min)`."""
_SINGULAR = re.compile(r"(?:\b(?:per|each|every|one)\s+|/\s*)(second|sec|s)\b", re.I)
"""A second that is no ordinal number."""


def units(text: str) -> Units:
    """Return the units that a text names, each by what it measures and how much of that it is."""
    return frozenset(quantities.unit_of(name) for name in _names(_SPLIT.sub(r"\1", text)))


def _names(text: str) -> Iterator[str]:
    for token in _TOKEN.findall(text):
        found = _WORDS.get(token) or _WORDS.get(token.lower())
        if found is not None:
            yield found
    yield from ("s" for _ in _SINGULAR.finditer(text))
    for token in _COUNTED.findall(text):
        if quantities.is_unit(token):
            yield token
