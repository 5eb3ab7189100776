"""Let one data-plane process of a project be the balancer of its Services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from alongside.base import clock, log


@dataclass(frozen=True, slots=True)
class Setting:
    """What a project's balancer is started with."""

    project: str
    home: Path
    """The project's state folder: the mark by which its processes are found."""
    folder: Path
    """For its document and its admin door: short, since sockets' paths are bounded; there."""
    log: Path
    """Where its output goes."""
    binary: Path
    """The data plane's."""
    environment: Mapping[str, str]
    prefix: tuple[str, ...] = ()
    """Words before the binary: it ends as the binary, under the same pid (`nsenter ... --`)."""


@dataclass(frozen=True, slots=True, eq=False)
class Door:
    """An address at which connections come in."""

    address: str
    """HOST:PORT."""
    socket: socket.socket | None = None
    """Listening there, and the balancer's from now on: it closes it when no front has it any more.
    None lets the balancer's process bind the address itself."""


@dataclass(frozen=True, slots=True)
class Front:
    """One port of a Service as it is to answer."""

    name: str
    """Unique: 1 to 255 visible ASCII characters, such as `web:80`."""
    doors: tuple[Door, ...]
    backends: tuple[str, ...]
    """HOST:PORT; where there is none, connections are reset."""


class Balancer:
    """That process over all its restarts; no process as long as there is no front."""

    def __init__(self, setting: Setting, clock_: clock.Clock, log_: log.Log | None = None) -> None:
        """Take what it is started with; nothing starts yet."""
        raise NotImplementedError

    @property
    def identity(self) -> str:
        """The pid of the process in charge; empty where none runs."""
        raise NotImplementedError

    async def put(self, fronts: Sequence[Front]) -> None:
        """Let these fronts answer from now on, and no others; returns when they do.

        Connections that exist stay, also with a process that was succeeded.

        Raises:
            errors.AlongsideError: the process does not take them; those before go on.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """End it and close the sockets."""
        raise NotImplementedError
