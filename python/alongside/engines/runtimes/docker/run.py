"""Hold one run of one container: its end, its output, signals, commands in it."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.dockerd import answers
from alongside.engines.pods import runtime
from alongside.engines.processes import exits
from alongside.engines.runtimes.docker import containers, executing, output

if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence

    from alongside.base import clock
    from alongside.dockerd import engine

OUTPUT_S_MAX = 5.0
"""After the end, for what the engine has yet to hand over."""


class Run:
    """A `runtime.Running`."""

    def __init__(self, asked: engine.Engine, identity: str, clock_: clock.Clock) -> None:
        """Take a container that was started."""
        self._asked = asked
        self._id = identity
        self._clock = clock_
        self._shares_pids = False
        self._tasks: list[asyncio.Task[None]] = []
        self._end: asyncio.Future[runtime.Exit] = asyncio.get_running_loop().create_future()

    @property
    def identity(self) -> str:
        """The beginning of the container's id, as people write it."""
        return self._id[:12]

    @property
    def is_gone(self) -> bool:
        """Whether its end is known and its container removed."""
        return all(task.done() for task in self._tasks)

    def follow(self, log: Path, *, is_terminal: bool, shares_pids: bool) -> None:
        """Copy its output and wait for its end from now on."""
        self._shares_pids = shares_pids
        copying = output.follow(self._asked, self._id, log, self._clock, is_terminal=is_terminal)
        copied = asyncio.create_task(copying)
        self._tasks = [copied, asyncio.create_task(self._finish(copied))]

    async def ended(self) -> runtime.Exit:
        """See `runtime.Running.ended`; its container is removed soon after."""
        return await asyncio.shield(self._end)

    async def signal(self, number: signal.Signals) -> None:
        """See `runtime.Running.signal`.

        Of process ids of its own the engine's init is the first, and hands it on to the group of
        the program. In shared ones there is none: each process is signalled, where this machine
        sees them and allows it, else the first.
        """
        with suppress(answers.SilentError, answers.RefusedError):
            if self._shares_pids and signal_each(self._id, number, await self._members()):
                return
            await containers.signal(self._asked, self._id, number.name)

    async def run(self, command: Sequence[str], *, timeout_s: float) -> int:
        """See `runtime.Running.run`."""
        return await executing.run(self._asked, self._id, command, self._clock, timeout_s=timeout_s)

    async def kill(self) -> None:
        """End it at once; no error when it is gone."""
        with suppress(answers.SilentError, answers.RefusedError):
            await containers.signal(self._asked, self._id, "SIGKILL")

    async def drop(self) -> None:
        """Wait for its end no longer; for when its container was removed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if not self._end.done():
            self._end.set_result(runtime.Exit.of_code(exits.KILLED))

    async def _finish(self, copied: asyncio.Task[None]) -> None:
        found = await end_of(self._asked, self._id, self._clock)
        await asyncio.wait([copied], timeout=OUTPUT_S_MAX)
        copied.cancel()
        # Before the removal, which waits for its turn: others' grace is running meanwhile.
        if not self._end.done():
            self._end.set_result(found)
        with suppress(errors.AlongsideError):
            await containers.remove(self._asked, self._id)

    async def _members(self) -> list[int]:
        """Return the pids of its processes as the engine's machine counts them."""
        answer = await self._asked.ask(
            "GET", f"/containers/{self._id}/top", params={"ps_args": "-eo pid"}
        )
        rows = answers.record(answer.value()).get("Processes")
        found = [row[0] for row in rows if row] if isinstance(rows, list) else []
        return [int(pid) for pid in found if str(pid).isdecimal()]


def signal_each(identity: str, number: signal.Signals, pids: Sequence[int]) -> bool:
    """Signal processes that are certainly a container's; return whether any was."""
    is_any = False
    for pid in pids if sys.platform == "linux" else ():
        with suppress(OSError):
            if identity in Path(f"/proc/{pid}/cgroup").read_text():
                os.kill(pid, number)
                is_any = True
    return is_any


async def end_of(asked: engine.Engine, identity: str, clock_: clock.Clock) -> runtime.Exit:
    """Return how a container ended, when it has; the engine may be away meanwhile.

    A container that somebody removed counts as killed, unless the engine told its end before.
    """
    told: int | None = None
    while True:
        try:
            told = await _waited(asked, identity)
            found = await containers.inspect(asked, identity)
            if not found:
                return runtime.Exit.of_code(exits.KILLED if told is None else told)
            state = answers.record(found, "State")
            if state.get("Running") is not True and answers.text(state, "Status") != "restarting":
                is_out_of_memory = state.get("OOMKilled") is True
                code = answers.whole(state, "ExitCode")
                return runtime.Exit.of_code(code, is_out_of_memory=is_out_of_memory)
        except (answers.SilentError, answers.RefusedError):
            pass
        await clock_.sleep(output.AGAIN_S)


async def _waited(asked: engine.Engine, identity: str) -> int | None:
    """Wait until a container does not run; return its code where the engine tells it."""
    path = f"/containers/{identity}/wait"
    answer = await asked.ask("POST", path, params={"condition": "not-running"}, timeout_s=None)
    code = answers.record(answer.value()).get("StatusCode")
    return code if isinstance(code, int) else None
