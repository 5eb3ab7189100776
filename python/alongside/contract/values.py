"""Resolve a contract's parameters: flag over variable over file over default."""

from __future__ import annotations

import dataclasses
import itertools
import re
from typing import TYPE_CHECKING, Literal, TypeVar

from alongside.base import errors, log, units
from alongside.contract import filed, flags, kinds, promise, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from alongside.base import environment

    Read = Callable[[str, promise.Parameter], kinds.Value]

Source = Literal["flag", "environment", "file", "default", "unset"]
REPEATS_MAX = 4096
"""More values of one repeated parameter are refused."""

_Wanted = TypeVar("_Wanted", str, int, float, kinds.Node, kinds.Replica)


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """What one parameter came to: its values (none where unset), and from where."""

    parameter: promise.Parameter
    values: tuple[kinds.Value, ...]
    source: Source
    place: str
    """The flag, the variable, or the line of the file that said so; empty where nobody did."""
    warning: str = ""
    """What to change, where the name it was set by goes one day."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Name:
    """One way to set a parameter: a flag or a variable, its own or an alias."""

    text: str
    parameter: promise.Parameter
    """With the unit that a bare number has under this name."""
    deprecated: promise.Deprecation | None


class Values:
    """The checked values of one contract, by parameter name and type.

    Asking for an unknown name raises KeyError, for a wrong type or an unset value TypeError:
    both are mistakes of the code, never of a user. Where `problems` is not empty, asking for what
    they are about raises UsageError with them.
    """

    def __init__(
        self,
        contract: promise.Contract,
        settings: Mapping[str, Setting],
        wrong: Mapping[str, Sequence[str]] | None = None,
        problems: Sequence[str] = (),
    ) -> None:
        """Take the settings by parameter name, in the contract's order; see `look` for mistakes."""
        self.contract = contract
        self.problems = tuple(problems)
        self._settings = dict(settings)
        self._wrong = dict(wrong or {})

    def is_set(self, name: str) -> bool:
        """Return whether the parameter has a value, given or by default."""
        return bool(self._setting(name).values)

    def source(self, name: str) -> Source:
        """Return where the value came from."""
        return self._setting(name).source

    def place(self, name: str) -> str:
        """Return where its user set it: `--memory`, `CACHE_MEMORY`, `cache.yaml:3: memory`.

        Where nobody did, the flag is named, with which it can be set.
        """
        return self._setting(name).place or self._setting(name).parameter.flag

    def warnings(self) -> tuple[str, ...]:
        """Return a line for each name in use that goes one day."""
        return tuple(one.warning for one in self._settings.values() if one.warning)

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
        return any(value is True for value in self._setting(name).values)

    def nodes(self, name: str) -> tuple[kinds.Node, ...]:
        """Return the nodes of a repeated parameter in the given order."""
        return self._all(name, kinds.Node)

    def replicas(self, name: str) -> tuple[kinds.Replica, ...]:
        """Return the further nodes of shards, in the given order; empty where unset."""
        return self._all(name, kinds.Replica)

    def effective(self) -> dict[str, object]:
        """Return every parameter as its user would write it, units included, secrets masked."""
        return dict(self._effective())

    def shown(self) -> dict[str, tuple[str, ...]]:
        """Return the same as texts: none where a parameter is not set."""
        return {name: _shown(setting) for name, setting in self._settings.items()}

    def _effective(self) -> Iterator[tuple[str, object]]:
        for name, setting in self._settings.items():
            texts = _shown(setting)
            if setting.parameter.is_repeated:
                yield name, list(texts)
            else:
                yield name, texts[0] if texts else None

    def _one(self, name: str, wanted: type[_Wanted]) -> _Wanted:
        found = self._all(name, wanted)
        if len(found) != 1:
            raise TypeError(f"parameter {name} holds {len(found)} values, not one")
        return found[0]

    def _all(self, name: str, wanted: type[_Wanted]) -> tuple[_Wanted, ...]:
        found = self._setting(name).values
        if not all(isinstance(value, wanted) for value in found):
            raise TypeError(f"parameter {name} is {self._setting(name).parameter.kind.value}")
        return tuple(value for value in found if isinstance(value, wanted))

    def _setting(self, name: str) -> Setting:
        if name in self._wrong:
            raise errors.UsageError(*self._wrong[name])
        return self._settings[name]


def _shown(setting: Setting) -> tuple[str, ...]:
    if setting.parameter.is_secret and setting.values:
        return (log.MASK,)
    return tuple(kinds.shown(value, setting.parameter) for value in setting.values)


