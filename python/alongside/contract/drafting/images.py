"""What is known of an image, whether from its Dockerfile or from its configuration."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Said:
    """A text, where it was said (`Dockerfile:12`), and the comment above it."""

    text: str
    place: str
    comment: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the environment that the image sets."""

    value: Said
    is_known: bool = True
    """Whether the value is what a builder would make of it."""
    arguments: tuple[str, ...] = ()
    """The build arguments in it that have no default: the value depends on the builder."""


@dataclasses.dataclass(frozen=True, slots=True)
class Exposed:
    """A port, or a range of them, that the image exposes."""

    first: int
    last: int
    protocol: str
    said: Said
    variables: tuple[str, ...] = ()
    """The variables that its number was taken from."""


@dataclasses.dataclass(frozen=True, slots=True)
class Command:
    """What an `ENTRYPOINT` or `CMD` runs: words, or one text for a shell."""

    words: tuple[str, ...]
    is_shell: bool
    place: str


@dataclasses.dataclass(frozen=True, slots=True)
class Health:
    """How an image says that it can be asked how it is."""

    command: str
    place: str


@dataclasses.dataclass(frozen=True, slots=True)
class Script:
    """A shell script that the image starts, and the number of its first line."""

    name: str
    text: str
    line: int = 1

    def place(self, line: int) -> str:
        """Return where a line of the script stands, counted from 0."""
        return f"{self.name}:{self.line + line}"


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """Everything of one image that a contract may speak of."""

    name: str
    """How messages call it: the file, or the image's name."""
    base: str
    """The image it is built on; `scratch` where it is empty, nothing where nobody says."""
    variables: dict[str, Variable]
    arguments: dict[str, Said]
    """Every build argument, with its default or nothing, so that its comment is found."""
    exposed: tuple[Exposed, ...]
    labels: dict[str, Said]
    user: Said | None
    volumes: tuple[Said, ...]
    stop_signal: Said | None
    health: Health | None
    entrypoint: Command | None
    command: Command | None
    scripts: tuple[Script, ...]
    triggers: tuple[Said, ...]
    """What it makes an image do that is built on it."""
    begun: str
    """Where a finding about the whole image stands: the last `FROM`, or its name."""
    maintainer: Said | None = None
    """A `MAINTAINER` line, which labels have replaced."""
    not_ports: tuple[Said, ...] = ()
    """What is exposed and is no port."""
