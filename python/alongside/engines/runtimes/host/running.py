"""Run one container as a process with a group of its own, and commands beside it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.engines.pods import runtime
from alongside.engines.processes import cgroups, ending, exits, groups, probing, spawning

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from alongside.base import clock


@dataclass(frozen=True, slots=True)
class Start:
    """How a container is started, and all that is run inside it."""

    program: spawning.Program
    marks: ending.Marks
    inside: Callable[[Sequence[str]], tuple[str, ...]]
    """Gives the words that start a command inside: its paths led, as the container's user."""
    cgroup: cgroups.Group | None = None


class Run:
    """A `runtime.Running`: one run of one container."""

    def __init__(self, start: Start, clock_: clock.Clock) -> None:
        """Start it, on the running event loop.

        Raises:
            errors.PermanentError: it cannot be started; nothing is left.
        """
        self._start = start
        self._clock = clock_
        self._beside: set[int] = set()
        """The leaders of commands that run inside."""
        program = replace(start.program, argv=self._entering(start.program.argv))
        self._pid = spawning.spawn(program)
        self._task = asyncio.get_running_loop().create_task(self._watch())

    @property
    def identity(self) -> str:
        """The pid of its first process."""
        return str(self._pid)

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left."""
        return self._task.done()

    async def ended(self) -> runtime.Exit:
        """Return how it ended, when nothing of its family is left."""
        return await asyncio.shield(self._task)

    async def signal(self, number: signal.Signals) -> None:
        """Send a signal to its group and to what escaped from it."""
        if self.is_over:
            return
        everyone, marks = await groups.census(), self._start.marks
        if self.is_over:
            return
        inside = self._pid if groups.exists(self._pid) else None
        ending.send(inside, groups.family(inside, marks.home, marks.name, everyone), number)
        if number == signal.SIGKILL:
            for pid in self._beside:
                groups.send_group(pid, number)

    async def run(self, command: Sequence[str], *, timeout_s: float) -> int:
        """Return the exit code of a command inside; what it leaves in the background stays.

        Raises:
            TimeoutError: it took longer, and was killed.
            errors.PermanentError: it cannot be started, or the container is gone.
        """
        if self.is_over or not command:
            raise errors.PermanentError(f"cannot run {command!r} in a container that has ended")
        argv = self._entering(self._start.inside(command))
        program = replace(self._start.program, argv=argv, log=Path(os.devnull))
        pid = spawning.spawn(program)
        self._beside.add(pid)
        code: int | None = None
        try:
            async with asyncio.timeout(timeout_s):
                await probing.ended(pid)
            code = groups.reap(pid)
        finally:
            if code is None:
                groups.send_group(pid, signal.SIGKILL)
                with contextlib.suppress(ProcessLookupError):
                    await asyncio.shield(probing.ended(pid))  # SIGKILL lets nobody wait
                groups.reap(pid)
            self._beside.discard(pid)
            groups.release(pid)
        return exits.code(code)

    def _entering(self, argv: Sequence[str]) -> tuple[str, ...]:
        cgroup = self._start.cgroup
        return cgroups.entering(cgroup.entries if cgroup is not None else (), argv)

    async def _watch(self) -> runtime.Exit:
        start = self._start
        await probing.ended(self._pid)
        code = groups.reap(self._pid)
        for pid in self._beside:
            groups.send_group(pid, signal.SIGKILL)
        await ending.end(self._pid, start.marks, lambda: ending.LEFTOVER_GRACE_S, self._clock)
        result = runtime.Exit.of_status(code)
        if start.cgroup is not None:
            is_killed = result.code == exits.KILLED
            is_out_of_memory = is_killed and start.cgroup.out_of_memory() > 0
            result = replace(result, is_out_of_memory=is_out_of_memory)
            await start.cgroup.remove(self._clock)
        return result
