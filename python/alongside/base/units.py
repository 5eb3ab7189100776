"""Read and write durations (`1m30s`) and sizes (`64Mi`); a number without a unit is refused.

Durations are `0` or numbers with `ms`, `s`, `m`, `h`, joined: `500ms`, `1.5s`, `1m30s`.
Sizes are whole numbers with one of `B`, `k`, `M`, `G` (powers of 1000), `Ki`, `Mi`, `Gi`
(powers of 1024). The same letter means different things elsewhere (`m` is a minute, a thousandth
or nothing), so what is close to right is refused with what to write instead.
"""

from __future__ import annotations

import re

from alongside.base import errors

DURATION_S_MAX = 87_600 * 3600.0
"""Ten years: longer is a mistake, and would not fit the clocks below."""
SIZE_BYTES_MAX = 2**53
"""The largest whole number that every JSON reader keeps exactly."""
TEXT_LENGTH_MAX = 64

_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_UNIT_BYTES = {"Gi": 2**30, "G": 10**9, "Mi": 2**20, "M": 10**6, "Ki": 2**10, "k": 10**3, "B": 1}
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h))+")
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SIZE = re.compile(r"([0-9]+)(Ki|Mi|Gi|k|M|G|B)")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_NUMBER_AND_WORD = re.compile(r"([0-9]+(?:\.[0-9]+)?)([A-Za-zµ]+)")

_DURATION_HELP = "write a number with a unit, such as 500ms, 10s, 5m or 1h30m"
_SIZE_HELP = "write a whole number with a unit, such as 64Ki, 256Mi or 1Gi"
_DAY_WORDS = {"d": 24, "day": 24, "days": 24, "w": 168, "week": 168, "weeks": 168}
_SIZE_WORDS = {"b": "B", "k": "Ki", "ki": "Ki", "g": "Gi", "gi": "Gi", "mi": "Mi"} | {
    letter.lower() + tail: letter + "i" for letter in "KMG" for tail in ("b", "ib")
}


def parse_duration_s(text: str, *, zero_allowed: bool = False) -> float:
    """Return the seconds that a text such as `1m30s` names, exact to the nanosecond.

    Args:
        text: the whole text; blanks, signs and days are not part of the grammar.
        zero_allowed: whether `0` (and `0s`) has a meaning here.

    Raises:
        errors.UsageError: says what is wrong and what to write instead, without naming the place.
    """
    if len(text) > TEXT_LENGTH_MAX or not (text == "0" or _DURATION.fullmatch(text)):
        raise errors.UsageError(f"{shown(text)} is not a duration: {_duration_remedy(text)}")
    duration_ms = sum(
        float(number) * _UNIT_MS[unit] for number, unit in _DURATION_PART.findall(text)
    )
    duration_s = round(duration_ms / 1000, 9)
    if duration_s > DURATION_S_MAX:
        raise errors.UsageError(f"{shown(text)} is too long: write at most 87600h (ten years)")
    if duration_s == 0 and not zero_allowed:
        raise errors.UsageError(f"{shown(text)} is zero: {_DURATION_HELP}")
    return duration_s


def parse_size_bytes(text: str) -> int:
    """Return the bytes that a text such as `64Mi` names.

    Raises:
        errors.UsageError: says what is wrong and what to write instead, without naming the place.
    """
    match = _SIZE.fullmatch(text) if len(text) <= TEXT_LENGTH_MAX else None
    if match is None:
        raise errors.UsageError(f"{shown(text)} is not a size: {_size_remedy(text)}")
    size_bytes = int(match[1]) * _UNIT_BYTES[match[2]]
    if size_bytes > SIZE_BYTES_MAX:
        raise errors.UsageError(f"{shown(text)} is too large: write at most {2**23}Gi")
    return size_bytes


