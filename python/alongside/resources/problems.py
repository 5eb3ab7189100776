"""Say where a mistake in a user's file stands, and carry all of them at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside.base import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

Path = tuple[str | int, ...]
"""Where a value stands in a document: keys and list positions from the top."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: its place, its resource (`kind/name` or nothing), its field, what to do."""

    file: str
    line: int
    resource: str
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.resource, self.field, self.message) if part)


class ResourceError(errors.UsageError):
    """Files that cannot be used, with every mistake found in them."""

    def __init__(self, found: Sequence[Problem]) -> None:
        """Take at least one problem; they are shown in the order of file and line."""
        ordered = sorted(found, key=lambda problem: (problem.file, problem.line))
        super().__init__(*[str(problem) for problem in ordered])
        self.found = tuple(ordered)


def field_text(path: Path) -> str:
    """Return a path as people write it: `spec.containers[0].image`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")
