"""Compare two contracts by every rule; `RULES` is the whole table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alongside.contract.compare import (
    bare_numbers,
    behaviour,
    calls,
    changes,
    deprecations,
    grammar,
    pairs,
    parameters,
    surroundings,
    versions,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alongside.contract import promise

SUBJECTS: dict[str, tuple[changes.Rule, ...]] = {
    "Units": (*bare_numbers.RULES, calls.FIELD_UNIT_CHANGED),
    "Parameters": parameters.RULES,
    "What a parameter accepts": grammar.RULES,
    "Deprecation": deprecations.RULES,
    "Ports, calls, answers": tuple(
        rule for rule in calls.RULES if rule is not calls.FIELD_UNIT_CHANGED
    ),
    "Files, volumes, user, privileges": surroundings.RULES,
    "Signals, exit codes, metrics, sources of values": behaviour.RULES,
    "Version": versions.RULES,
}
"""The rules by subject, as the page lists them."""
RULES: dict[str, changes.Rule] = {rule.id: rule for rules in SUBJECTS.values() for rule in rules}
"""Every rule by its id."""

_ORDER = {severity: at for at, severity in enumerate(changes.Severity)}


def compare(old: promise.Contract, new: promise.Contract) -> tuple[changes.Change, ...]:
    """Return what changed, the worst first: what can never be waived, what breaks, the rest.

    Equal contracts give nothing. Only meanings are compared: neither descriptions nor the order
    of parts nor the notation of a number is a change. Versions decide what of the deprecated may be
    gone and whether the new one says that it breaks something, so both contracts should have one.
    """
    found = list(_found(old, new))
    found += versions.judge(old, new, found)
    return tuple(sorted(found, key=lambda one: (_ORDER[one.rule.severity], one.rule.is_waivable)))


def _found(old: promise.Contract, new: promise.Contract) -> Iterator[changes.Change]:
    both = pairs.side_by_side(old, new)
    yield from bare_numbers.judge(both)
    yield from parameters.judge(both, new.version)
    for pair in both.changed():
        yield from parameters.judge_pair(pair)
        yield from grammar.judge(pair)
    yield from deprecations.judge(both)
    yield from calls.judge(old, new, both)
    yield from surroundings.judge(old, new)
    yield from behaviour.judge(old, new)
