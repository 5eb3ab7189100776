"""Rules of parameters: that they exist, under which names, what they are when nobody sets them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from alongside.base import log
from alongside.contract.compare import changes, deprecations, pairs, quantities, versions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alongside.contract import promise

_BREAKING, _NOTICE, _INFO = changes.Severity
_rule = functools.partial(changes.rule, hurts=changes.Direction.STARTS)


_DEPRECATE = "keep it, deprecated, until a version that you name"
_GONE = ("parameter-removed", "parameter-removed-early", "parameter-removed-as-promised")
_NAME_GONE = ("name-removed-early", "name-removed-as-promised")

REMOVED = _rule(
    "parameter-removed",
    _BREAKING,
    "it can no longer be set; who sets it is refused, or gets something else",
    "parameter-added",
    "required-parameter-added",
    instead=_DEPRECATE,
)
REMOVED_EARLY = _rule(
    "parameter-removed-early",
    _BREAKING,
    "it was to go, but was promised to stay longer",
    "parameter-added",
    "required-parameter-added",
    instead="keep it until the version that was promised",
)
REMOVED_AS_PROMISED = _rule(
    "parameter-removed-as-promised",
    _NOTICE,
    "it is gone, as was announced",
    "parameter-added",
    "required-parameter-added",
    instead="see that nobody sets it any more",
)
RENAMED = _rule(
    "parameter-renamed",
    _INFO,
    "it has a new name; what became of the old ones stands with each of them",
    "parameter-renamed",
)
RENAMED_WITHOUT_ALIAS = _rule(
    "parameter-renamed-without-alias",
    _BREAKING,
    "it seems to have a new name, and no old one is accepted",
    "parameter-renamed-without-alias",
    instead="keep the old flag and the old variable as aliases",
)
ADDED = _rule("parameter-added", _INFO, "something new can be set", *_GONE)
REQUIRED_ADDED = _rule(
    "required-parameter-added",
    _BREAKING,
    "something new must be set",
    *_GONE,
    instead="give it a default with which all is as it was",
)
MADE_REQUIRED = _rule(
    "parameter-made-required",
    _BREAKING,
    "what could be left out must be set",
    "parameter-made-optional",
    instead="keep what it was without it as the default",
)
MADE_OPTIONAL = _rule(
    "parameter-made-optional",
    _INFO,
    "what had to be set can be left out",
    "parameter-made-required",
)
FLAG_REMOVED = _rule(
    "flag-removed",
    _BREAKING,
    "the parameter is there, but this flag is refused",
    "flag-added",
    instead="keep it as an alias",
)
VARIABLE_REMOVED = _rule(
    "variable-removed",
    _BREAKING,
    "the parameter is there, but this variable is refused, or ignored",
    "variable-added",
    instead="keep it as an alias",
)
NAME_REMOVED_EARLY = _rule(
    "name-removed-early",
    _BREAKING,
    "the name was to go, but was promised to stay longer",
    "flag-added",
    "variable-added",
    instead="keep it until the version that was promised",
)
NAME_REMOVED_AS_PROMISED = _rule(
    "name-removed-as-promised",
    _NOTICE,
    "the name is gone, as was announced",
    "flag-added",
    "variable-added",
    instead="see that nobody uses it any more",
)
FLAG_ADDED = _rule("flag-added", _INFO, "another flag is accepted", "flag-removed", *_NAME_GONE)
VARIABLE_ADDED = _rule(
    "variable-added", _INFO, "another variable is read", "variable-removed", *_NAME_GONE
)
NAME_MOVED = _rule(
    "name-moved",
    _BREAKING,
    "the same flag or variable sets another parameter",
    "name-moved",
    instead="give the other parameter a name that nobody has used",
)
ARGUMENT_CHANGED = _rule(
    "argument-changed",
    _BREAKING,
    "it is given by position where it had a flag, or the other way round",
    "argument-changed",
    instead="add a parameter for the other way",
)
ARGUMENTS_MOVED = _rule(
    "arguments-moved",
    _BREAKING,
    "the same words in the same order mean something else",
    "arguments-moved",
    instead="add new arguments behind the others",
)
DEFAULT_CHANGED = _rule(
    "default-changed",
    _BREAKING,
    "who does not set it gets something else",
    "default-changed",
    instead="keep the default; where the new one is better for all, accept the change with a note",
)
UNSET_CHANGED = _rule(
    "unset-changed",
    _BREAKING,
    "who does not set it gets something else, as the words say",
    "unset-changed",
    instead="keep what it was; where only the words changed, accept the change with a note",
)
SECRET_EXPOSED = _rule(
    "secret-exposed",
    _BREAKING,
    "a value that was masked is shown in logs and pages",
    "secret-masked",
    instead="keep it a secret",
)
SECRET_MASKED = _rule(
    "secret-masked",
    _NOTICE,
    "a value that was shown is masked",
    "secret-exposed",
    instead="see that nobody reads it from logs",
)
RULES = (
    REMOVED,
    REMOVED_EARLY,
    REMOVED_AS_PROMISED,
    RENAMED,
    RENAMED_WITHOUT_ALIAS,
    ADDED,
    REQUIRED_ADDED,
    MADE_REQUIRED,
    MADE_OPTIONAL,
    FLAG_REMOVED,
    VARIABLE_REMOVED,
    NAME_REMOVED_EARLY,
    NAME_REMOVED_AS_PROMISED,
    FLAG_ADDED,
    VARIABLE_ADDED,
    NAME_MOVED,
    ARGUMENT_CHANGED,
    ARGUMENTS_MOVED,
    DEFAULT_CHANGED,
    UNSET_CHANGED,
    SECRET_EXPOSED,
    SECRET_MASKED,
)


def judge(parameters: pairs.Parameters, version: str) -> Iterator[changes.Change]:
    """Yield every change of which parameters there are, and of their names.

    Args:
        parameters: those of both contracts.
        version: the new contract's, which says whether what was deprecated may be gone.
    """
    for one in parameters.gone:
        rule = _gone(one.deprecated, version, (REMOVED, REMOVED_EARLY, REMOVED_AS_PROMISED))
        was = f"{one.description}{_aside(deprecations.words(one.deprecated))}"
        yield changes.Change(rule, f"parameter {one.name}", was, "")
    for pair in parameters.guessed:
        old, new = (_shown(one) for one in (pair.old, pair.new))
        yield changes.Change(RENAMED_WITHOUT_ALIAS, pair.where, old, new)
    for one in parameters.come:
        rule = REQUIRED_ADDED if one.is_required else ADDED
        yield changes.Change(rule, f"parameter {one.name}", "", one.description)
    for pair in parameters.pairs:
        if pair.old.name != pair.new.name:
            yield changes.Change(RENAMED, pair.where, pair.old.name, pair.new.name)
    yield from _names(parameters, version)
    yield from _positions(parameters)


def judge_pair(pair: pairs.Pair) -> Iterator[changes.Change]:
    """Yield every change of what a parameter is, besides its name and what it accepts."""
    old, new = pair.old, pair.new
    ways = ("by flag", "by position")
    if old.is_argument != new.is_argument:
        before, after = (ways[one.is_argument] for one in (old, new))
        yield changes.Change(ARGUMENT_CHANGED, pair.where, before, after)
    if old.is_required != new.is_required:
        rule = MADE_REQUIRED if new.is_required else MADE_OPTIONAL
        yield changes.Change(rule, pair.where, _left_out(old), _left_out(new))
    else:
        yield from _default(pair)
    if old.is_secret != new.is_secret:
        masked = ("shown", "masked")
        rule = SECRET_EXPOSED if old.is_secret else SECRET_MASKED
        yield changes.Change(rule, pair.where, masked[old.is_secret], masked[new.is_secret])


def _default(pair: pairs.Pair) -> Iterator[changes.Change]:
    old, new = pair.old, pair.new
    is_worded = old.default is None and new.default is None and old.unset and new.unset
    # The same text with another unit or type is told by the rules of those.
    is_same = old.default == new.default or quantities.default(old) == quantities.default(new)
    if not is_same:
        yield changes.Change(DEFAULT_CHANGED, pair.where, _left_out(old), _left_out(new))
    elif is_worded and not changes.same_words(old.unset, new.unset):
        yield changes.Change(UNSET_CHANGED, pair.where, _left_out(old), _left_out(new))


def _left_out(parameter: promise.Parameter) -> str:
    """Return what happens where nobody sets a parameter."""
    if parameter.is_required:
        return "required"
    if parameter.default is None:
        return f"unset ({parameter.unset})" if parameter.unset else "unset"
    return f"default {log.MASK if parameter.is_secret else parameter.default}"


def _names(parameters: pairs.Parameters, version: str) -> Iterator[changes.Change]:
    """Yield what became of the flags and variables of parameters that stayed."""
    old_owners = {pair.old.name for pair in parameters.pairs}
    new_owners = {pair.new.name for pair in parameters.pairs}
    for text, name in parameters.old_names.items():
        after = parameters.new_names.get(text)
        if after is not None and not parameters.is_pair(name.owner.name, after.owner.name):
            old, new = name.owner.name, after.owner.name
            yield changes.Change(NAME_MOVED, name.where, old, new)
        elif after is None and name.owner.name in old_owners:
            usual = FLAG_REMOVED if name.kind == "flag" else VARIABLE_REMOVED
            rules = (usual, NAME_REMOVED_EARLY, NAME_REMOVED_AS_PROMISED)
            was = f"sets {name.owner.name}{_aside(deprecations.words(name.deprecated))}"
            yield changes.Change(_gone(name.deprecated, version, rules), name.where, was, "")
    for text, name in parameters.new_names.items():
        if text not in parameters.old_names and name.owner.name in new_owners:
            rule = FLAG_ADDED if name.kind == "flag" else VARIABLE_ADDED
            yield changes.Change(rule, name.where, "", f"sets {name.owner.name}")


def _positions(parameters: pairs.Parameters) -> Iterator[changes.Change]:
    """Yield a change where arguments that stayed stand at other places."""
    orders = [
        [one.name for one in contract.parameters if one.is_argument]
        for contract in (parameters.old, parameters.new)
    ]
    old, new = orders
    kept = [pair for pair in parameters.pairs if pair.old.is_argument and pair.new.is_argument]
    if any(old.index(pair.old.name) != new.index(pair.new.name) for pair in kept):
        yield changes.Change(ARGUMENTS_MOVED, "arguments", " ".join(old), " ".join(new))


def _gone(
    deprecated: promise.Deprecation | None,
    version: str,
    rules: tuple[changes.Rule, changes.Rule, changes.Rule],
) -> changes.Rule:
    """Return which of three rules holds for what is gone: unannounced, too early, as promised."""
    unannounced, early, as_promised = rules
    if deprecated is None:
        return unannounced
    return as_promised if versions.is_reached(version, deprecated.until) else early


def _shown(parameter: promise.Parameter) -> str:
    return ", ".join(filter(None, (parameter.name, parameter.kind.value, parameter.unit)))


def _aside(words: str) -> str:
    return f", {words}" if words else ""
