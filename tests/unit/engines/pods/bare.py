"""Run containers as plain processes, for the tests of what stands above a runtime.

It is a whole runtime but for everything that isolates; faults may be put into each of its calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.engines.pods import runtime

if TYPE_CHECKING:
    from alongside.plan import pods


class Faults:
    """Errors to raise instead of doing something, by the name of the call, in order."""

    def __init__(self) -> None:
        self.coming: dict[str, list[Exception]] = {}

    def put(self, call: str, *what: Exception) -> None:
        """Let a call raise these, one after the other."""
        self.coming.setdefault(call, []).extend(what)

    def meet(self, call: str) -> None:
        """Raise what is put for a call, if anything is."""
        if self.coming.get(call):
            raise self.coming[call].pop(0)


class Running:
    """A process that leads a session."""

    def __init__(
        self, process: asyncio.subprocess.Process, variables: dict[str, str], faults: Faults
    ) -> None:
        self.process = process
        self.variables = variables
        self.faults = faults

    @property
    def identity(self) -> str:
        """Return the pid."""
        return str(self.process.pid)

    async def ended(self) -> runtime.Exit:
        """Return its end; its group is killed then."""
        self.faults.meet("ended")
        code = await self.process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return runtime.Exit(code) if code >= 0 else runtime.Exit(128 - code, -code)

    async def signal(self, number: signal.Signals) -> None:
        """Signal its group."""
        self.faults.meet("signal")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    async def run(self, command: Sequence[str], *, timeout_s: float) -> int:
        """Return the exit code of another process."""
        self.faults.meet("run")
        process = await asyncio.create_subprocess_exec(*command, env=self.variables)
        try:
            async with asyncio.timeout(timeout_s):
                return await process.wait()
        except BaseException:
            process.kill()
            await process.wait()
            raise


class Sandbox:
    """The pod's processes."""

    address = "127.0.0.1"

    def __init__(self, room: runtime.Room, faults: Faults) -> None:
        self.room = room
        self.faults = faults
        self.all: list[Running] = []
        self.vanished = asyncio.Event()
        self.is_removed = False
        self.fetched = asyncio.Event()

    async def fetch(self, container: pods.Container, tell: Callable[[str], None]) -> None:
        """Return when a test says so, where a container has an image to be fetched."""
        self.faults.meet("fetch")
        if container.pull == "always":
            tell(f"pulling {container.image}")
            await self.fetched.wait()

    async def start(self, container: pods.Container, attempt: int) -> Running:
        """Return a process of its own."""
        self.faults.meet("start")
        variables = {one.name: one.value for one in container.variables}
        variables |= {"PATH": os.environ["PATH"], "ATTEMPT": str(attempt)}
        argv = (*container.command, *container.args)
        with self.room.logs[container.name].open("ab") as log:
            try:
                process = await asyncio.create_subprocess_exec(
                    *argv, env=variables, stdout=log, stderr=log, start_new_session=True
                )
            except OSError as error:
                raise errors.PermanentError(f"{argv[0]}: {error.strerror}") from error
        running = Running(process, variables, self.faults)
        self.all.append(running)
        return running

    async def connect(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect on loopback."""
        return await asyncio.open_connection(host or self.address, port)

    async def lost(self) -> str:
        """Return when a test says so."""
        await self.vanished.wait()
        return "somebody took it"

    async def remove(self) -> None:
        """Kill what is left."""
        self.faults.meet("remove")
        for one in self.all:
            if one.process.returncode is None:
                await one.signal(signal.SIGKILL)
            await one.process.wait()
        self.is_removed = True


class Runtime:
    """Sandboxes without walls."""

    name = "bare"

    def __init__(self) -> None:
        self.faults = Faults()
        self.sandboxes: list[Sandbox] = []

    async def create(self, room: runtime.Room) -> Sandbox:
        """Return a sandbox, which is kept for tests."""
        self.faults.meet("create")
        self.sandboxes.append(Sandbox(room, self.faults))
        return self.sandboxes[-1]

    async def open(self) -> None:
        """Nothing is shared."""

    def problems(self, wanted: Sequence[pods.Pod]) -> list[str]:
        """Return nothing: a missing command is found at its start."""
        return []

    async def serve(self, services: Sequence[runtime.Served]) -> None:
        """There is no network to serve in."""

    def addresses(self) -> Mapping[str, str]:
        """Return nothing: there is no network."""
        return {}

    async def close(self) -> None:
        """Nothing is shared."""

    async def sweep(self) -> int:
        """Return 0: nothing outlives a test."""
        return 0

    def alive(self) -> list[int]:
        """Return the processes that run."""
        all_ = [one.process for sandbox in self.sandboxes for one in sandbox.all]
        return [one.pid for one in all_ if one.returncode is None]


class Volumes:
    """A folder for each volume; what was done is noted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults = Faults()
        self.done: list[str] = []

    async def make(self, pod: pods.Pod) -> Mapping[str, Path]:
        """Write all files."""
        self.faults.meet("make")
        self.done.append("make")
        self._write(pod)
        return {one.name: self.folder / one.name for one in pod.volumes}

    async def publish(self, pod: pods.Pod) -> None:
        """Write all files again."""
        self.faults.meet("publish")
        self.done.append("publish")
        self._write(pod)

    def _write(self, pod: pods.Pod) -> None:
        for volume in pod.volumes:
            (self.folder / volume.name).mkdir(parents=True, exist_ok=True)
            for file in volume.files:
                (self.folder / volume.name / file.path).write_bytes(file.content)

    async def remove(self, pod: pods.Pod) -> None:
        """Note it."""
        self.faults.meet("remove")
        self.done.append(f"remove {pod.name}")
