"""The words a contract is written in: parameters, ports, routes, files, signals, failures."""

from __future__ import annotations

import dataclasses
from enum import Enum


class Kind(Enum):
    """The type of a parameter's value; the word stands in help and on the page."""

    TEXT = "text"
    INTEGER = "integer"
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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One thing that a user may set, by flag or by environment variable.

    Every value is text as the user writes it, with its unit: `default="256Mi"`.
    """

    name: str
    """Words joined by `_`; the flag is `--head-max`, the variable `ROUTE_HEAD_MAX`."""
    kind: Kind
    description: str
    """One sentence, from a small letter to no full stop, as help shows it."""
    example: str
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

    @property
    def flag(self) -> str:
        """Return the name on the command line."""
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


@dataclasses.dataclass(frozen=True, slots=True)
class Port:
    """A socket the component opens."""

    name: str
    parameter: str
    protocol: str
    description: str


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """An HTTP call the component itself answers."""

    door: str
    method: str
    path: str
    description: str


@dataclasses.dataclass(frozen=True, slots=True)
class File:
    """A file the component reads or writes."""

    path: str
    access: str
    description: str


@dataclasses.dataclass(frozen=True, slots=True)
class Signal:
    """A signal and what it makes the component do."""

    name: str
    effect: str


@dataclasses.dataclass(frozen=True, slots=True)
class Exit:
    """An exit code and when the component ends with it."""

    code: int
    meaning: str


@dataclasses.dataclass(frozen=True, slots=True)
class Metric:
    """A metric as the status door shows it."""

    name: str
    type: str
    labels: tuple[str, ...]
    description: str


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """One line of the failure table: a fault, what the component does, who sees what."""

    fault: str
    effect: str
    seen: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """Everything a component promises to those who run and call it."""

    component: str
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

    @property
    def prefix(self) -> str:
        """Return what the names of its environment variables begin with: `ROUTE_`."""
        return self.component.upper().replace("-", "_") + "_"

    def variable(self, parameter: Parameter) -> str | None:
        """Return the environment variable of a parameter; None where it has none."""
        return None if parameter.is_argument else self.prefix + parameter.name.upper()

    def parameter(self, name: str) -> Parameter:
        """Return the parameter of that name; raise KeyError where there is none."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise KeyError(name)
