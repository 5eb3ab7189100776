"""Make the namespaces of one pod, start its containers in them, and take all of it away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.engines.pods import inplace
from alongside.engines.processes import ending, groups, probing
from alongside.engines.runtimes.namespaces import (
    containers,
    launching,
    members,
    names,
    orders,
    records,
    running,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from alongside.base import clock, log
    from alongside.engines.pods import runtime
    from alongside.engines.processes import cgroups
    from alongside.engines.runtimes.namespaces import carriers, hub, setting
    from alongside.plan import pods

_OPEN = os.O_RDONLY | os.O_CLOEXEC
_SCRATCH_MODE = 0o1777
_INTERFACE = "eth0"


class Project:
    """What the sandboxes of a project share, besides its network."""

    def __init__(
        self,
        setting_: setting.Setting,
        hub_: hub.Hub,
        limits: cgroups.Cgroups,
        clock_: clock.Clock,
        log_: log.Log,
    ) -> None:
        """Take whose pods these are."""
        self.log = log_
        self.is_closing = False
        """Whether the network goes with the pods."""
        self.setting = setting_
        self.hub = hub_
        self.limits = limits
        self.clock = clock_
        self.records = records.Records(setting_.home)
        self.links: dict[str, str] = {}
        """Variables that say where Services are."""
        self.way_out: carriers.Carrier | None = None


class PodSandbox:
    """A `runtime.Sandbox`, and a `runtime.Losable`."""

    def __init__(
        self,
        room: runtime.Room,
        project: Project,
        number: int,
        forget: Callable[[PodSandbox], Awaitable[None]],
    ) -> None:
        """Take what it is made from, and whom to tell when it is gone.

        Args:
            room: the pod's.
            project: its.
            number: that no other pod of the project has.
            forget: called when nothing of it is left.
        """
        self._forget = forget
        self.room = room
        self.pod = room.pod
        self._project = project
        self._mark = f"{project.setting.project}/pod/{room.pod.name}"
        self._link = f"pod{number}"
        has_network = not room.pod.uses_host_network
        self._address = project.hub.range.pod(number) if has_network else "127.0.0.1"
        self._namespaces: dict[str, int] = {}
        self._ids: set[members.Id] = set()
        self._pause: int | None = None
        self._holder: groups.Identity | None = None
        """The same, once its namespaces are written down."""
        self._runs: list[running.ContainerRun] = []
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._watch: asyncio.Task[None] | None = None
        self._is_removed = False

    @property
    def address(self) -> str:
        """See `runtime.Sandbox.address`."""
        return self._address

    @property
    def placed(self) -> names.Placed:
        """The pod and its address."""
        return names.Placed(self.pod, self._address)

    @property
    def pause(self) -> int | None:
        """The pid of the process that holds the namespaces."""
        return self._pause

    @property
    def hosts(self) -> Path:
        """The file that its containers see as /etc/hosts."""
        return self.room.folder / "hosts"

    async def make(self) -> None:
        """Make it.

        Raises:
            errors.AlongsideError: it cannot be made; nothing is left.
        """
        try:
            await self._make()
        except BaseException as error:
            await asyncio.shield(self.remove())
            if isinstance(error, OSError):
                raise errors.PermanentError(f"{self.pod.name}: {error}") from error
            raise

    async def _make(self) -> None:
        folder, pod = self.room.folder, self.pod
        for name in ("stage", "shm", "tmp"):
            (folder / name).mkdir(exist_ok=True)
        hostname = self.placed.hostname
        inplace.write(folder / "hostname", f"{hostname}\n")
        inplace.write(folder / "resolv.conf", self._resolving())
        order: orders.PodOrder = {
            "task": "pod",
            "hostname": hostname,
            "has_network": not pod.uses_host_network,
            "shares_pids": pod.shares_pids,
            "shm": str(folder / "shm"),
            "environment": launching.marks_of(self._marks()),
        }
        launch = launching.Launch(order, self._user(), self._marks(), self._project.setting.log)
        self._pause = pid = await launch.run()
        own = [] if pod.uses_host_network else ["net", "uts"]
        for kind in ["mnt", "ipc", *own, *(["pid"] if pod.shares_pids else [])]:
            self._namespaces[kind] = os.open(f"/proc/{pid}/ns/{kind}", _OPEN)
        self._ids = {members.of_descriptor(self._namespaces["ipc"])}
        self._watch = asyncio.get_running_loop().create_task(self._watch_pause(pid))
        self._write_down(pid)
        if not pod.uses_host_network:
            await self._connect_network()

    def _write_down(self, pid: int) -> None:
        """Let who comes after our sudden end find all that is in the pod, whatever it forgets."""
        self._holder = groups.identity(pid)
        if self._holder is not None:
            ids = {
                kind: members.of_descriptor(self._namespaces[kind])
                for kind in records.KINDS
                if kind in self._namespaces
            }
            numbers = {kind: members.serial(self._namespaces[kind]) for kind in ids}
            serials = {kind: number for kind, number in numbers.items() if number is not None}
            record = records.Record(self._mark, self._holder, ids, serials)
            self._project.records.add(record)

    async def start(self, container: pods.Container, attempt: int) -> running.ContainerRun:
        """See `runtime.Sandbox.start`."""
        limit: cgroups.Group | None = None
        self._runs = [one for one in self._runs if not one.is_over]
        marks = self._marks(container.name)
        try:
            scratch = self.room.folder / "tmp" / container.name
            await asyncio.to_thread(_clear, scratch)
            order = containers.order(
                container,
                self.room,
                self._project.setting,
                containers.Place(
                    address=self._address,
                    host=self._project.hub.range.bridge,
                    links=self._project.links,
                    marks=launching.marks_of(marks),
                    ordinary=None
                    if self._project.hub.is_privileged
                    else (os.geteuid(), os.getegid()),
                ),
            )
            limit = self._limit(container)
            log = self.room.logs[container.name]
            launch = launching.Launch(order, {**self._user(), **self._namespaces}, marks, log)
            pid = await launch.run(before=lambda pid: running.enter_cgroup(limit, pid))
        except BaseException as error:
            if limit is not None:
                await asyncio.shield(limit.remove(self._project.clock))
            if isinstance(error, OSError):
                raise errors.PermanentError(f"{container.name}: {error}") from error
            raise
        surroundings = running.Surroundings(
            order, marks, self._project.hub.namespaces.get("user"), limit
        )
        run = running.ContainerRun(pid, surroundings, self._project.clock, self._project.log)
        self._runs.append(run)
        return run

    async def connect(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """See `runtime.Sandbox.connect`."""
        target = host or self._address
        if self.pod.uses_host_network:
            return await asyncio.open_connection(target, port)
        try:
            connected = await self._project.hub.connection(target, port)
        except errors.AlongsideError as error:
            raise OSError(str(error)) from error
        return await asyncio.open_connection(sock=connected)

    @property
    def is_removed(self) -> bool:
        """Whether its files are taken away, or were."""
        return self._is_removed

    async def lost(self) -> str:
        """Return why the pod's namespaces are gone; see `runtime.Losable`."""
        return await asyncio.shield(self._lost)

    async def remove(self) -> None:
        """See `runtime.Sandbox.remove`."""
        if self._is_removed:
            return
        for run in self._runs:
            run.kill_whole()
        await members.kill(self._family, self._project.clock)
        for run in self._runs:
            await run.ended()
        if self._watch is not None:
            await self._watch
        elif self._pause is not None:
            await self._end_pause(self._pause)
        self._is_removed = True
        if self._holder is not None:
            self._project.records.drop(self._holder)
        if "net" in self._namespaces and not (
            self.pod.uses_host_network or self._project.is_closing
        ):
            with contextlib.suppress(errors.AlongsideError):
                await self._project.hub.link(f"link delete {self._link}\n")
        for descriptor in self._namespaces.values():
            os.close(descriptor)
        self._namespaces.clear()
        await asyncio.to_thread(tidy, self.room.folder)
        await self._forget(self)

    async def _connect_network(self) -> None:
        """Join the pod's network with the hub's."""
        hub_, net = self._project.hub, self._namespaces["net"]
        link = self._link
        await hub_.link(
            f"link add {link} type veth peer name {_INTERFACE} netns {{0}}\n"
            f"link set {link} master alongside up\n",
            namespace=net,
        )
        way_out = self._project.way_out
        await hub_.link(
            "link set lo up\n"
            f"address add {self._address}/16 dev {_INTERFACE}\n"
            f"link set {_INTERFACE} up\n"
            + (f"route add default via {way_out.gateway}\n" if way_out is not None else ""),
            namespace=net,
        )

    async def _watch_pause(self, pid: int) -> None:
        await probing.ended(pid)
        await self._end_pause(pid)
        if not self._lost.done() and not self._is_removed:
            self._lost.set_result(f"the process that holds the pod (pid {pid}) was ended")

    async def _end_pause(self, pid: int) -> None:
        groups.send_group(pid, signal.SIGKILL)
        await probing.ended(pid)
        groups.reap(pid)
        groups.release(pid)

    def _family(self) -> list[groups.Entry]:
        marks = self._marks()
        marked = members.carrying(marks.home, marks.name, below=True)
        return [*members.inside(self._ids, "ipc"), *marked]

    def _limit(self, container: pods.Container) -> cgroups.Group | None:
        limits = containers.limits(container)
        name = f"{self.pod.name}/{container.name}"
        return self._project.limits.create(name, limits, is_whole=True)

    def _marks(self, container: str = "") -> ending.Marks:
        name = f"{self._mark}/{container}" if container else self._mark
        return ending.Marks(str(self._project.setting.home), name)

    def _user(self) -> Mapping[str, int]:
        user = self._project.hub.namespaces.get("user")
        return {} if user is None else {"user": user}

    def _resolving(self) -> str:
        if self._project.way_out is None:
            return "# No way out: only the names in /etc/hosts are known.\n"
        return f"nameserver {self._project.way_out.resolver}\noptions edns0\n"


def _clear(folder: Path) -> None:
    """Make a folder that anyone may write to, empty."""
    _remove(folder)
    folder.mkdir()
    folder.chmod(_SCRATCH_MODE)


def tidy(folder: Path) -> None:
    """Remove what a pod's sandbox made in its folder; nothing may run in it any more."""
    _remove(folder / "tmp")
    for name in ("hosts", "hostname", "resolv.conf"):
        (folder / name).unlink(missing_ok=True)
    for name in ("stage", "shm"):
        with contextlib.suppress(FileNotFoundError):
            (folder / name).rmdir()


def _remove(folder: Path) -> None:
    """Remove a folder with all in it, also what its owner may not write."""
    with contextlib.suppress(FileNotFoundError):
        try:
            shutil.rmtree(folder)
        except PermissionError:
            for inner, _, _ in os.walk(folder):
                with contextlib.suppress(OSError):
                    os.chmod(inner, 0o700)
            shutil.rmtree(folder)
