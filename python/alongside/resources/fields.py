"""Build the models' fields: words with a nearest name, values with units, what is not yet there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, ClassVar

import pydantic
from pydantic.alias_generators import to_camel

from alongside.base import errors, nearest, units

if TYPE_CHECKING:
    from collections.abc import Callable

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class Model(pydantic.BaseModel):
    """What a user writes: camelCase in the file, exact types, no unknown field.

    `NOT_HONOURED` names the fields that Kubernetes knows at this place and we do nothing with;
    writing one is a warning, where any other unknown field is an error.
    """

    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, populate_by_name=True
    )
    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset()
    ELSEWHERE: ClassVar[dict[str, str]] = {}
    """Fields that a relative of this has, and why not this one, with the remedy."""
    INSTEAD: ClassVar[str] = ""
    """What happens instead of what is not honoured, where that is to be known."""


def word(*now: str, later: tuple[str, ...] = ()) -> pydantic.BeforeValidator:
    """Return a check that a text is one of the words of today, naming those that come later."""
    choices = " or ".join(name or '""' for name in now)

    def check(value: object) -> object:
        if not isinstance(value, str):
            raise ValueError(f"{shown(value)} is not a text; write {choices}")  # noqa: TRY004
        if value in later:
            raise ValueError(f'"{value}" is not there yet; write {choices}')
        if value not in now:
            near = nearest.nearest(value, now)
            hint = f'did you mean "{near}"? ' if near else ""
            raise ValueError(f"{units.shown(value)} is not known; {hint}write {choices}")
        return value

    return pydantic.BeforeValidator(check)


def shown(value: object) -> str:
    """Return a value of a file as an error shows it."""
    if isinstance(value, str):
        return units.shown(value)
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)[: units.TEXT_LENGTH_MAX]
    return "a list" if isinstance(value, list) else "a mapping"


def _size_bytes(value: object) -> object:
    if not isinstance(value, str | int):
        raise ValueError(f"{shown(value)} is not a size; write for example 256Mi")  # noqa: TRY004
    return _mapped(units.parse_size_bytes, str(value))


def _duration_ms(value: object) -> object:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise ValueError(f"{shown(value)} is not a duration; write for example 500ms")  # noqa: TRY004
    return _mapped(_whole_ms, str(value))


def _whole_ms(text: str) -> int:
    duration_ms = units.parse_duration_s(text, zero_allowed=True) * 1000
    if abs(duration_ms - round(duration_ms)) > 1e-6:
        raise errors.UsageError(f"{units.shown(text)} is finer than 1ms; write whole milliseconds")
    return round(duration_ms)


def _mapped(parse: Callable[[str], int], text: str) -> int:
    try:
        return parse(text)
    except errors.UsageError as error:
        raise ValueError(str(error)) from error


def _name(value: str) -> str:
    if not _LABEL.fullmatch(value):
        raise ValueError(
            f"{units.shown(value)} is not a name; write at most 63 of a-z, 0-9 and -, "
            "beginning and ending with a letter or digit"
        )
    return value


SizeBytes = Annotated[int, pydantic.BeforeValidator(_size_bytes)]
DurationMs = Annotated[int, pydantic.BeforeValidator(_duration_ms)]
Name = Annotated[str, pydantic.AfterValidator(_name)]
Port = Annotated[int, pydantic.Field(ge=1, le=65535)]