def gather(
    contract: promise.Contract, words: Sequence[str], variables: environment.Environment
) -> Values:
    """Return the values of a contract's parameters from a command line and its surroundings.

    Args:
        contract: the parameters and their names; one of them may name a file of values.
        words: the words after the command's name.
        variables: the whole environment.

    Raises:
        errors.UsageError: every mistake at once, each with its place and a remedy.
    """
    return _right(look(contract, words, variables))


def look(
    contract: promise.Contract, words: Sequence[str], variables: environment.Environment
) -> Values:
    """Return the same, whatever is wrong with it: what is right can be looked at further.

    The mistakes are its `problems`. Names that nobody knows keep no value from being asked for.
    """
    given = flags.read(contract, words)
    said = _Given(given.texts, variables, filed.NONE)
    return _looked(contract, given, variables, _file(contract, said))


def _right(found: Values) -> Values:
    if found.problems:
        raise errors.UsageError(*found.problems)
    return found


def _file(contract: promise.Contract, said: _Given) -> filed.Filed:
    if promise.PARAMETERS_FILE not in contract.parameters:
        return filed.NONE
    try:
        setting = _setting(contract, promise.PARAMETERS_FILE, said)
    except errors.UsageError:
        return filed.NONE  # `resolve` comes upon it too, and says so with all the rest
    if not setting.values:
        return filed.NONE
    return filed.read(contract, str(setting.values[0]), setting.place)


def resolve(
    contract: promise.Contract,
    given: flags.Flags,
    variables: environment.Environment,
    file: filed.Filed = filed.NONE,
    *,
    read: Read = kinds.read,
) -> Values:
    """Return the values of a contract's parameters: flag over variable over file over default.

    A wrong value is a mistake also where a stronger source says another.

    Args:
        contract: the parameters and their names.
        given: what the command line said; its mistakes are reported with the others.
        variables: the whole environment; variables with the contract's prefix that no parameter
            owns are refused, but for those Kubernetes injects for a Service of that name.
        file: what a file of values said, likewise.
        read: says what a text means for a parameter; by default as our own components read it.

    Raises:
        errors.UsageError: every mistake at once, each with its place and a remedy.
    """
    return _right(_looked(contract, given, variables, file, read))


def _looked(
    contract: promise.Contract,
    given: flags.Flags,
    variables: environment.Environment,
    file: filed.Filed,
    read: Read = kinds.read,
) -> Values:
    settings: dict[str, Setting] = {}
    wrong: dict[str, Sequence[str]] = {}
    said = _Given(given.texts, variables, file, read)
    for parameter in contract.parameters:
        try:
            settings[parameter.name] = _setting(contract, parameter, said)
        except errors.UsageError as error:
            wrong[parameter.name] = error.problems
    names = [name.text for p in contract.parameters for name in _variable_names(contract, p)]
    of_names = unknown.problems(contract, names, variables)
    of_values = itertools.chain.from_iterable(wrong.values())
    problems = [*given.problems, *file.problems, *of_values, *of_names]
    return Values(contract, settings, wrong, problems)


@dataclasses.dataclass(frozen=True, slots=True)
class _Given:
    """Everything that was said, by the names it was said under."""

    texts_by_flag: Mapping[str, Sequence[str]]
    variables: environment.Environment
    file: filed.Filed
    read: Read = kinds.read

    def flag(self, name: str) -> Sequence[str] | None:
        return self.texts_by_flag.get(name)

    def variable(self, name: str) -> str | None:
        text = self.variables.get(name)
        return None if text is None or unknown.is_service_url(name, text) else text


def _setting(contract: promise.Contract, parameter: promise.Parameter, said: _Given) -> Setting:
    """Return what a parameter comes to, after every source was checked, also the weaker ones."""
    chosen: list[Setting] = []
    problems: list[str] = []
    for source, found in _sources(contract, parameter, said):
        given = [(name, words) for name, words in found if words is not None]
        try:
            chosen += [_chosen(given, source, said.read)] if given else []
        except errors.UsageError as error:
            problems.extend(error.problems)
    if problems:
        raise errors.UsageError(*problems)
    if chosen:
        return chosen[0]
    if parameter.default is not None:
        words = _split(parameter, parameter.default) or []
        return Setting(parameter, _read_all(words, parameter, "default", said.read), "default", "")
    if parameter.is_required:
        raise errors.UsageError(_missing(parameter, contract.variable(parameter)))
    return Setting(parameter, (), "unset", "")


