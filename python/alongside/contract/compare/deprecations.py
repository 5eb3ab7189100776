"""Rules of what is announced to go: the announcement, and until when something stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alongside.contract.compare import changes, versions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alongside.contract import promise
    from alongside.contract.compare import pairs

ANNOUNCED = changes.Rule(
    id="deprecated",
    severity=changes.Severity.NOTICE,
    hurts=changes.Direction.STARTS,
    says="it is announced to go",
    instead="use what stands in its place",
    mirrors=("deprecation-withdrawn",),
)
WITHDRAWN = changes.Rule(
    id="deprecation-withdrawn",
    severity=changes.Severity.INFO,
    hurts=changes.Direction.STARTS,
    says="it was announced to go, and stays",
    mirrors=("deprecated",),
)
SHORTENED = changes.Rule(
    id="deprecation-shortened",
    severity=changes.Severity.BREAKING,
    hurts=changes.Direction.STARTS,
    says="it goes earlier than was promised",
    instead="keep it until the version that was promised",
    mirrors=("deprecation-extended",),
)
EXTENDED = changes.Rule(
    id="deprecation-extended",
    severity=changes.Severity.INFO,
    hurts=changes.Direction.STARTS,
    says="it stays longer than was said",
    mirrors=("deprecation-shortened",),
)
RULES = (ANNOUNCED, WITHDRAWN, SHORTENED, EXTENDED)


def judge(parameters: pairs.Parameters) -> Iterator[changes.Change]:
    """Yield what changed about the going of parameters, and of each name by itself."""
    for pair in parameters.pairs:
        yield from _judge(pair.where, pair.old.deprecated, pair.new.deprecated)
    for text, before in parameters.old_names.items():
        after = parameters.new_names.get(text)
        if after is None:
            continue
        old, new = (one.alias.deprecated if one.alias else None for one in (before, after))
        yield from _judge(before.where, old, new)


def words(deprecation: promise.Deprecation | None) -> str:
    """Return until when something stays and what takes its place; empty where it just stays."""
    if deprecation is None:
        return ""
    instead = f", instead {deprecation.instead}" if deprecation.instead else ""
    return f"stays until {deprecation.until}{instead}"


def _judge(
    where: str, old: promise.Deprecation | None, new: promise.Deprecation | None
) -> Iterator[changes.Change]:
    if old is None and new is None:
        return
    if old is None or new is None:
        rule = ANNOUNCED if old is None else WITHDRAWN
        yield changes.Change(rule, where, words(old), words(new))
    elif _order(old) != _order(new):
        rule = SHORTENED if _order(new) < _order(old) else EXTENDED
        yield changes.Change(rule, where, words(old), words(new))


def _order(deprecation: promise.Deprecation) -> tuple[tuple[int, ...], str]:
    """Return what sorts promises of time; what is no version counts as the earliest."""
    numbers = versions.parsed(deprecation.until)
    return (numbers, "") if numbers else ((), deprecation.until)
