"""Which parameter of an old contract is which of a new one, by the names that users write."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from alongside.contract.compare import versions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alongside.contract import promise


@dataclasses.dataclass(frozen=True, slots=True)
class Name:
    """A flag or variable of a parameter; its alias, where it is none of the two first names."""

    text: str
    owner: promise.Parameter
    alias: promise.Alias | None = None

    @property
    def where(self) -> str:
        """Return how a change of it is placed: `flag --wait`, `variable CACHE_WAIT`."""
        return f"{self.kind} {self.text}"

    @property
    def kind(self) -> str:
        """Return `flag` or `variable`."""
        return "flag" if self.text.startswith("-") else "variable"

    @property
    def unit(self) -> str:
        """Return what a bare number counts under this name alone; empty where it is the usual."""
        return self.alias.unit if self.alias else ""

    @property
    def deprecated(self) -> promise.Deprecation | None:
        """Return since when and until when the name goes, by itself or with its parameter."""
        own = self.alias.deprecated if self.alias else None
        return own or self.owner.deprecated


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """A parameter before and after."""

    old: promise.Parameter
    new: promise.Parameter

    @property
    def where(self) -> str:
        """Return how a change of it is placed: `parameter wait`, `parameter wait -> period`."""
        renamed = "" if self.old.name == self.new.name else f" -> {self.new.name}"
        return f"parameter {self.old.name}{renamed}"


@dataclasses.dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of two contracts side by side."""

    old: promise.Contract
    new: promise.Contract
    old_names: dict[str, Name]
    new_names: dict[str, Name]
    pairs: tuple[Pair, ...]
    guessed: tuple[Pair, ...]
    """What looks like a new name of the same parameter, although no old name is left."""
    gone: tuple[promise.Parameter, ...]
    come: tuple[promise.Parameter, ...]

    joined: frozenset[tuple[str, str]]
    """The old and the new name of each pair."""

    def is_pair(self, old: str, new: str) -> bool:
        """Return whether the parameters of these names are one before and after."""
        return (old, new) in self.joined

    def places(self) -> Iterator[tuple[promise.Parameter, promise.Parameter]]:
        """Yield which argument stood and stands at each place; a repeated last one at all more."""
        old, new = (_arguments(contract) for contract in (self.old, self.new))
        length = max(len(old), len(new))
        yield from zip(_filled(old, length), _filled(new, length), strict=False)

    def changed(self) -> Iterator[Pair]:
        """Yield the pairs of which anything at all changed."""
        return (pair for pair in self.pairs if pair.old != pair.new)


def names(contract: promise.Contract) -> dict[str, Name]:
    """Return every flag and variable that a contract accepts."""
    found: dict[str, Name] = {}
    for parameter in contract.parameters:
        flag = "" if parameter.is_argument else parameter.flag
        for text in (flag, contract.variable(parameter)):
            if text:
                found[text] = Name(text, parameter)
        for alias in parameter.aliases:
            found.setdefault(alias.name, Name(alias.name, parameter, alias))
    return found


def side_by_side(old: promise.Contract, new: promise.Contract) -> Parameters:
    """Return which parameter became which.

    Two are one where they have the same name. Else they are where a flag or variable of one is
    accepted by the other, which may join or split parameters. The rest is gone or has come; of
    that, what resembles each other is guessed to be a new name.
    """
    old_names, new_names = names(old), names(new)
    pairs = _pairs(old, new, old_names, new_names)
    was_kept = {pair.old.name for pair in pairs}
    is_kept = {pair.new.name for pair in pairs}
    gone = [one for one in old.parameters if one.name not in was_kept]
    come = [one for one in new.parameters if one.name not in is_kept]
    guessed = _guessed([one for one in gone if not _may_go(one, new.version)], come)
    old_guessed = {pair.old.name for pair in guessed}
    new_guessed = {pair.new.name for pair in guessed}
    return Parameters(
        old=old,
        new=new,
        old_names=old_names,
        new_names=new_names,
        pairs=tuple(pairs),
        guessed=tuple(guessed),
        gone=tuple(one for one in gone if one.name not in old_guessed),
        come=tuple(one for one in come if one.name not in new_guessed),
        joined=frozenset((pair.old.name, pair.new.name) for pair in pairs),
    )


def _pairs(
    old: promise.Contract,
    new: promise.Contract,
    old_names: dict[str, Name],
    new_names: dict[str, Name],
) -> list[Pair]:
    in_old = {parameter.name: parameter for parameter in old.parameters}
    in_new = {parameter.name: parameter for parameter in new.parameters}
    pairs = {
        (name, name): Pair(parameter, in_new[name])
        for name, parameter in in_old.items()
        if name in in_new
    }
    for text, name in old_names.items():
        if text not in new_names:
            continue
        was, now = name.owner, new_names[text].owner
        if was.name not in in_new or now.name not in in_old:
            pairs.setdefault((was.name, now.name), Pair(was, now))
    # An argument's name is never written, its place is.
    for before, after in zip(_arguments(old), _arguments(new), strict=False):
        if before.name not in in_new and after.name not in in_old:
            pairs.setdefault((before.name, after.name), Pair(before, after))
    return list(pairs.values())


def _arguments(contract: promise.Contract) -> list[promise.Parameter]:
    return [parameter for parameter in contract.parameters if parameter.is_argument]


def _may_go(parameter: promise.Parameter, version: str) -> bool:
    """Return whether a parameter was announced to be gone in that version, whatever comes."""
    gone = parameter.deprecated
    return gone is not None and versions.is_reached(version, gone.until)


def _filled(arguments: list[promise.Parameter], length: int) -> list[promise.Parameter]:
    last = arguments[-1:] if arguments and arguments[-1].is_repeated else []
    return [*arguments, *(last * (length - len(arguments)))]


def _guessed(gone: list[promise.Parameter], come: list[promise.Parameter]) -> list[Pair]:
    """Return the likeliest renames, best first; the same pairs whichever contract is the older."""
    if len(gone) * len(come) > _GUESSES_MAX:
        return []
    scored = [
        (likeness, Pair(before, after))
        for before in gone
        for after in come
        if (likeness := _likeness(before, after)) >= _LIKENESS_MIN
    ]
    scored.sort(key=lambda one: (-one[0], *sorted((one[1].old.name, one[1].new.name))))
    guessed: list[Pair] = []
    taken: set[tuple[str, str]] = set()
    for _, pair in scored:
        ends = {("old", pair.old.name), ("new", pair.new.name)}
        if not ends & taken:
            guessed.append(pair)
            taken |= ends
    return guessed


_GUESSES_MAX = 100_000
"""Where more is gone and has come, nothing is guessed: it is another component."""
_LIKENESS_MIN = 1 / 3
"""One word of three in common: `update_frequency` and `update_period`."""


def _likeness(one: promise.Parameter, other: promise.Parameter) -> float:
    if one.description and one.description == other.description:
        return 1.0
    mine, theirs = (set(re.split(r"[_-]", each.name)) for each in (one, other))
    return len(mine & theirs) / len(mine | theirs)
