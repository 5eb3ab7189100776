"""Resolve a contract's parameters: flag over environment over default, every mistake at once."""

from __future__ import annotations

import dataclasses
import itertools
import re
from typing import TYPE_CHECKING, Literal, TypeVar

from alongside.base import errors, log, nearest, units
from alongside.contract import flags, kinds, promise

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from alongside.base import environment

Source = Literal["flag", "environment", "default", "unset"]
REPEATS_MAX = 4096
"""More values of one repeated parameter are refused."""

_SERVICE_VARIABLE = re.compile(
    r"(?:.*_)?(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?"
    r"|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
_SERVICE_URL = re.compile(r"(?:tcp|udp|sctp)://")
_Wanted = TypeVar("_Wanted", str, int, float, kinds.Node, kinds.Replica)


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """What one parameter came to: its values (none where unset), and from where."""

    parameter: promise.Parameter
    values: tuple[kinds.Value, ...]
    source: Source


class Values:
    """The checked values of one contract, by parameter name and type.

    Asking for an unknown name raises KeyError, for a wrong type or an unset value TypeError:
    both are mistakes of the code, never of a user.
    """

    def __init__(self, settings: Mapping[str, Setting]) -> None:
        """Take the settings by parameter name, in the contract's order."""
        self._settings = dict(settings)

    def is_set(self, name: str) -> bool:
        """Return whether the parameter has a value, given or by default."""
        return bool(self._settings[name].values)

    def source(self, name: str) -> Source:
        """Return where the value came from."""
        return self._settings[name].source

    def text(self, name: str) -> str:
        """Return a text, address, path, choice, network or URL."""
        return self._one(name, str)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the values of a repeated parameter in the given order; empty where unset."""
        return self._all(name, str)

    def integer(self, name: str) -> int:
        """Return a whole number or a port."""
        return self._one(name, int)

    def size_bytes(self, name: str) -> int:
        """Return a size in bytes."""
        return self._one(name, int)

    def duration_s(self, name: str) -> float:
        """Return a duration in seconds."""
        return self._one(name, float)

    def is_on(self, name: str) -> bool:
        """Return a boolean; false where unset."""
        return any(value is True for value in self._settings[name].values)

    def nodes(self, name: str) -> tuple[kinds.Node, ...]:
        """Return the nodes of a repeated parameter in the given order."""
        return self._all(name, kinds.Node)

    def replicas(self, name: str) -> tuple[kinds.Replica, ...]:
        """Return the further nodes of shards, in the given order; empty where unset."""
        return self._all(name, kinds.Replica)

    def effective(self) -> dict[str, object]:
        """Return every parameter as its user would write it, units included, secrets masked."""
        return dict(self._effective())

    def _effective(self) -> Iterator[tuple[str, object]]:
        for name, setting in self._settings.items():
            texts = [kinds.shown(value, setting.parameter.kind) for value in setting.values]
            if setting.parameter.is_secret and texts:
                texts = [log.MASK]
            if setting.parameter.is_repeated:
                yield name, texts
            else:
                yield name, texts[0] if texts else None

    def _one(self, name: str, wanted: type[_Wanted]) -> _Wanted:
        found = self._all(name, wanted)
        if len(found) != 1:
            raise TypeError(f"parameter {name} holds {len(found)} values, not one")
        return found[0]

    def _all(self, name: str, wanted: type[_Wanted]) -> tuple[_Wanted, ...]:
        found = self._settings[name].values
        if not all(isinstance(value, wanted) for value in found):
            raise TypeError(f"parameter {name} is {self._settings[name].parameter.kind.value}")
        return tuple(value for value in found if isinstance(value, wanted))


def resolve(
    contract: promise.Contract,
    given: flags.Flags,
    variables: environment.Environment,
) -> Values:
    """Return the values of a contract's parameters: flag over environment over default.

    Args:
        contract: the parameters and their names.
        given: what the command line said; its mistakes are reported with the others.
        variables: the whole environment; variables with the contract's prefix that no parameter
            owns are refused, but for those Kubernetes injects for a Service of that name.

    Raises:
        errors.UsageError: every mistake at once, each with its flag or variable and a remedy.
    """
    problems = list(given.problems)
    settings: dict[str, Setting] = {}
    for parameter in contract.parameters:
        try:
            settings[parameter.name] = _setting(contract, parameter, given.texts, variables)
        except errors.UsageError as error:
            problems.extend(error.problems)
    problems.extend(_unknown_variables(contract, variables))
    if problems:
        raise errors.UsageError(*problems)
    return Values(settings)


def _setting(
    contract: promise.Contract,
    parameter: promise.Parameter,
    texts_by_name: Mapping[str, Sequence[str]],
    variables: environment.Environment,
) -> Setting:
    variable = contract.variable(parameter)
    given = variables.get(variable) if variable else None
    if parameter.name in texts_by_name:
        values = _read_all(texts_by_name[parameter.name], parameter, parameter.flag)
        return Setting(parameter, values, "flag")
    if variable and given is not None and not _is_injected(contract, variable, given):
        texts = _split(given) if parameter.is_repeated else [given]
        return Setting(parameter, _read_all(texts, parameter, variable), "environment")
    if parameter.default is not None:
        texts = _split(parameter.default) if parameter.is_repeated else [parameter.default]
        return Setting(parameter, _read_all(texts, parameter, "default"), "default")
    if parameter.is_required:
        remedy = f"write {parameter.flag} {parameter.example}"
        if parameter.is_argument:
            remedy = f"write for example {parameter.example}"
        also = f" or set {variable}" if variable else ""
        raise errors.UsageError(f"{parameter.flag}: is missing; {remedy}{also}")
    return Setting(parameter, (), "unset")


def _read_all(
    texts: Sequence[str], parameter: promise.Parameter, place: str
) -> tuple[kinds.Value, ...]:
    if len(texts) > 1 and not parameter.is_repeated:
        raise errors.UsageError(f"{place}: is given {len(texts)} times; write it once")
    if len(texts) > REPEATS_MAX:
        raise errors.UsageError(f"{place}: is given {len(texts)} times; at most {REPEATS_MAX}")
    problems: list[str] = []
    values: list[kinds.Value] = []
    for text in texts:
        try:
            values.append(kinds.read(text, parameter))
        except errors.UsageError as error:
            problems.extend(f"{place}: {problem}" for problem in error.problems)
    problems.extend(f"{place}: {twice} is given twice; write it once" for twice in _twice(values))
    if problems:
        raise errors.UsageError(*problems)
    return tuple(values)


def _twice(values: Sequence[kinds.Value]) -> list[str]:
    named = kinds.Node | kinds.Replica
    names = sorted(value.id if isinstance(value, named) else str(value) for value in values)
    pairs = itertools.pairwise(names)
    return [units.shown(name) for name in dict.fromkeys(a for a, b in pairs if a == b)]


def _split(text: str) -> list[str]:
    return [part for part in re.split(r"[,\s]+", text) if part] or [""]


def _unknown_variables(
    contract: promise.Contract, variables: environment.Environment
) -> Iterator[str]:
    known = {contract.variable(parameter) for parameter in contract.parameters} - {None}
    names = [name for name in known if name is not None]
    for name in sorted(variables):
        if not name.startswith(contract.prefix) or name in known:
            continue
        if _is_injected(contract, name, variables[name]):
            continue
        near = nearest.nearest(name, names)
        hint = f"did you mean {near}?" if near else "unset it"
        yield f"{units.shown(name)}: is no variable of {contract.component}; {hint}"


def _is_injected(contract: promise.Contract, name: str, value: str) -> bool:
    """Return whether Kubernetes sets this variable for a Service that is named like us."""
    rest = name.removeprefix(contract.prefix)
    if _SERVICE_VARIABLE.fullmatch(rest):
        return True
    return f"_{rest}".endswith("_PORT") and _SERVICE_URL.match(value) is not None
