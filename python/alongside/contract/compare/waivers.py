"""Accept changes that break somebody, each by rule and place and with a note that says why.

A file of them is YAML: `waivers: 1` and a list `accepted` of `rule`, `where`, `was`, `now` and
`note`, as `contract diff` prints all but the last. Another value at the same place is another
change, which the waiver does not accept. A change of a unit is never accepted.
"""

from __future__ import annotations

import collections
import dataclasses
from typing import TYPE_CHECKING, cast

from alongside.base import errors, nearest, units
from alongside.contract import written
from alongside.contract.compare import changes, printed, whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FORMAT = 1
BYTES_MAX = 256 * 1024
"""Longer files are refused before they are read."""
WAIVERS_MAX = 500
TEXT_LENGTH_MAX = 1000
"""Longer places and notes are refused."""
VALUE_LENGTH_MAX = 16 * 1024
"""Longer texts of what was and is are refused."""

_VALUES = ("was", "now")
_FIELDS = ("rule", "where", *_VALUES, "note")
_Key = tuple[str, str, str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Waiver:
    """One accepted change: its rule's id, its place, what was and is there, why it is accepted."""

    rule: str
    where: str
    was: str
    now: str
    note: str

    @property
    def key(self) -> _Key:
        """Return what it accepts; it accepts nothing else."""
        return _key(self.rule, self.where, self.was, self.now)


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
    """Waivers of what did not change so; they should go, lest they hide a later change."""

    @property
    def is_compatible(self) -> bool:
        """Return whether nobody breaks who has not been thought of."""
        return not self.refused and not any(one.breaks for one in self.changes)


def judge(found: Sequence[changes.Change], waivers: Sequence[Waiver] = ()) -> Verdict:
    """Return every change with the note that accepts it, and the waivers that accept nothing."""
    notes = {one.key: one.note for one in waivers}
    used = {_key_of(change) for change in found}
    never = [one for one in waivers if not whole.RULES[one.rule].is_waivable]
    return Verdict(
        changes=tuple(
            Judged(
                change,
                notes.get(_key_of(change)) if change.rule.is_waivable else None,
            )
            for change in found
        ),
        refused=tuple(never),
        unused=tuple(one for one in waivers if one not in never and one.key not in used),
    )


def _key_of(change: changes.Change) -> _Key:
    return _key(change.rule.id, change.where, change.old, change.new)


def _key(rule: str, where: str, was: str, now: str) -> _Key:
    return (rule, where, printed.whole_line(was), printed.whole_line(now))


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
    counted = collections.Counter(one.key for one in found)
    twice = [key for key, times in counted.items() if times > 1]
    if twice:
        told = (f"{printed.plain(rule)} of {printed.plain(where)}" for rule, where, *_ in twice)
        raise errors.UsageError(*(f"{place}: {one} is accepted twice; keep one" for one in told))
    return tuple(found)


def _rows(text: str, place: str) -> list[dict[str, object]]:
    data = written.plain_yaml(text, place)
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
        raise errors.UsageError(f"{place}: accepted: write rule, where, was, now and note for each")
    return cast("list[dict[str, object]]", rows)


def _problems(row: dict[str, object]) -> Iterator[str]:
    for field in _FIELDS:
        value = row.get(field)
        length_max = VALUE_LENGTH_MAX if field in _VALUES else TEXT_LENGTH_MAX
        if value is not None and not isinstance(value, str):
            yield f"{field}: is no text; write it in quotes"
        elif not value or not value.strip():
            remedy = "say why it is accepted" if field == "note" else "as contract diff prints it"
            yield f"{field}: is missing; write it, {remedy}"
        elif len(value) > length_max:
            yield f"{field}: is longer than {length_max} characters"
    for field in row:
        if field not in _FIELDS:
            yield f"{units.shown(str(field))}: is no field; leave it out"
    rule = row.get("rule")
    if isinstance(rule, str) and rule.strip() and rule.strip() not in whole.RULES:
        near = nearest.nearest(rule, whole.RULES)
        hint = f"did you mean {near}?" if near else "docs/contract-diff.md lists them"
        yield f"rule: {units.shown(rule)} is no rule; {hint}"
