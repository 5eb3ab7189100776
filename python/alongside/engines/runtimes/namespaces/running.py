"""Look after one run of a container, and run commands inside it."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.engines.pods import runtime
from alongside.engines.processes import exits, groups, probing
from alongside.engines.runtimes.namespaces import launching, members, orders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alongside.base import clock, log
    from alongside.engines.processes import cgroups, ending

_OPEN = os.O_RDONLY | os.O_CLOEXEC
_ALWAYS: tuple[members.Kind, ...] = ("mnt", "net", "uts", "ipc")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run of a container was started with."""

    order: orders.ContainerOrder
    marks: ending.Marks
    user: int | None
    """A descriptor of the hub's user namespace, where there is one."""
    cgroup: cgroups.Group | None


class ContainerRun:
    """A `runtime.Running`."""

    def __init__(
        self, pid: int, surroundings: Surroundings, clock_: clock.Clock, log_: log.Log
    ) -> None:
        """Take a program that has just started, the leader of its group."""
        self._log = log_
        self._pid = pid
        self._with = surroundings
        self._clock = clock_
        self._mounts = members.hold(pid, "mnt")
        self._task = asyncio.get_running_loop().create_task(self._watch())

    @property
    def identity(self) -> str:
        """Its pid, as the host sees it."""
        return str(self._pid)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, with all that it started."""
        return self._task.done()

    def kill_whole(self) -> None:
        """Kill all that is in its cgroup, where it has one, so that nothing forks away."""
        if self._with.cgroup is not None:
            self._with.cgroup.kill()

    async def ended(self) -> runtime.Exit:
        """See `runtime.Running.ended`."""
        return await asyncio.shield(self._task)

    async def signal(self, number: signal.Signals) -> None:
        """See `runtime.Running.signal`."""
        if self.is_over:
            return
        if number == signal.SIGKILL:
            self.kill_whole()
        if groups.exists(self._pid):
            groups.send_group(self._pid, number)
        for one in self._family():
            if one.group != self._pid:
                groups.send(one.identity, number)

    async def run(self, command: Sequence[str], *, timeout_s: float) -> int:
        """See `runtime.Running.run`."""
        order = self._with.order
        inside: orders.EnterOrder = {
            "task": "enter",
            "words": list(command),
            "environment": order["environment"],
            "directory": order["directory"],
            "user": order["user"],
            "group": order["group"],
            "has_mapping": order["has_mapping"],
            "capabilities": order["capabilities"],
        }
        opened = self._open_namespaces()
        namespaces = dict(opened)
        if self._with.user is not None:
            namespaces["user"] = self._with.user
        launch = launching.Launch(inside, namespaces, self._with.marks, Path(os.devnull))
        pid: int | None = None
        try:
            async with asyncio.timeout(timeout_s):
                pid = await launch.run(before=self._limit)
                await probing.ended(pid)
        finally:
            for descriptor in opened.values():
                os.close(descriptor)
            # What it let run in other groups is ended with the container.
            code = await asyncio.shield(_end(pid)) if pid is not None else 0
        return exits.code(code)

    def _limit(self, pid: int) -> None:
        enter_cgroup(self._with.cgroup, pid)

    def _open_namespaces(self) -> dict[str, int]:
        """Return descriptors of the namespaces that the program is in."""
        kinds: list[members.Kind] = [*_ALWAYS]
        kinds += ["pid"] if self._with.order["has_pids"] else []
        opened: dict[str, int] = {}
        try:
            if self.is_over:
                raise FileNotFoundError
            for kind in kinds:
                opened[kind] = os.open(f"/proc/{self._pid}/ns/{kind}", _OPEN)
                if members.of_descriptor(opened[kind]) == members.of_process(os.getpid(), kind):
                    os.close(opened.pop(kind))  # the host's, in which we are
            if self._with.user is not None:
                nested = os.open(f"/proc/{self._pid}/ns/user", _OPEN)
                opened["nested"] = nested
                if members.of_descriptor(nested) == members.of_descriptor(self._with.user):
                    os.close(opened.pop("nested"))
        except OSError as error:
            for descriptor in opened.values():
                os.close(descriptor)
            raise errors.PermanentError("the container has ended") from error
        return opened

    def _ids(self) -> set[members.Id]:
        return {members.of_descriptor(self._mounts)} if self._mounts is not None else set()

    async def _watch(self) -> runtime.Exit:
        await probing.ended(self._pid)
        group = self._with.cgroup
        code = await self._end_rest()
        if self._mounts is not None:
            os.close(self._mounts)
            self._mounts = None
        is_out_of_memory = False
        if group is not None:
            is_out_of_memory = code == -signal.SIGKILL and group.out_of_memory() > 0
            await group.remove(self._clock)
        return runtime.Exit.of_status(code, is_out_of_memory=is_out_of_memory)

    async def _end_rest(self) -> int:
        """Kill what the program left, as Kubernetes does; return how the program ended."""
        self.kill_whole()
        groups.send_group(self._pid, signal.SIGKILL)
        code = groups.reap(self._pid)
        try:
            await members.kill(self._family, self._clock)
        except errors.TemporaryError as error:
            self._log.warning("container_left_processes", reason=str(error))
        finally:
            groups.reap(self._pid)
            groups.release(self._pid)
        return code if code is not None else -signal.SIGKILL

    def _family(self) -> list[groups.Entry]:
        marks = self._with.marks
        return [*members.inside(self._ids(), "mnt"), *members.carrying(marks.home, marks.name)]


async def _end(pid: int) -> int:
    """Kill the group of a command and return how its leader ended.

    Not later than it is reaped: its id may be another's then.
    """
    groups.send_group(pid, signal.SIGKILL)
    code = await probing.exit_code(pid)
    groups.release(pid)
    return code


def enter_cgroup(group: cgroups.Group | None, pid: int) -> None:
    """Let a process, and all that it starts, be in a cgroup."""
    for entry in group.entries if group is not None else ():
        entry.write_text(f"{pid}\n")
