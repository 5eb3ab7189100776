"""Let one data-plane process of a project be the balancer of its Services.

The listening sockets are the supervisor's and are passed on, so a process that dies refuses no
connection: they wait until the next one accepts them. A process cannot be passed a socket later:
where there is a new one, a successor gets all of them, and its predecessor ends when the
connections that it has do.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside import document
from alongside.base import errors, log
from alongside.engines.pods import doors, incarnation

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from alongside.base import clock

PREDECESSORS_MAX = 8
"""Processes that live on for the connections they have; with one more the oldest is ended."""
DRAIN_TIMEOUT_MS = 86_400_000
EPOCH = 1
EMPTY_S = 1.0
"""For those who wait at a socket that goes; the process accepts them at once."""
AGREE_S = 1.0
"""For a predecessor to take what its successor has; one that is frozen is not waited for."""
POLL_S = 0.002

Setting = incarnation.Setting


@dataclass(frozen=True, slots=True, eq=False)
class Door:
    """An address at which connections come in."""

    address: str
    """HOST:PORT."""
    socket: socket.socket | None = None
    """Listening there, and the balancer's when `put` has returned: it closes it when no front has
    it any more. None lets the balancer's process bind the address itself."""
    is_elsewhere: bool = False
    """Of another network than the process's, where the same address is another one."""

    @property
    def name(self) -> str:
        """The name under which its socket is passed; colons part such names."""
        return self.address.replace(":", "/")

    @property
    def written(self) -> str:
        """The address for the document; without a port it collides with none of the process's."""
        host = self.address.rpartition(":")[0]
        return f"{host}:0" if self.is_elsewhere else self.address


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
        self._setting = setting
        self._clock = clock_
        self._log = log_ or log.Log(clock_)
        self._fronts: tuple[Front, ...] = ()
        """As last asked for."""
        self._applied: tuple[Front, ...] = ()
        """As last put in force."""
        self._asked = self._in_force = 0
        """How often `put` was asked, and up to which time that is in force."""
        self._lock = asyncio.Lock()
        self._current: incarnation.Incarnation | None = None
        self._older: list[incarnation.Incarnation] = []
        self._held: dict[socket.socket, None] = {}
        self._generation = 0
        self._number = 0

    @property
    def identity(self) -> str:
        """The pid of the process in charge; empty where none runs."""
        pid = self._current.pid if self._current is not None else None
        return str(pid) if pid is not None else ""

    async def put(self, fronts: Sequence[Front]) -> None:
        """Let these fronts answer from now on, and no others; returns when they do.

        Connections that exist stay, also with a process that was succeeded. Of several that wait
        for their turn only the last is carried out.

        Raises:
            errors.AlongsideError: the process does not take them; those before go on, and new
                sockets are still the caller's.
        """
        self._fronts = tuple(fronts)
        self._asked += 1
        turn = self._asked
        async with self._lock:
            if self._in_force < turn:
                newest, wanted = self._asked, self._fronts
                await self._apply(wanted)
                self._in_force = newest

    async def close(self) -> None:
        """End it and close the sockets."""
        async with self._lock:
            every = [*self._older, *([self._current] if self._current is not None else [])]
            self._current, self._older, self._fronts = None, [], ()
            await asyncio.gather(*(one.end() for one in every))
            self._drop(list(self._held))

    def sweep(self) -> None:
        """Remove the files of a dead supervisor's processes, all of which must be gone."""
        incarnation.sweep(self._setting.folder)

    async def _apply(self, fronts: tuple[Front, ...]) -> None:
        wanted = {door.name: door.socket for front in fronts for door in front.doors}
        passed = {name: one for name, one in wanted.items() if one is not None}
        self._older = [one for one in self._older if one.is_running]
        current = self._current
        if not fronts:
            self._current = None
            if current is not None:
                await self._retire(current)
        elif current is not None and set(passed.values()) <= set(current.passed.values()):
            await current.put(self._document(fronts, current))
        else:
            await self._succeed(fronts, passed)
        self._applied = fronts
        self._held.update(dict.fromkeys(passed.values()))
        self._drop([one for one in self._held if one not in passed.values()])

    async def _succeed(self, fronts: tuple[Front, ...], passed: dict[str, socket.socket]) -> None:
        """Let a new process take over, which is passed all sockets."""
        before = self._current
        self._number += 1
        successor = incarnation.Incarnation(
            self._setting, self._number, passed, self._clock, self._log
        )
        if before is not None and any(door.socket is None for one in fronts for door in one.doors):
            # What it has bound itself is in the successor's way.
            passed_on = [_with_doors(front, before.passed.values()) for front in fronts]
            await before.put(self._document(passed_on, before))
        try:
            await successor.start(self._document(fronts, successor))
        except BaseException:
            await successor.end()
            raise
        self._current = successor
        if before is not None:
            unused = [one for one in self._held if one not in passed.values()]
            try:
                await self._agree(before, fronts, unused)
                await self._empty(unused)
            finally:
                await self._retire(before)

    async def _agree(
        self,
        before: incarnation.Incarnation,
        fronts: tuple[Front, ...],
        unused: Sequence[socket.socket],
    ) -> None:
        """Let a predecessor choose as its successor does, as long as it accepts connections too.

        At sockets that go it chooses as before. One that is not told in time is left all the same.
        """
        passed = [one for one in before.passed.values() if one not in unused]
        wanted = {front.name: _with_doors(front, passed) for front in fronts}
        for front in self._applied:
            going = _with_doors(front, unused)
            now = wanted.get(front.name, going)
            wanted[front.name] = dataclasses.replace(
                now, doors=tuple(dict.fromkeys((*now.doors, *going.doors)))
            )
        try:
            async with asyncio.timeout(AGREE_S):
                await before.put(self._document(tuple(wanted.values()), before))
        except (TimeoutError, errors.AlongsideError) as error:
            self._log.warning("balancer_not_told", pid=before.pid, reason=str(error))

    async def _empty(self, unused: Sequence[socket.socket]) -> None:
        """Let sockets be emptied by the process that has them, before it stops to accept."""
        for one in unused:
            doors.shut_out(one)
        deadline_s = self._clock.monotonic_s() + EMPTY_S
        while any(map(doors.waiting, unused)) and self._clock.monotonic_s() < deadline_s:
            await self._clock.sleep(POLL_S)

    async def _retire(self, one: incarnation.Incarnation) -> None:
        """Let a process end when its connections have; the oldest of too many ends now."""
        one.leave()
        self._older.append(one)
        while len(self._older) > PREDECESSORS_MAX:
            await self._older[0].end()
            del self._older[0]

    def _document(self, fronts: Sequence[Front], process: incarnation.Incarnation) -> bytes:
        self._generation += 1
        return render(fronts, admin=str(process.door), generation=self._generation)

    def _drop(self, unused: Sequence[socket.socket]) -> None:
        for one in unused:
            del self._held[one]
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RD)  # for the processes that were passed it too
            one.close()


def render(fronts: Sequence[Front], *, admin: str, generation: int) -> bytes:
    """Return the document of a balancer's process.

    Raises:
        errors.UsageError: the data plane would refuse it.
    """
    whole = document.Document(
        schema=1,
        epoch=EPOCH,
        generation=generation,
        listeners=tuple(
            document.Listener(name=door.name, address=door.written, serves=front.name)
            for front in fronts
            for door in front.doors
        ),
        tcp=tuple(
            document.Tcp(
                name=front.name,
                backends=tuple(
                    document.Backend(id=one, address=one) for one in dict.fromkeys(front.backends)
                ),
            )
            for front in fronts
        ),
        admin=document.Admin(path=admin),
        limits=document.Limits(drain_timeout_ms=DRAIN_TIMEOUT_MS),
    )
    return document.write(whole)


def _with_doors(front: Front, sockets: Collection[socket.socket]) -> Front:
    """Return a front with those of its doors that have one of these sockets."""
    kept = tuple(door for door in front.doors if door.socket in sockets)
    return Front(front.name, kept, front.backends)
