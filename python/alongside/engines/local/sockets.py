"""Bind the listening sockets of a plan's processes, and say who holds an address that is taken.

An address that this project itself has is not taken. Where a socket of ours is in the way (a
listener moves from 127.0.0.1:80 to 0.0.0.0:80), it goes on listening until its process is to stop,
and then yields to the new one, which listens by then. Where a process of ours has bound the address
by itself, the new socket is awaited until that one has gone.

Processes that share an address (the routers of a cache) are given one and the same socket: the
kernel hands each connection to one of them, and it listens as long as there is one of them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.engines.local import yielding
from alongside.engines.processes import listeners

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from alongside.plan import shape

    Pids = Callable[[], Collection[int]]
    """Gives the processes of this project; asked only where an address is in use."""

BACKLOG = 4096
"""Connections that wait while a process restarts; the kernel's own limit may be lower."""


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """A listening socket and the process that it was bound for."""

    process: str
    wanted: shape.Socket
    socket: socket.socket

    @property
    def place(self) -> tuple[str, int]:
        """The address at which it truly listens."""
        host, port = self.socket.getsockname()
        return str(host), int(port)


@dataclass(frozen=True, slots=True)
class Coming:
    """A socket that is to be bound when this project itself has left its address."""

    wanted: shape.Socket
    yields: tuple[Bound, ...] = ()
    """Ours that are in the way; none where a process has bound the address by itself."""


@dataclass(slots=True)
class Sockets:
    """The sockets held for processes, kept while these come and go."""

    held: dict[str, Bound] = field(default_factory=dict)
    coming: dict[str, Coming] = field(default_factory=dict)

    def address(self, process: str) -> str | None:
        """Return the address HOST:PORT at which a process is reached, or None."""
        known = self.addresses().get(process)
        if known is None:
            return None
        host, _, port = known.rpartition(":")
        return f"{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104 - compared

    def addresses(self) -> dict[str, str]:
        """Return the address of each process, as its document names it; without the awaited."""
        held = {name: f"{one.wanted.host}:{one.place[1]}" for name, one in self.held.items()}
        moving = {
            name: f"{one.wanted.host}:{one.wanted.port}"
            for name, one in self.coming.items()
            if one.yields
        }
        return {**held, **moving}

    def prepare(self, plan: shape.Plan, pids: Pids = frozenset) -> Sockets:
        """Return the sockets for another plan: equal ones are shared, the others newly bound.

        Nothing of this object changes, so that a refused plan has touched nothing.

        Raises:
            errors.AddressTakenError: every address that is taken, by whom, and the remedy.
        """
        prepared, taken = Sockets(), []
        for process in plan.processes:
            for wanted in process.sockets:
                name = process.name
                if (same := prepared._coming_for(wanted)) is not None:
                    prepared.coming[name] = same
                    continue
                try:
                    ours = prepared._of_group(wanted) or self._usable(name, wanted)
                    bound = ours.socket if ours is not None else bind(wanted)
                    prepared.held[name] = Bound(name, wanted, bound)
                except OSError as error:
                    coming = self._coming(wanted, error, pids)
                    if coming is not None:
                        prepared.coming[name] = coming
                        continue
                    place = plan.place(name, wanted.port)
                    taken.append(refusal(f"{place}: {wanted.host}:{wanted.port}", error))
        if taken:
            prepared.release(self)
            raise errors.AddressTakenError(*dict.fromkeys(taken))
        return prepared

    def settle(self, process: str) -> list[socket.socket]:
        """Bind the socket that is coming for a process, if one is; ours in the way yield.

        At each moment one of them listens. Nobody new comes to those that yield.

        Returns:
            The sockets that yield, for the caller to close when who waits in them was accepted.

        Raises:
            errors.AddressTakenError: someone else has it; nothing was changed.
        """
        coming = self.coming.get(process)
        if coming is None:
            return []
        # One that yielded to another before may still be open, or be closed by now.
        old = [one.socket for one in coming.yields if one.socket.fileno() >= 0]
        try:
            bound = self._bind(coming.wanted, old)
        except OSError as error:
            what = f"{process}: {coming.wanted.host}:{coming.wanted.port}"
            raise errors.AddressTakenError(refusal(what, error)) from error
        self._hold(coming, bound)
        yielded = [one for one in old if not yielding.is_turned_away(one)]
        for one in yielded:
            yielding.turn_away(one)
        return yielded

    def _bind(self, wanted: shape.Socket, old: Sequence[socket.socket]) -> socket.socket:
        if old and not self._has_only_ours(wanted):  # one of our user's that shares would be let in
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        return bind(wanted, old)

    def _has_only_ours(self, wanted: shape.Socket) -> bool:
        """Return whether nobody but sockets of ours listens where one is to."""
        return listeners.overlapping(wanted.host, wanted.port).issubset(self._inodes())

    def _inodes(self) -> dict[int, Bound]:
        """Return the open sockets by how /proc names them."""
        every = [one for one in self._all() if one.socket.fileno() >= 0]
        return {os.fstat(one.socket.fileno()).st_ino: one for one in every}

    def leave(self, process: str) -> list[socket.socket]:
        """Let the sockets of a process yield to those that come; as `settle` does."""
        return [
            old
            for name, coming in list(self.coming.items())
            if name in self.coming and any(one.process == process for one in coming.yields)
            for old in self.settle(name)
        ]

    def look_again(self) -> None:
        """Bind what was awaited, where its address is free now."""
        for coming in {id(one): one for one in self.coming.values()}.values():
            if coming.yields:
                continue
            try:
                bound = bind(coming.wanted)
            except OSError:
                later = self._moving(coming.wanted) or coming
                self.coming.update(dict.fromkeys(self._awaiting(coming), later))
                continue
            self._hold(coming, bound)

    def _awaiting(self, coming: Coming) -> list[str]:
        """Return the processes that a coming socket is for."""
        return [name for name, one in self.coming.items() if one is coming]

    def _hold(self, coming: Coming, bound: socket.socket) -> None:
        for name in self._awaiting(coming):
            del self.coming[name]
            self.held[name] = Bound(name, coming.wanted, bound)

    def waits(self) -> list[str]:
        """Return one sentence for each socket that waits for a process to leave its address."""
        return [
            f"{name} waits until {coming.wanted.host}:{coming.wanted.port} is free; "
            f"{listeners.holder(coming.wanted.port) or 'another process'} has it"
            for name, coming in self.coming.items()
            if not coming.yields
        ]

    def give_up(self) -> None:
        """Forget what was to come; for when everything is to stop."""
        coming, self.coming = self.coming, {}
        for one in coming.values():
            for old in one.yields:
                old.socket.close()

    def release(self, kept: Sockets | None = None) -> None:
        """Close the sockets that are not in `kept`."""
        others = {id(one.socket) for one in kept._all()} if kept is not None else set()
        for one in self._all():
            if id(one.socket) not in others:
                one.socket.close()
        self.held, self.coming = {}, {}

    def _usable(self, process: str, wanted: shape.Socket) -> Bound | None:
        """Return a socket that is held already and is the wanted one."""
        ours = self.held.get(process)
        if ours is not None and ours.wanted == wanted:
            return ours
        if (ours := self._of_group(wanted)) is not None:
            return ours
        return next((o for o in self._all() if o.place == (wanted.host, wanted.port)), None)

    def _of_group(self, wanted: shape.Socket) -> Bound | None:
        """Return the socket of those that share a wanted one."""
        if not wanted.shared_by:
            return None
        return next((one for one in self.held.values() if one.wanted == wanted), None)

    def _coming_for(self, wanted: shape.Socket) -> Coming | None:
        """Return the coming socket of those that share a wanted one."""
        if not wanted.shared_by:
            return None
        return next((one for one in self.coming.values() if one.wanted == wanted), None)

    def _all(self) -> Iterator[Bound]:
        yield from self.held.values()
        for coming in self.coming.values():
            yield from coming.yields

    def _coming(self, wanted: shape.Socket, error: OSError, pids: Pids) -> Coming | None:
        """Return how a socket gets an address that is in use; None where it is taken."""
        if error.errno != errno.EADDRINUSE:
            return None
        if moving := self._moving(wanted):
            return moving
        in_the_way = listeners.overlapping(wanted.host, wanted.port)
        return Coming(wanted) if listeners.are_of(in_the_way, pids()) else None

    def _moving(self, wanted: shape.Socket) -> Coming | None:
        """Return how it gets an address where nothing but sockets of ours is in the way."""
        ours = self._inodes()
        in_the_way = listeners.overlapping(wanted.host, wanted.port)
        if not in_the_way or not in_the_way.issubset(ours):
            return None
        return Coming(wanted, tuple(ours[inode] for inode in sorted(in_the_way)))