def format_duration(duration_s: float) -> str:
    """Return the shortest usual text of a duration of 0 s or more: `1m30s`, `1.5s`, `500ms`, `0`.

    What is finer than a nanosecond is rounded; `parse_duration_s` reads the text back.
    """
    if duration_s <= 0:
        return "0"
    if duration_s < 1:
        return _decimal(duration_s * 1000, digits=6) + "ms"
    minutes, seconds = divmod(round(duration_s, 9), 60)
    hours, minutes = divmod(int(minutes), 60)
    text = (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "")
    rest = _decimal(seconds, digits=9)
    return text if rest == "0" else f"{text}{rest}s"


def format_size(size_bytes: int) -> str:
    """Return the shortest exact text of a size of 0 bytes or more: `256Mi`, `1500k`, `0B`."""
    if size_bytes == 0:
        return "0B"
    texts = [
        f"{size_bytes // unit_bytes}{unit}"
        for unit, unit_bytes in _UNIT_BYTES.items()
        if size_bytes % unit_bytes == 0
    ]
    return min(texts, key=lambda text: len(text.rstrip("kMGiB")))


def shown(text: str) -> str:
    """Return a value as an error shows it: quoted, control characters escaped, at most 64 long."""
    cut = text if len(text) <= TEXT_LENGTH_MAX else text[:TEXT_LENGTH_MAX] + "…"
    escaped = cut.encode("unicode_escape").decode("ascii") if not cut.isprintable() else cut
    return f'"{escaped}"'


def _decimal(number: float, *, digits: int) -> str:
    return f"{number:.{digits}f}".rstrip("0").rstrip(".")


def _duration_remedy(text: str) -> str:
    if len(text) > TEXT_LENGTH_MAX:
        return _DURATION_HELP
    packed = "".join(text.split())
    if packed != text and _DURATION.fullmatch(packed):
        return f"write it without blanks, {packed}"
    if _NUMBER.fullmatch(text):
        return f"it has no unit; write {text}s for seconds, {text}m for minutes or {text}ms"
    if text.startswith(("-", "+")):
        return f"a sign is not allowed; {_DURATION_HELP}"
    word = _NUMBER_AND_WORD.fullmatch(packed)
    return _duration_unit_remedy(word[1], word[2]) if word else _DURATION_HELP


def _duration_unit_remedy(number: str, unit: str) -> str:
    small = unit.lower()
    if small in _DAY_WORDS:
        return f"days and weeks are not units; write {float(number) * _DAY_WORDS[small]:g}h"
    if small in _UNIT_MS:
        return f"units are written small; write {number}{small}"
    if small in {"us", "µs", "ns"}:
        return "the smallest unit is ms; write for example 0.5ms"
    return _DURATION_HELP


def _size_remedy(text: str) -> str:
    if len(text) > TEXT_LENGTH_MAX:
        return _SIZE_HELP
    packed = "".join(text.split())
    if packed != text and _SIZE.fullmatch(packed):
        return f"write it without blanks, {packed}"
    if text.isascii() and text.isdigit():
        return f"it has no unit; write {text}Mi for mebibytes or {text}B for bytes"
    if text.startswith(("-", "+")):
        return f"a sign is not allowed; {_SIZE_HELP}"
    word = _NUMBER_AND_WORD.fullmatch(packed)
    return _size_unit_remedy(word[1], word[2]) if word else _SIZE_HELP


def _size_unit_remedy(number: str, unit: str) -> str:
    if "." in number:
        exact_bytes = float(number) * _UNIT_BYTES.get(unit, 0)
        if exact_bytes.is_integer() and 0 < exact_bytes <= SIZE_BYTES_MAX:
            return f"fractions are not allowed; write {format_size(int(exact_bytes))}"
        return f"fractions are not allowed; {_SIZE_HELP}"
    if unit == "m":
        return f"a small m means thousandths elsewhere; write {number}Mi or {number}M"
    if unit.lower() in _SIZE_WORDS:
        return f"write {number}{_SIZE_WORDS[unit.lower()]}"
    return _SIZE_HELP
