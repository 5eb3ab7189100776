"""Start a program in a session of its own, with its sockets from descriptor 3 up.

`posix_spawn` is used, so no Python runs between fork and exec. The number of sockets is told by
LISTEN_FDS and their names by LISTEN_FDNAMES; LISTEN_PID is left out, since the pid is not known
before, and a reader of ours accepts that.
"""

from __future__ import annotations

import fcntl
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.engines.processes import groups

if TYPE_CHECKING:
    from pathlib import Path

FIRST_DESCRIPTOR = 3
_ABOVE = 200
"""Where descriptors are copied to first, so that none is overwritten before it was passed on."""
_ENTER = 'cd -- "$0" && exec "$@"'
"""posix_spawn cannot change the folder; the shell does it and becomes the program."""

_DEFAULT_SIGNALS = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGHUP, signal.SIGTERM)
"""Python ignores the first two, and a shell may have ignored others; a child expects neither."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to start: its words, whole environment, folder, log file and named sockets."""

    argv: tuple[str, ...]
    environment: dict[str, str]
    directory: str | None
    log: Path
    sockets: tuple[tuple[str, int], ...] = ()


def spawn(program: Program) -> int:
    """Start a program and return its pid, which is also its session and group.

    It is held (`groups.hold`), for its owner to release when nothing of its group is left.

    Raises:
        errors.PermanentError: there is no such program, or the log cannot be written.
    """
    argv = list(program.argv)
    if program.directory is not None:
        argv = ["/bin/sh", "-c", _ENTER, program.directory, *argv]
    environment = dict(program.environment)
    if program.sockets:
        environment["LISTEN_FDS"] = str(len(program.sockets))
        environment["LISTEN_FDNAMES"] = ":".join(name for name, _ in program.sockets)
    opened: list[int] = []
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        log = _high(os.open(program.log, flags, 0o600), opened)
        null = _high(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), opened)
        actions: list[tuple[int, int, int]] = [
            (os.POSIX_SPAWN_DUP2, null, 0),
            (os.POSIX_SPAWN_DUP2, log, 1),
            (os.POSIX_SPAWN_DUP2, log, 2),
        ]
        for at, (_, descriptor) in enumerate(program.sockets):
            copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _ABOVE)
            opened.append(copy)
            actions.append((os.POSIX_SPAWN_DUP2, copy, FIRST_DESCRIPTOR + at))
        pid = os.posix_spawnp(
            argv[0],
            argv,
            environment,
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=_DEFAULT_SIGNALS,
        )
    except OSError as error:
        raise errors.PermanentError(
            f"cannot start {argv[0]}: {error.strerror}; check the command and PATH"
        ) from error
    finally:
        for descriptor in opened:
            os.close(descriptor)
    groups.hold(pid)
    return pid


def _high(descriptor: int, opened: list[int]) -> int:
    copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _ABOVE)
    os.close(descriptor)
    opened.append(copy)
    return copy
