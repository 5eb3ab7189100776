"""Leave the terminal, with what is listened on bound before: what twemproxy's -d, -o and -p ask."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from typing import TYPE_CHECKING

from alongside.base import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alongside import document

BACKLOG = 4096
FIRST_PASSED = 3
"""The descriptor of the first socket that is passed on, as systemd has it."""


def bind(listeners: Sequence[document.Listener]) -> list[socket.socket]:
    """Return the listening sockets of listeners, in their order.

    Raises:
        errors.AddressTakenError: one is taken.
        errors.UsageError: one is no address of this machine, or not allowed.
    """
    with contextlib.ExitStack() as unwanted:
        made = [unwanted.enter_context(_bound(one.name, one.address)) for one in listeners]
        unwanted.pop_all()
    return made


def leave(
    names: Sequence[str], sockets: Sequence[socket.socket], log: int | None
) -> dict[str, str]:
    """Go on in the background, in a session of its own; the process that was called ends with 0.

    Args:
        names: of the sockets.
        sockets: listening; they are passed on from descriptor 3 on.
        log: where stderr goes; None for nowhere.

    Returns:
        The variables that tell the next program of the sockets.

    Raises:
        errors.PermanentError: there is no room for another process.
    """
    _fork()
    os.setsid()
    # The second child leads no session, so that no terminal becomes its own by being opened.
    _fork()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard, target in ((0, nowhere), (1, nowhere), (2, nowhere if log is None else log)):
        os.dup2(target, standard)
    return _passed(names, sockets)


def open_log(path: str) -> int:
    """Return a descriptor that adds to a file, made where it is not there.

    Raises:
        errors.UsageError: it cannot be written.
    """
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _refused("-o", path, error) from error


def write_to(log: int) -> None:
    """Let stderr go to a descriptor."""
    os.dup2(log, 2)


def write_pid(path: str) -> None:
    """Write this process's number into a file; it stays there when the process has ended.

    Raises:
        errors.UsageError: it cannot be written.
    """
    try:
        with open(path, "w", encoding="ascii") as stream:
            stream.write(str(os.getpid()))
    except OSError as error:
        raise _refused("-p", path, error) from error


def check_writable(flag: str, path: str) -> None:
    """Do nothing where a file can be written.

    Raises:
        errors.UsageError: it cannot.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    except OSError as error:
        raise _refused(flag, path, error) from error


def _refused(flag: str, path: str, error: OSError) -> errors.UsageError:
    return errors.UsageError(f"{flag}: cannot write {path}: {error.strerror}; name another file")


def _bound(name: str, address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    try:
        [(family, *_, where), *_] = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        with contextlib.ExitStack() as unwanted:
            made = unwanted.enter_context(socket.socket(family, socket.SOCK_STREAM))
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(where)
            made.listen(BACKLOG)
            unwanted.pop_all()
    except socket.gaierror as error:
        raise errors.UsageError(
            f"{name}.listen: {host} is not found; write an address of this machine"
        ) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise errors.AddressTakenError(
                f"{name}.listen: {address} is taken; choose another port or stop its owner"
            ) from error
        raise errors.UsageError(
            f"{name}.listen: cannot listen on {address}: {error.strerror}; choose an address of "
            "this machine"
        ) from error
    return made


def _fork() -> None:
    """Go on in a child; the parent ends."""
    try:
        child = os.fork()
    except OSError as error:
        raise errors.PermanentError(
            f"cannot start a process: {error.strerror}; end some, or raise the limit"
        ) from error
    if child:
        os._exit(int(errors.ExitCode.DONE))


def _passed(names: Sequence[str], sockets: Sequence[socket.socket]) -> dict[str, str]:
    if not sockets:
        return {}
    beyond = FIRST_PASSED + len(sockets)
    high = [fcntl.fcntl(one.fileno(), fcntl.F_DUPFD_CLOEXEC, beyond) for one in sockets]
    for one in sockets:
        os.close(one.detach())  # its number may be one of those that are passed
    for at, descriptor in enumerate(high):
        os.dup2(descriptor, FIRST_PASSED + at, inheritable=True)
    # A colon parts names; a socket without its name is found by its address.
    told = ":".join("" if ":" in name else name for name in names)
    # Nobody but the next program has them: what it serves no longer is to be closed.
    return {"LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": told, "LISTEN_GIVER": "gone"}
