"""The words a contract is written in: parameters, ports, routes, files, signals, failures.

They serve our own components, whose contracts stand in the catalogue, and any other container,
whose contract is a file (`written`). Everything that another program or person may rely on has a
place here, so that `compare` can tell when it changes.
"""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import ClassVar


def written_name(name: str) -> str:
    """Return how a field of these classes is called in a contract's file."""
    return _WRITTEN_NAMES.get(name, name.removeprefix("is_"))


_WRITTEN_NAMES = {
    "kind": "type",
    "own_flag": "flag",
    "own_variable": "variable",
    "own_prefix": "prefix",
}


class Kind(Enum):
    """The type of a parameter's value; the word stands in help and on the page."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DURATION = "duration"
    SIZE = "size"
    ADDRESS = "address"
    PORT = "port"
    URL = "url"
    PATH = "path"
    CHOICE = "choice"
    CIDR = "cidr"
    NODE = "node"
    REPLICA = "replica"


WRITTEN = {"extra": "forbid", "alias_generator": written_name}
"""How pydantic reads and writes these classes (`written`); a dict, so that nobody else loads it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Deprecation:
    """That something goes, when, and what stands in its place."""

    __pydantic_config__: ClassVar = WRITTEN
    since: str
    """The version that said so first, such as `1.2`."""
    until: str
    """The first version that may be without it."""
    instead: str = ""
    """What to use from now on; empty where nothing takes its place."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """Another name of a parameter, which means the same; never two of them may be set."""

    __pydantic_config__: ClassVar = WRITTEN
    name: str
    """As the user writes it: a flag (`--branch`) or a variable (`PROXY_PORT`)."""
    unit: str = ""
    """What a bare number counts under this name alone: an old name keeps its unit for ever."""
    deprecated: Deprecation | None = None

    @property
    def is_flag(self) -> bool:
        """Return whether it is a flag, not a variable."""
        return self.name.startswith("-")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One thing that a user may set, by flag, by environment variable or in a file.

    Every value is text as the user writes it, with its unit: `default="256Mi"`.
    """

    __pydantic_config__: ClassVar = WRITTEN
    name: str
    """Words joined by `_`; the flag is `--head-max`, the variable `ROUTE_HEAD_MAX`."""
    kind: Kind
    description: str
    """One sentence, from a small letter to no full stop, as help shows it."""
    example: str
    unit: str = ""
    """What a bare number counts: `s`, `ms`, `B`, `Mi`, `%`. Empty where it counts things, or where
    it is refused because durations and sizes carry their unit."""
    default: str | None = None
    unset: str = ""
    """What it means not to be set, where it has no default: `no limit`."""
    is_required: bool = False
    is_repeated: bool = False
    is_secret: bool = False
    is_argument: bool = False
    """Given without a flag, by position; such a parameter has no variable."""
    minimum: str | None = None
    maximum: str | None = None
    """Both inclusive, in the notation of the kind; of an address its port, of a text its bytes."""
    choices: tuple[str, ...] = ()
    """The words of a choice; the schemes of a URL."""
    group: str = "Parameters"
    aliases: tuple[Alias, ...] = ()
    since: str = ""
    """The version that brought it; empty for the first."""
    deprecated: Deprecation | None = None
    own_flag: str | None = None
    """The flag, where it is not the derived one: `-wait`; empty where there is none."""
    own_variable: str | None = None
    """The variable, where it is not the derived one: `PGDATA`; empty where there is none."""

    @property
    def flag(self) -> str:
        """Return the name on the command line; empty where it has none."""
        if self.own_flag is not None:
            return self.own_flag
        dashed = self.name.replace("_", "-")
        return dashed.upper() if self.is_argument else f"--{dashed}"

    @property
    def bounds(self) -> str:
        """Return the bounds as words: `1 to 64`, `1Mi or more`; empty where there are none."""
        match self.minimum, self.maximum:
            case None, None:
                return ""
            case minimum, None:
                return f"{minimum} or more"
            case None, maximum:
                return f"at most {maximum}"
            case minimum, maximum:
                return f"{minimum} to {maximum}"


PARAMETERS_FILE = Parameter(
    name="parameters",
    kind=Kind.PATH,
    description="YAML file of parameters, named like flags without dashes: `memory: 256Mi`",
    example="/etc/alongside/cache.yaml",
    unset="no file is read",
)
"""The parameter that names a file with values of all others, in every component that has one."""


