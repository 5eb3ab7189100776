"""What values are in templates: those with a unit print it, so that none is lost on the way."""

from __future__ import annotations

import dataclasses

from alongside.base import units


@dataclasses.dataclass(frozen=True, slots=True)
class Duration:
    """A time, which prints with its unit."""

    seconds: float

    def __str__(self) -> str:
        return units.format_duration(self.seconds)


@dataclasses.dataclass(frozen=True, slots=True)
class Size:
    """A number of bytes, which prints with its unit."""

    count: int

    def __str__(self) -> str:
        return units.format_size(self.count)


Single = str | int | float | bool | Duration | Size | None
Value = Single | list[Single]
"""What a parameter is in a template; None where it is not set."""
