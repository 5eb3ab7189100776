"""Rules of what a parameter accepts: its type, choices, bounds and repetition."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from alongside.contract import promise
from alongside.contract.compare import changes, pairs, quantities

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = promise.Kind
_BREAKING, _INFO = changes.Severity.BREAKING, changes.Severity.INFO
_rule = functools.partial(changes.rule, hurts=changes.Direction.STARTS)


_GO_ON = "go on accepting what was accepted; add a parameter for what is new"

TYPE_CHANGED = _rule(
    "type-changed",
    _BREAKING,
    "the values are of another type",
    "type-changed",
    instead=_GO_ON,
)
TYPE_NARROWED = _rule(
    "type-narrowed",
    _BREAKING,
    "some values of the old type are refused",
    "type-widened",
    instead=_GO_ON,
)
TYPE_WIDENED = _rule(
    "type-widened", _INFO, "every value of the old type is accepted, and more", "type-narrowed"
)
CHOICE_REMOVED = _rule(
    "choice-removed",
    _BREAKING,
    "a word that was accepted is refused",
    "choice-added",
    instead="go on accepting it, if only as another word for what took its place",
)
CHOICE_ADDED = _rule("choice-added", _INFO, "another word is accepted", "choice-removed")
MINIMUM_RAISED = _rule(
    "minimum-raised",
    _BREAKING,
    "values that were accepted are too small",
    "minimum-lowered",
    instead="take the least value that was accepted, and treat smaller ones as you must",
)
MINIMUM_LOWERED = _rule("minimum-lowered", _INFO, "smaller values are accepted", "minimum-raised")
MAXIMUM_LOWERED = _rule(
    "maximum-lowered",
    _BREAKING,
    "values that were accepted are too large",
    "maximum-raised",
    instead="take the greatest value that was accepted, and treat larger ones as you must",
)
MAXIMUM_RAISED = _rule("maximum-raised", _INFO, "larger values are accepted", "maximum-lowered")
BOUND_UNCLEAR = _rule(
    "bound-unclear",
    _BREAKING,
    "a bound changed that is no number in the notation of its type, or counts something else",
    "bound-unclear",
    instead="write the bound as a value of the parameter",
)
REPETITION_REFUSED = _rule(
    "repetition-refused",
    _BREAKING,
    "several values were accepted, and only one is",
    "repetition-accepted",
    "repetition-splits",
    instead="go on accepting several, or take the last",
)
REPETITION_ACCEPTED = _rule(
    "repetition-accepted", _INFO, "several values are accepted", "repetition-refused"
)
REPETITION_SPLITS = _rule(
    "repetition-splits",
    _BREAKING,
    "several values are accepted, so that a value with a blank or comma in its variable is "
    "several now",
    "repetition-refused",
    instead="add a parameter that may be repeated beside the one that may not",
)
RULES = (
    TYPE_CHANGED,
    TYPE_NARROWED,
    TYPE_WIDENED,
    CHOICE_REMOVED,
    CHOICE_ADDED,
    MINIMUM_RAISED,
    MINIMUM_LOWERED,
    MAXIMUM_LOWERED,
    MAXIMUM_RAISED,
    BOUND_UNCLEAR,
    REPETITION_REFUSED,
    REPETITION_ACCEPTED,
    REPETITION_SPLITS,
)

_WIDER: dict[Kind, frozenset[Kind]] = {
    Kind.PORT: frozenset({Kind.INTEGER, Kind.NUMBER, Kind.TEXT}),
    Kind.INTEGER: frozenset({Kind.TEXT}),
    Kind.NUMBER: frozenset({Kind.TEXT}),
    **dict.fromkeys(
        (Kind.CHOICE, Kind.ADDRESS, Kind.URL, Kind.PATH, Kind.CIDR, Kind.NODE, Kind.REPLICA),
        frozenset({Kind.TEXT}),
    ),
}
"""The kinds that accept every text of a kind. Durations and sizes are in none: as a text, `10m`
would be accepted and mean nothing; nor are booleans, whose flags take no value."""
_SPLITTABLE = frozenset({Kind.TEXT, Kind.PATH, Kind.NODE, Kind.REPLICA})
"""The kinds whose values may hold a blank or a comma: names of nodes may as well."""
_SEPARATOR = re.compile(r"[,\s]")
_URL_SCHEMES = ("http", "https")


def judge(pair: pairs.Pair) -> Iterator[changes.Change]:
    """Yield every change of what a parameter accepts, units aside."""
    yield from _type(pair)
    yield from _choices(pair)
    yield from _bounds(pair)
    yield from _repetition(pair)


def _type(pair: pairs.Pair) -> Iterator[changes.Change]:
    old, new = pair.old.kind, pair.new.kind
    if old is new:
        return
    if {old, new} <= quantities.QUANTITIES:
        # What their numbers count, and how, the rules of units say.
        had, has = (kind in quantities.FRACTIONAL for kind in (old, new))
        rules = {(True, False): TYPE_NARROWED, (False, True): TYPE_WIDENED}
        rule = rules.get((had, has))
    elif new in _WIDER.get(old, ()):
        rule = TYPE_WIDENED
    elif old in _WIDER.get(new, ()):
        rule = TYPE_NARROWED
    else:
        rule = TYPE_CHANGED
    if rule is not None:
        yield changes.Change(rule, pair.where, old.value, new.value)


def _choices(pair: pairs.Pair) -> Iterator[changes.Change]:
    if pair.old.kind is not pair.new.kind or pair.old.kind not in {Kind.CHOICE, Kind.URL}:
        return
    old, new = _accepted(pair.old), _accepted(pair.new)
    for word in old:
        if word not in new:
            yield changes.Change(CHOICE_REMOVED, f"choice {word} of {pair.where}", word, "")
    for word in new:
        if word not in old:
            yield changes.Change(CHOICE_ADDED, f"choice {word} of {pair.where}", "", word)


def _accepted(parameter: promise.Parameter) -> tuple[str, ...]:
    return parameter.choices or (_URL_SCHEMES if parameter.kind is Kind.URL else ())


def _bounds(pair: pairs.Pair) -> Iterator[changes.Change]:
    measure = quantities.bound_measure(pair.old)
    if measure is None or measure != quantities.bound_measure(pair.new):
        yield from _bounds_of_other_kinds(pair)
        return
    for which in ("minimum", "maximum"):
        old, new = quantities.bounds(pair.old, pair.new, which)
        if old == new:
            continue
        if isinstance(old, str) or isinstance(new, str):
            rule = BOUND_UNCLEAR
        elif which == "minimum":
            is_raised = old is None or (new is not None and new.number > old.number)
            rule = MINIMUM_RAISED if is_raised else MINIMUM_LOWERED
        else:
            is_lowered = old is None or (new is not None and new.number < old.number)
            rule = MAXIMUM_LOWERED if is_lowered else MAXIMUM_RAISED
        words = [_said(one, which) for one in (pair.old, pair.new)]
        yield changes.Change(rule, pair.where, *words)


def _bounds_of_other_kinds(pair: pairs.Pair) -> Iterator[changes.Change]:
    """Yield bounds that are counted in something else, or were none, where the type is wider.

    Elsewhere the rules of units or of the type tell already that values are refused.
    """
    old, new = pair.old, pair.new
    if new.kind not in _WIDER.get(old.kind, ()) and old.kind not in _WIDER.get(new.kind, ()):
        return
    for which in quantities.BOUNDS:
        had, has = _does_bound(old, new, which), _does_bound(new, old, which)
        if not had and not has:
            continue
        if had and has:
            rule = BOUND_UNCLEAR
        elif which == "minimum":
            rule = MINIMUM_RAISED if has else MINIMUM_LOWERED
        else:
            rule = MAXIMUM_LOWERED if has else MAXIMUM_RAISED
        yield changes.Change(rule, pair.where, *(_said(one, which) for one in (old, new)))


def _does_bound(
    parameter: promise.Parameter, other: promise.Parameter, which: quantities.Bound
) -> bool:
    """Return whether a bound that is said may refuse values of another kind."""
    text = quantities.said(parameter, which)
    if text is None or quantities.bound_measure(parameter) is None:
        return False
    if quantities.bound_measure(parameter) != "length" or not re.fullmatch("-?[0-9]{1,18}", text):
        return True
    if which == "minimum" and int(text) <= 1:
        return False
    if other.kind is not Kind.CHOICE:
        return True
    lengths = [len(word.encode()) for word in other.choices]
    is_wide = (max if which == "maximum" else min)(lengths, default=0)
    return is_wide > int(text) if which == "maximum" else is_wide < int(text)


def _said(parameter: promise.Parameter, which: quantities.Bound) -> str:
    text = quantities.said(parameter, which)
    return f"no {which}" if text is None else f"{which} {text}"


def _repetition(pair: pairs.Pair) -> Iterator[changes.Change]:
    old, new = pair.old.is_repeated, pair.new.is_repeated
    if old == new:
        return
    if old:
        yield changes.Change(REPETITION_REFUSED, pair.where, "several values", "one value")
        return
    has_variable = pair.old.own_variable != "" and not pair.old.is_argument
    may_hold = pair.old.kind in _SPLITTABLE or any(map(_SEPARATOR.search, _accepted(pair.old)))
    is_split = has_variable and may_hold
    rule = REPETITION_SPLITS if is_split else REPETITION_ACCEPTED
    yield changes.Change(rule, pair.where, "one value", "several values")