@dataclasses.dataclass(frozen=True, slots=True)
class Port:
    """A socket the component opens."""

    __pydantic_config__: ClassVar = WRITTEN
    name: str
    parameter: str
    """The parameter that sets its address; empty where none does."""
    protocol: str
    description: str
    number: int | None = None
    """The number that an image exposes; None where there is no usual one, or it is no TCP port."""


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """A status with which a call is answered, and what it tells the caller."""

    __pydantic_config__: ClassVar = WRITTEN
    status: int
    meaning: str


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """A part of an answer's body, by its path (`processes[].pid`), and its JSON type."""

    __pydantic_config__: ClassVar = WRITTEN
    path: str
    type: str
    unit: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """An HTTP call the component itself answers."""

    __pydantic_config__: ClassVar = WRITTEN
    door: str
    method: str
    path: str
    description: str
    answers: tuple[Answer, ...] = ()
    fields: tuple[Field, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class File:
    """A file the component reads or writes."""

    __pydantic_config__: ClassVar = WRITTEN
    path: str
    access: str
    """`reads`, `writes`, `makes, removes`."""
    description: str
    owner: str = ""
    """Whose it is, as `user:group`; empty for the user that the component runs as."""
    mode: str = ""
    """Its permission bits, as `0600`."""
    publication: str = ""
    """How a new version replaces the old one: `rename`, `in place`; empty where it is only read."""


@dataclasses.dataclass(frozen=True, slots=True)
class Volume:
    """A directory that is mounted from outside, or should be."""

    __pydantic_config__: ClassVar = WRITTEN
    path: str
    description: str
    is_required: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Privilege:
    """What the component needs of its surroundings beyond an ordinary process."""

    __pydantic_config__: ClassVar = WRITTEN
    name: str
    """`capability NET_BIND_SERVICE`, `get secrets`, `shareProcessNamespace`."""
    description: str


@dataclasses.dataclass(frozen=True, slots=True)
class Signal:
    """A signal and what it makes the component do."""

    __pydantic_config__: ClassVar = WRITTEN
    name: str
    effect: str


@dataclasses.dataclass(frozen=True, slots=True)
class Exit:
    """An exit code and when the component ends with it."""

    __pydantic_config__: ClassVar = WRITTEN
    code: int
    meaning: str


@dataclasses.dataclass(frozen=True, slots=True)
class Metric:
    """A metric as the status door shows it."""

    __pydantic_config__: ClassVar = WRITTEN
    name: str
    type: str
    labels: tuple[str, ...]
    description: str


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """One line of the failure table: a fault, what the component does, who sees what."""

    __pydantic_config__: ClassVar = WRITTEN
    fault: str
    effect: str
    seen: str


PRECEDENCE = ("flag", "variable", "file", "default")
"""Where a value may come from, the strongest first; ours are all alike."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """Everything a component promises to those who run and call it."""

    __pydantic_config__: ClassVar = WRITTEN
    component: str
    version: str = ""
    """The version that keeps this promise; empty for our own, which have the package's."""
    summary: str
    """One sentence without a full stop, for lists of commands."""
    promise: str
    """A paragraph or more: what may be relied upon, and what may not."""
    parameters: tuple[Parameter, ...]
    examples: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    routes: tuple[Route, ...] = ()
    files: tuple[File, ...] = ()
    signals: tuple[Signal, ...] = ()
    exits: tuple[Exit, ...] = ()
    metrics: tuple[Metric, ...] = ()
    failures: tuple[Failure, ...] = ()
    volumes: tuple[Volume, ...] = ()
    privileges: tuple[Privilege, ...] = ()
    user: str = ""
    """The user its image runs as, as `UID` or `UID:GID`; empty where it does not say."""
    precedence: tuple[str, ...] = PRECEDENCE
    questions: tuple[str, ...] = ()
    """What a draft could not find out, and a person has to answer."""
    own_prefix: str | None = None
    """What its variables begin with, where it is not the derived one; empty where they have nothing
    in common, so that an unknown one cannot be told from somebody else's."""

    @property
    def prefix(self) -> str:
        """Return what the names of its environment variables begin with: `ROUTE_`; may be empty."""
        if self.own_prefix is not None:
            return self.own_prefix
        return self.component.upper().replace("-", "_") + "_"

    def variable(self, parameter: Parameter) -> str | None:
        """Return the environment variable of a parameter; None where it has none."""
        if parameter.own_variable is not None:
            return parameter.own_variable or None
        return None if parameter.is_argument else self.prefix + parameter.name.upper()

    def parameter(self, name: str) -> Parameter:
        """Return the parameter of that name; raise KeyError where there is none."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise KeyError(name)


PARTS = (
    Contract,
    Parameter,
    Alias,
    Deprecation,
    Port,
    Route,
    Answer,
    Field,
    File,
    Volume,
    Privilege,
    Signal,
    Exit,
    Metric,
    Failure,
)
"""Every class that a contract is made of."""
