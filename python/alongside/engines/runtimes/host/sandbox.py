"""Keep what runs of one pod, and end all of it."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.engines.pods import beneath
from alongside.engines.processes import cgroups, ending, groups, spawning
from alongside.engines.runtimes.host import packages, running, surroundings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from alongside.base import clock
    from alongside.engines.pods import notes, runtime
    from alongside.plan import pods


@dataclass(frozen=True, slots=True)
class Setting:
    """What a sandbox works with."""

    project: str
    home: str
    environment: Mapping[str, str]
    words: surroundings.Words
    links: Callable[[], Mapping[str, str]]
    """Tells where Services are by now."""
    limits: cgroups.Cgroups
    notes: notes.Notes
    removed: Callable[[PodSandbox], Awaitable[None]]
    """Called when all of the pod has ended."""


class PodSandbox:
    """A `runtime.Sandbox` without walls: its pod's processes are beside all others."""

    def __init__(
        self, room: runtime.Room, address: str, setting: Setting, clock_: clock.Clock
    ) -> None:
        """Take the pod's room and address; nothing is made for it."""
        self.room = room
        self._address = address
        self._setting = setting
        self._clock = clock_
        self._runs: list[running.Run] = []
        self._removing: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """The pod's IP address."""
        return self._address

    async def start(self, container: pods.Container, attempt: int) -> runtime.Running:
        """Start a container.

        Raises:
            errors.PermanentError: it cannot be started.
        """
        if self._removing is not None:
            raise errors.PermanentError("its pod is being removed")
        pod, setting = self.room.pod, self._setting
        given = surroundings.Given(
            setting.environment, setting.links(), self.room.volumes, self._address
        )
        try:
            prepared = surroundings.prepare(pod, container, setting.words, given)
        except errors.UsageError as error:
            raise errors.PermanentError(str(error)) from error
        self._make_sub_paths(container)
        self._check(prepared)
        self._tell(container, prepared)
        marks = ending.Marks(setting.home, f"{setting.project}/{pod.name}/{container.name}")
        environment = {
            **prepared.environment,
            groups.MARK: marks.name,
            groups.HOME_MARK: marks.home,
        }
        program = spawning.Program(
            (*prepared.as_user, *prepared.argv),
            environment,
            prepared.directory,
            self.room.logs[container.name],
        )
        cgroup = self._cgroup(container, f"{pod.name}/{container.name}/{attempt}")
        start = running.Start(program, marks, prepared.inside, cgroup)
        try:
            run = running.Run(start, self._clock)
        except errors.AlongsideError:
            if cgroup is not None:
                await cgroup.remove(self._clock)
            raise
        self._runs = [one for one in self._runs if not one.is_over]
        self._runs.append(run)
        return run

    async def connect(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to a host, or the pod; raises OSError where nothing answers."""
        return await asyncio.open_connection(host or self._address, port)

    async def remove(self) -> None:
        """End whatever is left of the pod, at once; may be called again."""
        if self._removing is None:
            self._removing = asyncio.get_running_loop().create_task(self._remove())
        try:
            await asyncio.shield(self._removing)
        except Exception:
            self._removing = None  # what failed once is tried anew
            raise

    async def _remove(self) -> None:
        await asyncio.gather(*(run.signal(signal.SIGKILL) for run in self._runs))
        await asyncio.gather(*(run.ended() for run in self._runs))
        setting = self._setting
        below = f"{setting.project}/{self.room.pod.name}/"
        await ending.end_marked(setting.home, lambda name: name.startswith(below), self._clock)
        await setting.removed(self)

    def _check(self, prepared: surroundings.Prepared) -> None:
        """Refuse what the shell between us and the program would only tell the log."""
        directory = prepared.directory
        if directory is not None and not os.path.isdir(directory):
            raise errors.PermanentError(f"workingDir: {directory} is no folder of this machine")
        command = prepared.argv[0] if prepared.argv else ""
        if not command:
            raise errors.PermanentError("command: it is empty; write command: [PROGRAM]")
        if why := packages.missing(command, prepared.environment, directory or ""):
            raise errors.PermanentError(why)

    def _make_sub_paths(self, container: pods.Container) -> None:
        """Make the folder of each subPath that is not there, as Kubernetes does."""
        for mount in container.mounts:
            root = self.room.volumes.get(mount.volume)
            if root is not None and mount.sub_path:
                try:
                    os.close(beneath.opened(root, mount.sub_path, makes=True))
                except OSError as error:
                    raise errors.PermanentError(
                        f"volumeMounts: {error.strerror or error}; name a path in the volume"
                    ) from error

    def _cgroup(self, container: pods.Container, name: str) -> cgroups.Group | None:
        setting = self._setting
        limits = cgroups.Limits(container.cpu_millis, container.memory_bytes)
        where = self._where(container)
        for controller in setting.limits.missing(limits):
            setting.notes.say(
                f"{where}.resources.limits.{controller}: is not held, since this user may make no "
                f"cgroup with {controller} here; run as root, or in a session that has one"
            )
        try:
            return setting.limits.create(name, limits)
        except OSError as error:
            setting.notes.say(f"{where}.resources.limits: are not held ({error.strerror})")
            return None

    def _tell(self, container: pods.Container, prepared: surroundings.Prepared) -> None:
        """Say what the process engine cannot do for a container, each thing once."""
        where, say = self._where(container), self._setting.notes.say
        if prepared.led:
            say(
                f"{where}: the process engine cannot mount, so {_listed(prepared.led)} in its "
                "command and variables became the volumes' own folders"
            )
        for path in prepared.hidden:
            say(
                f"{where}: {path} stands within a word of its command, where the process engine "
                "leaves it; write $(ALONGSIDE_VOLUME_NAME), or --engine namespaces"
            )
        published = {one.name for one in self.room.pod.volumes if one.kind == "files"}
        kept = (one for one in container.mounts if one.volume not in published)
        asked = (
            (container.is_read_only, "securityContext.readOnlyRootFilesystem"),
            (any(mount.is_read_only for mount in kept), "volumeMounts.readOnly"),
            (bool(container.added_capabilities), "securityContext.capabilities.add"),
            (container.is_terminal, "tty"),
            (container.pull == "always", "imagePullPolicy: Always"),
        )
        for is_asked, name in asked:
            if is_asked:
                say(f"{where}.{name}: is not honoured by the process engine")
        if self.room.pod.aliases:
            pod = self.room.pod
            say(f"{pod.owner or pod.name}: hostAliases: is not honoured by the process engine")

    def _where(self, container: pods.Container) -> str:
        pod = self.room.pod
        return f"{pod.owner or pod.name}: containers.{container.name}"


def _listed(paths: tuple[str, ...]) -> str:
    return ", ".join(paths[:3]) + (" and more" if len(paths) > 3 else "")
