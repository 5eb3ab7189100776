"""Leave the terminal, with what is listened on bound before: what twemproxy's -d, -o and -p ask."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside.base import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BACKLOG = 4096
FIRST_PASSED = 3
"""The descriptor of the first socket that is passed on, as systemd has it."""
SERVES = b"\0"
"""What the next program writes at the descriptor that `leave` returns, when it serves."""
_WHY_BYTES_MAX = 65_536
_NO_REASON = "it ended before it served; its log (-o) says why"
_NUMBER_BYTES_MAX = 20


@dataclass(frozen=True, slots=True)
class Address:
    """What is to be listened on, as `HOST:PORT`, an IPv6 host in brackets."""

    name: str
    """Of the socket, where it is passed on."""
    text: str
    of_host: str
    """Where its host is written: a line of a file, or a flag."""
    of_port: str


def check(addresses: Sequence[Address]) -> None:
    """Do nothing where all addresses can be listened on; nobody who connects meanwhile is let in.

    Raises:
        errors.AddressTakenError, errors.UsageError: as `bind`.
    """
    with contextlib.ExitStack() as bound:
        for one in addresses:
            bound.enter_context(_bound(one))


def bind(addresses: Sequence[Address]) -> list[socket.socket]:
    """Return the listening sockets of addresses, in their order.

    Raises:
        errors.AddressTakenError: one is taken.
        errors.UsageError: one is no address of this machine, or not allowed.
    """
    with contextlib.ExitStack() as unwanted:
        made = [unwanted.enter_context(_bound(one, listens=True)) for one in addresses]
        unwanted.pop_all()
    return made


def check_path(path: str, place: str) -> None:
    """Do nothing where a UNIX socket can be made, or one that nobody serves be replaced.

    Args:
        path: of the socket.
        place: where it is written.

    Raises:
        errors.AddressTakenError: somebody serves it.
        errors.UsageError: there is another file, or no folder that can be written.
    """
    folder = os.path.dirname(path)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise errors.UsageError(
            f"{place}: {folder} is no folder that this user may write; make it, or choose another"
        )
    if not os.path.lexists(path):
        return
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise errors.UsageError(f"{place}: {path} is no socket; remove it or choose another path")
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        probe.connect(path)
        raise errors.AddressTakenError(
            f"{place}: somebody serves {path}; choose another path or stop its owner"
        )


def leave(*, count: int, shown: Callable[[str], str] = str) -> int:
    """Go on in the background, in a session of its own; the process that was called waits.

    Args:
        count: of the sockets that are passed on: what is returned is none of their descriptors.
        shown: turns a line that says why into what the terminal is told.

    Returns:
        A descriptor, which the next program inherits: the process that was called ends with 0 when
        `SERVES` is written there, and with 1 when it is closed before; what is written before that
        is why.

    Raises:
        errors.PermanentError: there is no room for another process.
    """
    told, tells = os.pipe()
    if _fork():
        os.close(tells)
        why = _told(told)
        is_told = why is None
        if why is not None:
            lines = [shown(line) for line in why.splitlines()] or [_NO_REASON]
            os.write(2, "".join(f"nutcracker: {line}\n" for line in lines).encode())
        # os._exit: what Python does at its end is the child's.
        os._exit(int(errors.ExitCode.DONE if is_told else errors.ExitCode.FAILED))
    os.close(told)
    os.setsid()
    # The second child leads no session, so that no terminal becomes its own by being opened.
    if _fork():
        os._exit(int(errors.ExitCode.DONE))
    return _beyond(tells, count)


def _told(pipe: int) -> str | None:
    """Return why the next program does not serve, which may be nothing; None when it serves."""
    told = b""
    while part := os.read(pipe, _WHY_BYTES_MAX):
        if SERVES in part:
            return None
        told = (told + part)[:_WHY_BYTES_MAX]
    return told.decode(errors="replace")


def let_go(log: int | None) -> None:
    """Let go of the terminal: stdin and stdout are nothing any more, stderr is a log or nothing."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard, target in ((0, nowhere), (1, nowhere), (2, nowhere if log is None else log)):
        os.dup2(target, standard)


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


def hold(path: str, *, count: int) -> int:
    """Return a descriptor of a file that no other process of ours holds; what is in it stays.

    The hold is this process's, whatever program it becomes, and of none that it starts: it ends
    when the process ends, or closes any descriptor of the file.

    Args:
        path: the file; made where it is not there.
        count: of the sockets that are passed on: it is none of their descriptors.

    Raises:
        errors.UsageError: it cannot be written, or another process holds it.
    """
    while True:
        held = _held(path, count)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(held), os.stat(path)):
                return held
        os.close(held)  # who held it before took the file away in that moment


def _held(path: str, count: int) -> int:
    try:
        made = _beyond(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), count)
    except OSError as error:
        raise _refused("-p", path, error) from error
    with contextlib.ExitStack() as unwanted:
        unwanted.callback(os.close, made)
        try:
            fcntl.lockf(made, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            number = os.read(made, _NUMBER_BYTES_MAX).decode("ascii", "replace").strip()
            raise errors.UsageError(
                f"-p: {path} is the file of process {number}, which runs; stop that one or name "
                "another file"
            ) from error
        except OSError as error:
            raise _refused("-p", path, error) from error
        unwanted.pop_all()
    return made


def write_number(held: int) -> None:
    """Write this process's number into a file that is held, in the place of what is there.

    Raises:
        errors.PermanentError: the disk is full.
    """
    try:
        os.ftruncate(held, 0)
        os.pwrite(held, str(os.getpid()).encode("ascii"), 0)
    except OSError as error:
        raise errors.PermanentError(
            f"-p: cannot write the process's number: {error.strerror}; make room, or name another "
            "file"
        ) from error


def passed_on(names: Sequence[str], sockets: Sequence[socket.socket]) -> dict[str, str]:
    """Put sockets where the next program looks for them; return the variables that tell it.

    Args:
        names: of the sockets.
        sockets: listening; they are passed on from descriptor 3 on, whatever was there.
    """
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


def _beyond(descriptor: int, count: int) -> int:
    """Move a descriptor behind those of sockets that are passed on, and let it be inherited."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD, FIRST_PASSED + count)
    os.close(descriptor)
    return moved


def _refused(flag: str, path: str, error: OSError) -> errors.UsageError:
    return errors.UsageError(f"{flag}: cannot write {path}: {error.strerror}; name another file")


def _bound(address: Address, *, listens: bool = False) -> socket.socket:
    host, _, port = address.text.rpartition(":")
    try:
        [(family, *_, where), *_] = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        with contextlib.ExitStack() as unwanted:
            made = unwanted.enter_context(socket.socket(family, socket.SOCK_STREAM))
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(where)
            if listens:
                made.listen(BACKLOG)
            unwanted.pop_all()
    except socket.gaierror as error:
        raise errors.UsageError(
            f"{address.of_host}: {host} is not found; write an address of this machine"
        ) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise errors.AddressTakenError(
                f"{address.of_port}: {address.text} is taken; choose another port or stop its owner"
            ) from error
        raise errors.UsageError(
            f"{address.of_host}: cannot listen on {address.text}: {error.strerror}; choose an "
            "address of this machine"
        ) from error
    return made


def _fork() -> int:
    """Go on twice; return the child's number, and 0 in the child."""
    try:
        return os.fork()
    except OSError as error:
        raise errors.PermanentError(
            f"cannot start a process: {error.strerror}; end some, or raise the limit"
        ) from error
