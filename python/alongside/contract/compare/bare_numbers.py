"""Rules of units: what a number counts under a name that users write may never change.

Names are compared, not parameters: whoever sets `UPDATE_FREQUENCY=10` must get ten of the same
whatever became of the parameter behind it. So a rename with a second use of the old name, or an
alias that counts something else, is found as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alongside.contract.compare import changes, described, pairs, quantities

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEW_NAME = (
    "give what is new a new name, and keep the old one as an alias with its old unit; "
    "where the old contract was wrong about the unit, correct the old contract"
)

CHANGED = changes.Rule(
    id="unit-changed",
    severity=changes.Severity.BREAKING,
    hurts=changes.Direction.STARTS,
    says="the same text is accepted and means something else, which nobody notices",
    instead=_NEW_NAME,
    mirrors=("unit-changed",),
    is_waivable=False,
)
BARE_REFUSED = changes.Rule(
    id="bare-number-refused",
    severity=changes.Severity.BREAKING,
    hurts=changes.Direction.STARTS,
    says="a number without a unit was understood and is refused",
    instead=_NEW_NAME,
    mirrors=("bare-number-accepted",),
    is_waivable=False,
)
BARE_ACCEPTED = changes.Rule(
    id="bare-number-accepted",
    severity=changes.Severity.INFO,
    hurts=changes.Direction.STARTS,
    says="a number without a unit was refused and is understood",
    mirrors=("bare-number-refused",),
)
UNIT_REFUSED = changes.Rule(
    id="unit-refused",
    severity=changes.Severity.BREAKING,
    hurts=changes.Direction.STARTS,
    says="values that carry their unit were understood and are no longer",
    instead=_NEW_NAME,
    mirrors=("unit-accepted",),
    is_waivable=False,
)
UNIT_ACCEPTED = changes.Rule(
    id="unit-accepted",
    severity=changes.Severity.INFO,
    hurts=changes.Direction.STARTS,
    says="values may carry their unit",
    mirrors=("unit-refused",),
)
BY_RENAME = changes.Rule(
    id="unit-changed-by-rename",
    severity=changes.Severity.BREAKING,
    hurts=changes.Direction.STARTS,
    says="a new name takes another unit, and the old name is gone: numbers that are carried over "
    "mean something else",
    instead="keep the old name as an alias with its old unit; to remove it for good, deprecate it "
    "first with a version until which it stays",
    mirrors=("unit-changed-by-rename",),
    is_waivable=False,
)
DESCRIBED = changes.Rule(
    id="described-unit-changed",
    severity=changes.Severity.BREAKING,
    hurts=changes.Direction.STARTS,
    says="a number has no unit but in its description, which names another one: the same text is "
    "accepted and means something else",
    instead=f"{_NEW_NAME}, also where it only named none",
    mirrors=("described-unit-changed",),
    is_waivable=False,
)
RULES = (
    CHANGED,
    DESCRIBED,
    BARE_REFUSED,
    BARE_ACCEPTED,
    UNIT_REFUSED,
    UNIT_ACCEPTED,
    BY_RENAME,
)

_Difference = tuple[changes.Rule, str, str]


def judge(parameters: pairs.Parameters) -> Iterator[changes.Change]:
    """Yield every change of what a number counts, under each name that is still accepted."""
    names: dict[tuple[str, str], list[str]] = {}
    for text, before in parameters.old_names.items():
        after = parameters.new_names.get(text)
        if after is not None:
            names.setdefault((before.owner.name, after.owner.name), []).append(text)
    for pair in parameters.changed():
        shared = names.get((pair.old.name, pair.new.name), [])
        yield from _of_pair(parameters, pair, shared)
    for text, before in parameters.old_names.items():
        after = parameters.new_names.get(text)
        if after is not None and not parameters.is_pair(before.owner.name, after.owner.name):
            for rule, old, new in _differences(_of_name(before), _of_name(after)):
                yield changes.Change(rule, before.where, old, new)
    yield from _positions(parameters)
    for pair in parameters.guessed:
        was, now = quantities.policy(pair.old), quantities.policy(pair.new)
        if _is_other_unit(was, now):
            yield changes.Change(BY_RENAME, pair.where, was.words, now.words)


def _positions(parameters: pairs.Parameters) -> Iterator[changes.Change]:
    """Yield what changed at each place of a command line, which is a name that users write too."""
    for at, (before, after) in enumerate(parameters.places(), start=1):
        if before.name == after.name:
            continue  # told of the parameter
        for rule, old, new in _differences(quantities.policy(before), quantities.policy(after)):
            yield changes.Change(rule, f"argument {at}", old, new)


def _of_pair(
    parameters: pairs.Parameters, pair: pairs.Pair, names: list[str]
) -> Iterator[changes.Change]:
    """Yield a pair's changes once where all its names changed alike, else for each name."""
    by_name = {
        parameters.old_names[name].where: tuple(
            _differences(_of_name(parameters.old_names[name]), _of_name(parameters.new_names[name]))
        )
        for name in names
    }
    if pair.old.name == pair.new.name:
        own = (quantities.policy(pair.old), quantities.policy(pair.new))
        by_name = {pair.where: tuple(_differences(*own)), **by_name}
    if len(set(by_name.values())) == 1:
        by_name = {pair.where: next(iter(by_name.values()))}
    for where, differences in by_name.items():
        for rule, old, new in differences:
            yield changes.Change(rule, where, old, new)


def _of_name(name: pairs.Name) -> quantities.Policy:
    return quantities.policy(name.owner, name.unit)


def _differences(old: quantities.Policy, new: quantities.Policy) -> Iterator[_Difference]:
    """Yield the rules by which two policies differ, with what each was in words."""
    is_other_measure = bool(old.carries and new.carries and old.carries != new.carries)
    if is_other_measure or _is_other_count(old, new):
        yield CHANGED, old.words, new.words
    elif _is_described_otherwise(old, new):
        was, now = (f"{one.words}: {one.description}" for one in (old, new))
        yield DESCRIBED, was, now
    elif old.bare and not new.bare and new.carries:
        yield BARE_REFUSED, old.words, new.words
    elif new.bare and not old.bare and old.carries:
        yield BARE_ACCEPTED, old.words, new.words
    if old.carries and not new.carries:
        yield UNIT_REFUSED, old.words, new.words
    elif new.carries and not old.carries:
        yield UNIT_ACCEPTED, old.words, new.words


def _is_other_unit(old: quantities.Policy, new: quantities.Policy) -> bool:
    """Return whether a number carried over from one to the other means something else, or fails.

    The same whichever is the older.
    """
    is_widened = {rule for rule, *_ in _differences(old, new)} <= {UNIT_ACCEPTED, UNIT_REFUSED}
    has_numbers = all(one.bare or one.carries for one in (old, new))
    return has_numbers and not is_widened


def _is_described_otherwise(old: quantities.Policy, new: quantities.Policy) -> bool:
    """Return whether the descriptions of two numbers, or of a number and a text, name other units.

    Where there is a unit or values carry theirs, the description is for people alone.
    """
    was, now = old.description, new.description
    if was is None or now is None or was == now or not (old.bare or new.bare):
        return False
    return described.units(was) != described.units(now)


def _is_other_count(old: quantities.Policy, new: quantities.Policy) -> bool:
    """Return whether a bare number counts something else, or that it counts is no longer said."""
    if old.bare and new.bare:
        return old.bare != new.bare
    counted = old.bare or new.bare
    other = new if old.bare else old
    return bool(counted and counted.measure != quantities.THINGS and not other.carries)
