"""A change and the rule that found it: how bad it is, whom it hurts, what to do instead."""

from __future__ import annotations

import collections
import dataclasses
from enum import Enum
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_Part = TypeVar("_Part")


class Severity(Enum):
    """How bad a change is."""

    BREAKING = "breaking"
    """Somebody who did nothing fails, or gets something else."""
    NOTICE = "notice"
    """Nothing fails today, but somebody should look."""
    INFO = "info"
    """Something new that nobody has to use."""


class Direction(Enum):
    """Who suffers from a change."""

    STARTS = "who starts it"
    CALLS = "who calls it"
    WATCHES = "who watches it"
    RUNS = "who runs the cluster"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One kind of change. The mirror is what the same edit is called when it is undone."""

    id: str
    severity: Severity
    hurts: Direction
    says: str
    """What changed and what that does, from a small letter to no full stop."""
    instead: str = ""
    """What to do about it; empty where nothing has to be done."""
    mirrors: tuple[str, ...] = ()
    """The rules of which one finds the opposite edit at the same place."""
    no_mirror: str = ""
    """Why no rule does; exactly one of the two is given."""
    is_waivable: bool = True
    """Whether somebody may accept it with a note. A unit never is: the same text goes on being
    accepted and means something else, so that nobody notices."""


def rule(
    name: str,
    severity: Severity,
    says: str,
    *mirrors: str,
    hurts: Direction,
    instead: str = "",
) -> Rule:
    """Return a rule that may be waived; without mirrors it is its own, as of what only changes."""
    return Rule(
        id=name,
        severity=severity,
        hurts=hurts,
        says=says,
        instead=instead,
        mirrors=mirrors or (name,),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One difference between two contracts."""

    rule: Rule
    where: str
    """The part that changed: `parameter memory`, `flag --wait`, `answer 404 of GET /x at web`."""
    old: str
    new: str
    """What it was and what it is, in words; empty where it was or is not there."""

    @property
    def is_breaking(self) -> bool:
        """Return whether somebody who did nothing suffers."""
        return self.rule.severity is Severity.BREAKING


@dataclasses.dataclass(frozen=True, slots=True)
class Matched(Generic[_Part]):
    """The parts of two contracts side by side, by their names."""

    gone: tuple[tuple[str, _Part], ...]
    come: tuple[tuple[str, _Part], ...]
    kept: tuple[tuple[str, _Part, _Part], ...]


def named(parts: Iterable[tuple[str, _Part]]) -> dict[str, _Part]:
    """Return parts by their names; what has the name of another is `name (2)`, and none is lost."""
    found: dict[str, _Part] = {}
    counted: collections.Counter[str] = collections.Counter()
    for name, part in parts:
        counted[name] += 1
        found[name if counted[name] == 1 else f"{name} ({counted[name]})"] = part
    return found


def matched(old: Mapping[str, _Part], new: Mapping[str, _Part]) -> Matched[_Part]:
    """Return which parts are gone, have come, and stayed, in the order of the contracts."""
    return Matched(
        gone=tuple((name, part) for name, part in old.items() if name not in new),
        come=tuple((name, part) for name, part in new.items() if name not in old),
        kept=tuple((name, part, new[name]) for name, part in old.items() if name in new),
    )


def same_words(old: str, new: str) -> bool:
    """Return whether two texts say the same but for blanks, capitals, quotes and a full stop."""
    return old == new or _plain(old) == _plain(new)


def _plain(text: str) -> str:
    return " ".join(text.replace("`", "").casefold().split()).rstrip(".; ")
