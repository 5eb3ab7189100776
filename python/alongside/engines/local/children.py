"""Keep one process running: start, probe, restart with back-off, and end its whole group."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.engines.local import versions
from alongside.engines.processes import backoff, ending, groups, probing, spawning

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from alongside.base import clock, log
    from alongside.plan import shape, stepping

STANDBY = "--standby="
"""Lets a data-plane process wait, with its sockets, for the word to let connections in.

The admin door of its predecessor follows, for when nobody is left to give the word.
"""
SUCCESS = "ended with 0"
"""The reason of a process that did what it should and is not to start again."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How a child is started each time; the program's sockets are the child's own, to close."""

    program: spawning.Program
    marks: ending.Marks
    door: Path
    """The admin socket, or a server's own."""
    is_data_plane: bool = False

    def by(self, binary: Path) -> Launch:
        """Return the same launch with another binary of the data plane; of others nothing."""
        if not self.is_data_plane:
            return self
        argv = (str(binary), *self.program.argv[1:])
        return replace(self, program=replace(self.program, argv=argv))

    def serving(self) -> Launch:
        """Return the launch of what needs not wait for a predecessor any more."""
        argv = tuple(word for word in self.program.argv if not word.startswith(STANDBY))
        return replace(self, program=replace(self.program, argv=argv))


class Child:
    """One process of a plan, over all its restarts, until it is stopped."""

    def __init__(
        self,
        process: shape.Process,
        launch: Launch,
        clock_: clock.Clock,
        changed: Callable[[], None],
        log_: log.Log,
    ) -> None:
        """Take what to run, whom to tell of every change of state, and the supervisor's log."""
        self.process = process
        self.state: stepping.State = "starting"
        self.identity: groups.Identity | None = None
        self.grace_s = process.grace_s
        """Between SIGTERM and SIGKILL; may be shortened while it is stopping."""
        self.restarts = 0
        self.reason = ""
        """Why it is not running or not ready, for people."""
        self.since_s = clock_.monotonic_s()
        self.version = ""
        """Of the data plane's binary that it was last started with; of other programs none."""
        self.launch = launch
        """How it is started the next time."""
        self._clock = clock_
        self._changed = changed
        self._log = log_
        self._group: int | None = None
        """Its leader's pid as long as anything of it may run."""
        self._task: asyncio.Task[None] | None = None
        self._has_served = False
        """Whether its probe succeeded in this run."""

    def start(self) -> None:
        """Begin to run it, on the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> bool:
        """End it: SIGTERM to its group, SIGKILL after its grace; returns when all is gone.

        Returns:
            Whether something of it had to be killed.
        """
        was_killed = False
        self._become("stopping")
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._group is not None:
            was_killed = await self._end(lambda: self.grace_s)
        for _, descriptor in self.launch.program.sockets:
            os.close(descriptor)
        return was_killed

    def _become(self, state: stepping.State, reason: str = "") -> None:
        if (state, reason) != (self.state, self.reason):
            self.state, self.reason = state, reason
            self.since_s = self._clock.monotonic_s()
            self._changed()

    async def _run(self) -> None:
        failures = backoff.Backoff()
        while True:
            began_s = self._clock.monotonic_s()
            self._has_served = False
            reason, is_success = await self._turn()
            if self._is_over(is_success):
                self._become("ended", reason)
                return
            ran_s = self._clock.monotonic_s() - began_s
            delay_s, failures = failures.after(ran_s, has_served=self._has_served)
            self._become("waiting", f"{reason}; starts again in {delay_s:g}s")
            await self._clock.sleep(delay_s)
            self.restarts += 1

    def _is_over(self, is_success: bool) -> bool:
        if self.process.restart == "never":
            return True
        return self.process.restart == "on-failure" and is_success

    async def _turn(self) -> tuple[str, bool]:
        """Run it once; after a fault of ours nothing of it is left running either."""
        try:
            return await self._run_once()
        except Exception as error:  # whatever it is, it must not leave a process unwatched
            self._tell(error)
        await self._until_done(lambda: self._end(lambda: self.grace_s))
        return self.reason, False

    async def _run_once(self) -> tuple[str, bool]:
        """Run it until its leader ends; return why it ended and whether that was a success."""
        program = self.launch.program
        if self.launch.is_data_plane:
            self.version = versions.of(Path(program.argv[0]))
        try:
            pid = spawning.spawn(program)
        except errors.PermanentError as error:
            return str(error), False
        self._group = pid
        self.identity = groups.identity(pid)
        self._become("starting" if self.process.probe is not None else "ready")
        self._changed()
        prober = asyncio.create_task(self._until_done(self._probe))
        try:
            await probing.ended(pid)
        finally:
            prober.cancel()
            await asyncio.wait([prober])  # so that no command of it is left behind
        code = groups.reap(pid)
        await self._end(lambda: ending.LEFTOVER_GRACE_S)
        return _ending(code), code == 0

    async def _end(self, grace_s: Callable[[], float]) -> bool:
        """End what runs of it; return whether something had to be killed."""
        was_killed = False
        if self._group is not None:
            was_killed = await ending.end(self._group, self.launch.marks, grace_s, self._clock)
        self._group = self.identity = None
        return was_killed

    async def _until_done(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do a part of the supervision; after a fault of ours again, after a growing wait."""
        failures = backoff.Backoff()
        while True:
            began_s = self._clock.monotonic_s()
            try:
                await work()
            except Exception as error:  # whatever it is, the process must not pay for it
                self._tell(error)
            else:
                return
            delay_s, failures = failures.after(self._clock.monotonic_s() - began_s)
            await self._clock.sleep(delay_s)

    def _tell(self, error: Exception) -> None:
        """Show and log a fault that nobody expected."""
        reason = f"its supervision failed: {type(error).__name__}: {error}"
        self._become("unready" if self.state == "ready" else self.state, reason)
        self._log.error(
            "supervision_failed",
            process=self.process.name,
            reason=reason,
            traceback="".join(traceback.format_exception(error)),
        )

    async def _probe(self) -> None:
        probe = self.process.probe
        if probe is None:
            return

        def look() -> asyncio.Future[bool]:
            good = probing.is_good(probe, self.launch.program, self.launch.door)
            return asyncio.ensure_future(good)

        def report(is_ready: bool) -> None:
            if is_ready:
                self._has_served = True
                self._become("ready")
            elif self.state == "ready":
                self._become("unready", "its probe fails")
            elif self.state == "starting":
                self._become("starting", "its probe does not succeed yet")

        await probing.watch(probe, look, self._clock, report)


def _ending(code: int | None) -> str:
    if code is None:
        return "it ended"
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"ended with {code}"
