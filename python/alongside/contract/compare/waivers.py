"""Accept changes that break somebody, each by rule and place and with a note that says why.

A file of them is YAML: `waivers: 1` and a list `accepted` of `rule`, `where` and `note`, as
`contract diff` prints the first two. A change of a unit is never accepted.
"""

from __future__ import annotations

import collections
import dataclasses
from typing import TYPE_CHECKING, cast

from alongside.base import errors, nearest, units
from alongside.contract.compare import changes, whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FORMAT = 1
BYTES_MAX = 256 * 1024
"""Longer files are refused before they are read."""
WAIVERS_MAX = 500
TEXT_LENGTH_MAX = 1000
"""Longer places and notes are refused."""

_FIELDS = ("rule", "where", "note")


@dataclasses.dataclass(frozen=True, slots=True)
class Waiver:
    """One accepted change: the id of its rule, its place, and why it is accepted."""

    rule: str
    where: str
    note: str


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """A change and the note with which it was accepted; None where it was not."""

    change: changes.Change
    note: str | None = None

    @property
    def breaks(self) -> bool:
        """Return whether it breaks somebody and nobody accepted that."""
        return self.change.is_breaking and self.note is None


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said of two contracts."""

    changes: tuple[Judged, ...]
    refused: tuple[Waiver, ...] = ()
    """Waivers of what can never be waived."""
    unused: tuple[Waiver, ...] = ()
    """Waivers of what did not change; they should go, lest they hide a later change."""

    @property
    def is_compatible(self) -> bool:
        """Return whether nobody breaks who has not been thought of."""
        return not self.refused and not any(one.breaks for one in self.changes)


def judge(found: Sequence[changes.Change], waivers: Sequence[Waiver] = ()) -> Verdict:
    """Return every change with the note that accepts it, and the waivers that accept nothing."""
    notes = {(one.rule, one.where): one.note for one in waivers}
    used = {(change.rule.id, change.where) for change in found}
    never = [one for one in waivers if not whole.RULES[one.rule].is_waivable]
    return Verdict(
        changes=tuple(
            Judged(
                change,
                notes.get((change.rule.id, change.where)) if change.rule.is_waivable else None,
            )
            for change in found
        ),
        refused=tuple(never),
        unused=tuple(
            one for one in waivers if one not in never and (one.rule, one.where) not in used
        ),
    )


def refusal(waiver: Waiver) -> str:
    """Return why a waiver is refused, and what to do instead."""
    rule = whole.RULES[waiver.rule]
    return f"{rule.id} of {waiver.where} can never be waived: {rule.says}; {rule.instead}"


def read(text: str, place: str) -> tuple[Waiver, ...]:
    """Return the waivers of a file.

    Args:
        text: the whole file.
        place: what to call it in messages.

    Raises:
        errors.UsageError: every mistake with its place and a remedy.
    """
    if len(text.encode("utf-8", "surrogateescape")) > BYTES_MAX:
        raise errors.UsageError(f"{place}: is longer than {units.format_size(BYTES_MAX)}")
    rows = _rows(text, place)
    problems = [
        f"{place}: accepted[{at}]: {problem}"
        for at, row in enumerate(rows)
        for problem in _problems(row)
    ]
    if problems:
        raise errors.UsageError(*problems)
    found = [Waiver(*(cast("str", row[field]).strip() for field in _FIELDS)) for row in rows]
    counted = collections.Counter((one.rule, one.where) for one in found)
    twice = [key for key, times in counted.items() if times > 1]
    if twice:
        raise errors.UsageError(
            *(f"{place}: {rule} of {where} is accepted twice; keep one" for rule, where in twice)
        )
    return tuple(found)


def _rows(text: str, place: str) -> list[dict[str, object]]:
    # Late: only this and other commands that read files need it.
    import yaml  # noqa: PLC0415

    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        told = " ".join(str(error).split())
        raise errors.UsageError(f"{place}: is no YAML: {told}") from error
    if not isinstance(data, dict) or data.get("waivers") != FORMAT:
        raise errors.UsageError(f"{place}: holds no waivers; it begins with waivers: {FORMAT}")
    rows = data.get("accepted") or []
    if set(data) - {"waivers", "accepted"} or not isinstance(rows, list):
        raise errors.UsageError(f"{place}: write waivers: {FORMAT} and a list accepted, no more")
    if len(rows) > WAIVERS_MAX:
        raise errors.UsageError(
            f"{place}: accepts {len(rows)} changes, at most {WAIVERS_MAX}; raise the major version "
            "and compare with that"
        )
    if not all(isinstance(row, dict) for row in rows):
        raise errors.UsageError(f"{place}: accepted: write rule, where and note for each")
    return cast("list[dict[str, object]]", rows)


def _problems(row: dict[str, object]) -> Iterator[str]:
    for field in _FIELDS:
        value = row.get(field)
        if not isinstance(value, str) or not value.strip():
            remedy = "say why it is accepted" if field == "note" else "as contract diff prints it"
            yield f"{field}: is missing; write it, {remedy}"
        elif len(value) > TEXT_LENGTH_MAX:
            yield f"{field}: is longer than {TEXT_LENGTH_MAX} characters"
    for field in row:
        if field not in _FIELDS:
            yield f"{units.shown(str(field))}: is no field; leave it out"
    rule = row.get("rule")
    if isinstance(rule, str) and rule.strip() and rule.strip() not in whole.RULES:
        near = nearest.nearest(rule, whole.RULES)
        hint = f"did you mean {near}?" if near else "docs/contract-diff.md lists them"
        yield f"rule: {units.shown(rule)} is no rule; {hint}"