def bind(wanted: shape.Socket, beside: Sequence[socket.socket] = ()) -> socket.socket:
    """Return a listening socket; raises OSError where the address is taken or not allowed.

    Args:
        wanted: what it is to be.
        beside: sockets of ours that listen on, although their addresses overlap with it.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with yielding.sharing(bound, beside) if beside else contextlib.nullcontext():
            bound.bind((wanted.host, wanted.port))
            bound.listen(BACKLOG)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


def check(plan: shape.Plan, pids: Pids) -> list[str]:
    """Return why each address of a plan is taken; what the given processes have is not."""
    found = [
        _check(plan.place(process.name, port), host, port, pids)
        for process in plan.processes
        for host, port in _addresses(process)
        if port
    ]
    return list(dict.fromkeys(reason for reason in found if reason is not None))


def check_claims(plan: shape.Plan, pids: Pids, *, but: Collection[str]) -> list[str]:
    """Return the same for the addresses that processes bind by themselves, without some."""
    found = [
        _check(plan.place(process.name, int(port)), host, int(port), pids)
        for process in plan.processes
        for claim in process.claims
        if claim not in but
        for host, _, port in [claim.rpartition(":")]
    ]
    return [reason for reason in found if reason is not None]


def _addresses(process: shape.Process) -> Iterator[tuple[str, int]]:
    for wanted in process.sockets:
        yield wanted.host, wanted.port
    for claim in process.claims:
        host, _, port = claim.rpartition(":")
        yield host, int(port)


def _check(place: str, host: str, port: int, pids: Pids) -> str | None:
    probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
    except OSError as error:
        is_used = error.errno == errno.EADDRINUSE
        if is_used and listeners.are_of(listeners.overlapping(host, port), pids()):
            return None
        return refusal(f"{place}: {host}:{port}", error)
    finally:
        probe.close()
    return None


def refusal(what: str, error: OSError) -> str:
    """Return why an address cannot be had, who has it, and what to do.

    Args:
        what: where it was written, and the address HOST:PORT at the end.
        error: of the attempt to bind it.
    """
    if error.errno == errno.EADDRINUSE:
        owner = listeners.holder(int(what.rpartition(":")[2]))
        by = f" by {owner}" if owner else ""
        return f"{what} is taken{by}; choose another port or stop its owner"
    if error.errno == errno.EACCES:
        return f"{what} may not be bound by this user; choose a port above 1023"
    return f"{what} cannot be bound ({error.strerror}); choose another address"
