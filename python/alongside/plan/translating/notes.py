"""Collect what is wrong and what is to be known, each thing once however many pods it concerns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alongside.base import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alongside.resources import problems


@dataclass(frozen=True, slots=True)
class Notes:
    """Mistakes and warnings, in the order in which they were found."""

    found: dict[problems.Problem, None] = field(default_factory=dict)
    warned: dict[str, None] = field(default_factory=dict)

    def refuse(self, problem: problems.Problem) -> None:
        """Note a mistake."""
        self.found[problem] = None

    def warn(self, problem: problems.Problem) -> None:
        """Note what has no effect, or another one than elsewhere."""
        self.warned[str(problem)] = None


def hint(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return the remedy for a name that names nothing: the one that was probably meant."""
    near = nearest.nearest(name, known)
    return f'did you mean "{near}"?' if near is not None else otherwise
