"""The order of versions, and whether a new one says that it breaks something."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from alongside.contract.compare import changes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alongside.contract import promise

_VERSION = re.compile(r"v?([0-9]{1,9})(?:\.([0-9]{1,9}))?(?:\.([0-9]{1,9}))?(?![0-9.]).*", re.S)

NOT_BUMPED = changes.Rule(
    id="version-not-bumped",
    severity=changes.Severity.BREAKING,
    hurts=changes.Direction.STARTS,
    says="something breaks, and the version does not say so",
    instead="raise the major version; below 1.0 the minor one takes its part",
    no_mirror="a version that says more than it must hurts nobody",
)
UNSAID = changes.Rule(
    id="version-unsaid",
    severity=changes.Severity.NOTICE,
    hurts=changes.Direction.STARTS,
    says="something breaks, and a contract has no version by which users could tell",
    instead="give both contracts a version such as 1.2.3",
    no_mirror="the rule is about both contracts at once",
)
WENT_BACK = changes.Rule(
    id="version-went-back",
    severity=changes.Severity.NOTICE,
    hurts=changes.Direction.STARTS,
    says="the new contract has the older version",
    instead="name the older contract first",
    no_mirror="a version that rises is as it should be",
)
RULES = (NOT_BUMPED, UNSAID, WENT_BACK)


def parsed(text: str) -> tuple[int, int, int] | None:
    """Return the numbers of a version, missing ones as 0; None where it is none.

    What follows the numbers is left out: `2.0.0-rc1` already promises what 2.0.0 does.
    """
    found = _VERSION.fullmatch(text)
    if found is None:
        return None
    major, minor, patch = (int(number or "0") for number in found.groups())
    return (major, minor, patch)


def is_reached(version: str, goal: str) -> bool:
    """Return whether a version is that goal or later; false where either cannot be told."""
    at, to = parsed(version), parsed(goal)
    return at is not None and to is not None and at >= to


def judge(
    old: promise.Contract, new: promise.Contract, found: Sequence[changes.Change]
) -> Iterator[changes.Change]:
    """Yield what is wrong with the new version, given all other changes."""
    before, after = parsed(old.version), parsed(new.version)
    is_breaking = any(change.is_breaking for change in found)
    if before is None or after is None:
        if is_breaking:
            yield changes.Change(UNSAID, "version", old.version, new.version)
        return
    if after < before:
        yield changes.Change(WENT_BACK, "version", old.version, new.version)
    if is_breaking and _says_broken(after) <= _says_broken(before):
        yield changes.Change(NOT_BUMPED, "version", old.version, new.version)


def _says_broken(version: tuple[int, int, int]) -> tuple[int, int]:
    major, minor, _ = version
    return (major, minor if major == 0 else 0)
