"""Write a verdict as JSON data, as lines for people, and as Markdown for a pull request."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from alongside.contract import written
from alongside.contract.compare import changes, printed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alongside.contract import promise
    from alongside.contract.compare import waivers

FORMAT = 1
"""The version of the JSON, which stands in it as `diff`."""
_ACCEPTED = "accepted"


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """A line for people; its first word's severity, where it begins a change."""

    text: str
    severity: str = ""


def to_json(
    old: promise.Contract, new: promise.Contract, verdict: waivers.Verdict
) -> dict[str, object]:
    """Return a verdict as JSON data; docs/contract-diff.md says what each field is."""
    return {
        "diff": FORMAT,
        "old": _contract(old),
        "new": _contract(new),
        "compatible": verdict.is_compatible,
        "counts": counts(verdict),
        "changes": [
            {
                "rule": one.change.rule.id,
                "severity": one.change.rule.severity.value,
                "hurts": one.change.rule.hurts.value,
                "where": one.change.where,
                "old": one.change.old,
                "new": one.change.new,
                "explanation": one.change.rule.says,
                "instead": one.change.rule.instead,
                "waivable": one.change.rule.is_waivable,
                "note": one.note,
            }
            for one in verdict.changes
        ],
        "refused_waivers": [dataclasses.asdict(one) for one in verdict.refused],
        "unused_waivers": [dataclasses.asdict(one) for one in verdict.unused],
    }


def counts(verdict: waivers.Verdict) -> dict[str, int]:
    """Return how many changes break, were accepted, should be looked at, are new."""
    words = [severity(one) for one in verdict.changes]
    names = (*(one.value for one in changes.Severity), _ACCEPTED)
    return {name: words.count(name) for name in names}


def severity(judged: waivers.Judged) -> str:
    """Return the word that a change stands under: its severity, or that it was accepted."""
    return _ACCEPTED if judged.note is not None else judged.change.rule.severity.value


def lines(old: promise.Contract, new: promise.Contract, verdict: waivers.Verdict) -> Iterator[Line]:
    """Yield what to show in a terminal or a log."""
    yield Line(summary(old, new, verdict))
    for one in verdict.changes:
        change, rule = one.change, one.change.rule
        word = severity(one)
        never = "" if rule.is_waivable else ", never waived"
        if rule.severity is not changes.Severity.INFO:
            yield Line("")
        yield Line(
            f"{word:<8}  {rule.id}: {printed.plain(change.where)} ({rule.hurts.value}{never})", word
        )
        if rule.severity is changes.Severity.INFO:
            continue
        told = {
            "was": printed.plain(change.old) or printed.NOTHING,
            "now": printed.plain(change.new) or printed.NOTHING,
            "so": rule.says,
            "do": rule.instead if one.note is None else "",
            "note": printed.plain(one.note or ""),
        }
        yield from (Line(f"    {key:<5}{text}") for key, text in told.items() if text)


def summary(old: promise.Contract, new: promise.Contract, verdict: waivers.Verdict) -> str:
    """Return one line: what was compared, how many changes of each severity."""
    number = counts(verdict)
    told = [f"{number[word]} {word}" for word in number if number[word]]
    was, now = (printed.plain(one.version) or "(no version)" for one in (old, new))
    return f"{printed.plain(new.component)} {was} to {now}: {', '.join(told) or 'nothing changed'}"


def to_markdown(old: promise.Contract, new: promise.Contract, verdict: waivers.Verdict) -> str:
    """Return a comment for a pull request: what breaks in whole, the rest folded away."""
    outcome = "Nothing breaks" if verdict.is_compatible else "This breaks somebody"
    parts = [f"### Contract of {_code(new.component)}: {outcome.lower()}", ""]
    parts += [f"{_cell(summary(old, new, verdict))}.", ""]
    told = [one for one in verdict.changes if one.change.rule.severity is not changes.Severity.INFO]
    if told:
        parts += [*_table(told), ""]
    notes = [one for one in verdict.changes if one.note is not None]
    if notes:
        parts += ["Accepted:", ""]
        parts += [
            f"- `{one.change.rule.id}` {_code(one.change.where)}: {_cell(one.note or '')}"
            for one in notes
        ]
        parts.append("")
    infos = [one for one in verdict.changes if one.change.rule.severity is changes.Severity.INFO]
    if infos:
        parts += [f"<details><summary>{len(infos)} harmless</summary>", ""]
        parts += [f"- `{one.change.rule.id}` {_code(one.change.where)}" for one in infos]
        parts += ["", "</details>", ""]
    return "\n".join(parts)


def _table(told: Sequence[waivers.Judged]) -> Iterator[str]:
    yield "| severity | rule | where | was | now | what to do |"
    yield "|---|---|---|---|---|---|"
    for one in told:
        change, rule = one.change, one.change.rule
        word = severity(one)
        cells = (
            f"**{word}**" if word == changes.Severity.BREAKING.value else word,
            f"`{rule.id}`",
            _code(change.where),
            _code(change.old),
            _code(change.new),
            _cell(f"{rule.says}: {rule.instead}"),
        )
        yield f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    """Return a text in which Markdown finds nothing."""
    escaped = printed.plain(text).replace("&", "&amp;").replace("<", "&lt;").replace("@", "&#64;")
    return "".join(f"\\{letter}" if letter in "\\`*_[]|#!" else letter for letter in escaped)


def _code(text: str) -> str:
    """Return a text as code, in which Markdown finds nothing either; empty where it is."""
    inside = printed.plain(text).replace("`", "'").replace("|", "\\|")
    return f"`{inside}`" if inside else ""


def _contract(contract: promise.Contract) -> dict[str, str]:
    return {
        "component": contract.component,
        "version": contract.version,
        "sha256": written.digest(contract),
    }
