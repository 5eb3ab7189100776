"""Bind the listening sockets of a plan's processes, and say who holds an address that is taken."""

from __future__ import annotations

import contextlib
import errno
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import errors

if TYPE_CHECKING:
    from alongside.plan import shape

BACKLOG = 4096
"""Connections that wait while a process restarts; the kernel's own limit may be lower."""
_LISTEN_STATE = "0A"


@dataclass(slots=True)
class Sockets:
    """The sockets held for processes, kept while these come and go."""

    held: dict[str, tuple[shape.Socket, socket.socket]] = field(default_factory=dict)

    def address(self, process: str) -> str | None:
        """Return the address HOST:PORT at which a process is reached, or None."""
        if process not in self.held:
            return None
        wanted, bound = self.held[process]
        host = "127.0.0.1" if wanted.host == "0.0.0.0" else wanted.host  # noqa: S104 - compared
        return f"{host}:{bound.getsockname()[1]}"

    def addresses(self) -> dict[str, str]:
        """Return the bound address of each process, as its document names it."""
        return {
            name: f"{wanted.host}:{bound.getsockname()[1]}"
            for name, (wanted, bound) in self.held.items()
        }

    def prepare(self, plan: shape.Plan) -> Sockets:
        """Return the sockets for another plan: equal ones are shared, the others newly bound.

        Nothing of this object changes, so that a refused plan has touched nothing.

        Raises:
            errors.AddressTakenError: every address that is taken, by whom, and the remedy.
        """
        by_port = {
            (wanted.host, wanted.port): bound for wanted, bound in self.held.values() if wanted.port
        }
        prepared, taken = Sockets(), []
        for process in plan.processes:
            for wanted in process.sockets:
                held = self.held.get(process.name)
                bound = held[1] if held is not None and held[0] == wanted else None
                bound = bound or by_port.get((wanted.host, wanted.port))
                try:
                    prepared.held[process.name] = (wanted, bound or bind(wanted))
                except OSError as error:
                    place = plan.place(process.name, wanted.port)
                    what = f"{place}: {wanted.host}:{wanted.port}"
                    taken.append(refusal(what, wanted.port, error))
        if taken:
            prepared.release(self)
            raise errors.AddressTakenError(*taken)
        return prepared

    def release(self, kept: Sockets | None = None) -> None:
        """Close the sockets that are not in `kept`."""
        others = {id(bound) for _, bound in kept.held.values()} if kept is not None else set()
        for _, bound in self.held.values():
            if id(bound) not in others:
                bound.close()
        self.held = {}


def bind(wanted: shape.Socket) -> socket.socket:
    """Return a listening socket; raises OSError where the address is taken or not allowed."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((wanted.host, wanted.port))
        bound.listen(BACKLOG)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


def check_free(place: str, address: str) -> str | None:
    """Return why a process could not listen on an address by itself, or None where it could."""
    host, _, port = address.rpartition(":")
    probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, int(port)))
    except OSError as error:
        return refusal(f"{place}: {address}", int(port), error)
    finally:
        probe.close()
    return None


def refusal(what: str, port: int, error: OSError) -> str:
    """Return why an address cannot be had, who has it, and what to do."""
    if error.errno == errno.EADDRINUSE:
        owner = holder(port)
        by = f" by {owner}" if owner else ""
        return f"{what} is taken{by}; choose another port or stop its owner"
    if error.errno == errno.EACCES:
        return f"{what} may not be bound by this user; choose a port above 1023"
    return f"{what} cannot be bound ({error.strerror}); choose another address"


def holder(port: int) -> str | None:
    """Return `NAME (pid N)` of a process that listens on a TCP port, as far as we may see it."""
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if inodes.intersection(_open_files(folder)):
                return f"{(folder / 'comm').read_text().strip()} (pid {folder.name})"
    return None


def _open_files(process: Path) -> set[str]:
    found = set()
    for link in list((process / "fd").iterdir()):
        with contextlib.suppress(OSError):  # closed meanwhile
            found.add(link.readlink().name)
    return found


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            is_listening = columns[3] == _LISTEN_STATE
            if is_listening and int(columns[1].rpartition(":")[2], 16) == port:
                found.add(f"socket:[{columns[9]}]")
    return found
