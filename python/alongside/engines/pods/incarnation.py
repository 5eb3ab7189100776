"""Run one process of the balancer, and another one in its place where it dies."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside.base import errors, files
from alongside.engines.processes import admin, backoff, ending, groups, probing, spawning

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from pathlib import Path

    from alongside.base import clock, log

NAME = "balancer"
WAIT_S = 15.0
"""Until a document is in force."""
RETRY_S = 0.02
ENDS_MAX = 3
"""Of its processes, while a document waits to be taken."""
GRACE_S = 2.0
"""Given to a process that is ended, not left: nobody needs its connections any more."""


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


class Incarnation:
    """One of the processes that are the balancer, one after the other."""

    def __init__(
        self,
        setting: Setting,
        number: int,
        passed: Mapping[str, socket.socket],
        clock_: clock.Clock,
        log_: log.Log,
    ) -> None:
        """Take its number and its sockets by name; nothing starts yet."""
        self.passed = dict(passed)
        self.door = setting.folder / f"{NAME}~{number}.sock"
        self.pid: int | None = None
        """Of its process, as long as that runs."""
        self._path = setting.folder / f"{NAME}~{number}.json"
        self._setting = setting
        self._marks = ending.Marks(str(setting.home), f"{setting.project}/~/{NAME}{number}")
        self._clock = clock_
        self._log = log_
        self._document = b""
        self._is_leaving = False
        self._ends = 0
        """How often its process ended."""
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether anything of it may run, or be started again."""
        return self._task is not None and not self._task.done()

    async def start(self, document: bytes) -> None:
        """Start it with a document; returns when it serves.

        Raises:
            errors.AlongsideError: it does not come up; the caller has to end it.
        """
        self._document = document
        first = self._spawn()
        self._task = asyncio.get_running_loop().create_task(self._run(first))
        await self._until_in_force(document, ends_max=0)

    async def put(self, document: bytes) -> None:
        """Put a document in force; returns when it is, also where the process dies meanwhile.

        Raises:
            errors.AlongsideError: it is not; the one before goes on.
        """
        before, self._document = self._document, document
        try:
            await self._until_in_force(document, ends_max=ENDS_MAX)
        except errors.AlongsideError:
            self._document = before
            raise

    def leave(self) -> None:
        """Let it end when its connections have, and not start again."""
        self._is_leaving = True
        if self.pid is not None:
            groups.send_group(self.pid, signal.SIGTERM)
        elif self._task is not None:
            self._task.cancel()
            self._tidy()

    async def end(self) -> None:
        """End it now."""
        self._is_leaving = True
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._end_process()
        self._tidy()

    async def _until_in_force(self, document: bytes, *, ends_max: int) -> None:
        """Put a document until it is taken, in whichever process there is by then."""
        deadline_s = self._clock.monotonic_s() + WAIT_S
        door, ends = admin.Admin(self.door), self._ends
        while True:
            try:
                await door.put_document(document)
            except errors.TemporaryError:
                if self._clock.monotonic_s() > deadline_s:
                    raise
            else:
                return
            if self._ends - ends > ends_max or not self.is_running:
                raise errors.PermanentError(
                    f"the balancer ended by itself; {self._setting.log} says why"
                )
            await self._clock.sleep(RETRY_S)

    async def _run(self, pid: int) -> None:
        failures = backoff.Backoff()
        while True:
            began_s = self._clock.monotonic_s()
            await probing.ended(pid)
            self._ends += 1
            await self._end_process()
            if self._is_leaving:
                self._tidy()
                return
            delay_s, failures = failures.after(self._clock.monotonic_s() - began_s)
            self._log.warning("balancer_ended", pid=pid, starts_again_in_s=delay_s)
            pid = await self._spawn_later(delay_s)

    async def _spawn_later(self, delay_s: float) -> int:
        while True:
            await self._clock.sleep(delay_s)
            try:
                return self._spawn()
            except errors.AlongsideError as error:
                self._log.error("balancer_not_started", reason=str(error))
                delay_s = backoff.DELAY_S_MAX

    def _spawn(self) -> int:
        setting = self._setting
        files.write_atomic(self._path, self._document)
        environment = {
            **setting.environment,
            groups.MARK: self._marks.name,
            groups.HOME_MARK: self._marks.home,
        }
        for name in ("LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"):
            environment.pop(name, None)
        argv = (*setting.prefix, str(setting.binary), "--document", str(self._path))
        sockets = tuple((name, one.fileno()) for name, one in self.passed.items() if _is_open(one))
        self.pid = spawning.spawn(spawning.Program(argv, environment, None, setting.log, sockets))
        return self.pid

    async def _end_process(self) -> None:
        pid, self.pid = self.pid, None
        if pid is not None:
            await ending.end(pid, self._marks, lambda: GRACE_S, self._clock)

    def _tidy(self) -> None:
        for path in (self.door, self._path):
            with contextlib.suppress(OSError):
                path.unlink()


def sweep(folder: Path) -> None:
    """Remove the files of processes that are gone, and those that were being written."""
    for path in (*folder.glob(f"{NAME}~*"), *folder.glob(f".{NAME}~*.new")):
        with contextlib.suppress(OSError):
            path.unlink()


def _is_open(one: socket.socket) -> bool:
    """Return whether a socket was not dropped meanwhile; its document names it no more then."""
    return one.fileno() >= 0