def _sources(
    contract: promise.Contract, parameter: promise.Parameter, said: _Given
) -> Iterator[tuple[Source, list[tuple[_Name, Sequence[str] | None]]]]:
    """Yield what each source says under each name, the strongest source first."""
    flag_names = list(_flag_names(parameter))
    variables = _variable_names(contract, parameter)
    yield "flag", [(name, said.flag(name.text)) for name in flag_names]
    split = [(name, _split(name.parameter, said.variable(name.text))) for name in variables]
    yield "environment", list(split)
    yield "file", [_line(name, said.file) for name in flag_names]


def _chosen(given: Sequence[tuple[_Name, Sequence[str]]], source: Source, read: Read) -> Setting:
    name, words = given[0]
    if len(given) > 1:
        both = " and ".join(one.text for one, _ in given)
        raise errors.UsageError(f"{both}: are one parameter; keep {name.text} alone")
    values = _read_all(words, name.parameter, name.text, read)
    return Setting(name.parameter, values, source, name.text, _warning(name))


def _warning(name: _Name) -> str:
    if name.deprecated is None:
        return ""
    instead = name.deprecated.instead
    remedy = f"write {instead} instead" if instead else "nothing takes its place"
    return f"{name.text}: goes with version {name.deprecated.until}; {remedy}"


def _missing(parameter: promise.Parameter, variable: str | None) -> str:
    remedy = f"write {parameter.flag} {parameter.example}" if parameter.flag else ""
    if parameter.is_argument:
        remedy = f"write for example {parameter.example}"
    ways = [remedy, f"set {variable}" if variable else ""]
    place = parameter.flag or variable or parameter.name
    return f"{place}: is missing; {' or '.join(filter(None, ways))}"


def _flag_names(parameter: promise.Parameter) -> Iterator[_Name]:
    if parameter.flag:
        yield _Name(parameter.flag, parameter, parameter.deprecated)
    yield from (_alias(parameter, alias) for alias in parameter.aliases if alias.is_flag)


def _variable_names(contract: promise.Contract, parameter: promise.Parameter) -> Iterator[_Name]:
    variable = contract.variable(parameter)
    if variable:
        yield _Name(variable, parameter, parameter.deprecated)
    yield from (_alias(parameter, alias) for alias in parameter.aliases if not alias.is_flag)


def _line(name: _Name, file: filed.Filed) -> tuple[_Name, Sequence[str] | None]:
    line = file.lines.get(filed.key_of(name.text))
    if line is None:
        return name, None
    return dataclasses.replace(name, text=line.place), line.texts


def _alias(parameter: promise.Parameter, alias: promise.Alias) -> _Name:
    renamed = dataclasses.replace(parameter, unit=alias.unit or parameter.unit)
    return _Name(alias.name, renamed, alias.deprecated or parameter.deprecated)


def _read_all(
    texts: Sequence[str], parameter: promise.Parameter, place: str, read: Read
) -> tuple[kinds.Value, ...]:
    if len(texts) > 1 and not parameter.is_repeated:
        raise errors.UsageError(f"{place}: is given {len(texts)} times; write it once")
    if len(texts) > REPEATS_MAX:
        raise errors.UsageError(f"{place}: is given {len(texts)} times; at most {REPEATS_MAX}")
    problems: list[str] = []
    values: list[kinds.Value] = []
    for text in texts:
        try:
            values.append(read(text, parameter))
        except errors.UsageError as error:
            told = [_HIDDEN] if parameter.is_secret and text else error.problems
            problems.extend(f"{place}: {problem}" for problem in told)
    twice = dict.fromkeys("a value" if parameter.is_secret else one for one in _twice(values))
    problems.extend(f"{place}: {one} is given twice; write it once" for one in twice)
    if problems:
        raise errors.UsageError(*problems)
    return tuple(values)


_HIDDEN = "is not of its kind or out of its range, and not shown; the page of its contract says"


def _twice(values: Sequence[kinds.Value]) -> list[str]:
    named = kinds.Node | kinds.Replica
    names = sorted(value.id if isinstance(value, named) else str(value) for value in values)
    pairs = itertools.pairwise(names)
    return [units.shown(name) for name in dict.fromkeys(a for a, b in pairs if a == b)]


def _split(parameter: promise.Parameter, text: str | None) -> list[str] | None:
    if text is None or not parameter.is_repeated:
        return None if text is None else [text]
    return [part for part in re.split(r"[,\s]+", text) if part] or [""]
