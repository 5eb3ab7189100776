"""Make what runs a project's pods, and find out which of these this machine allows."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.dockerd import address
from alongside.engines.local import hosting
from alongside.engines.pods import notes, runtime, volumes
from alongside.engines.processes import cgroups
from alongside.engines.runtimes import process
from alongside.engines.runtimes.docker import facts as docker_facts
from alongside.engines.runtimes.docker import runtime as docker
from alongside.engines.runtimes.docker import setting as docker_setting
from alongside.engines.runtimes.namespaces import facts as namespaces_facts
from alongside.engines.runtimes.namespaces import runtime as namespaces
from alongside.engines.runtimes.namespaces import setting as namespaces_setting
from alongside.plan import choosing, commands
from alongside.server import journal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alongside.base import clock, log
    from alongside.engines.local import engine
    from alongside.engines.processes import facts as machine
    from alongside.plan import shape

_NO_ENGINE = Path("/var/run/docker.sock")
"""Asked where no socket is found, so that what fails is said in the engine's own words."""


def ours(binary: Path) -> dict[str, commands.Words]:
    """Return what stands for our own images: this very alongside."""
    return {
        "alongside": (sys.executable, "-m", "alongside"),
        "alongside-dataplane": (str(binary),),
    }


def programs() -> dict[str, commands.Words]:
    """Return what runs where an image's program is taken over by one of ours."""
    return {"nutcracker": (sys.executable, "-m", "alongside.cli.nutcracker")}


async def facts(setting: engine.Setting) -> choosing.Facts:
    """Return what this machine allows; what is tried for it leaves nothing behind."""
    limits = cgroups.Cgroups.of_project(setting.folders.state)
    inside, engine_ = await asyncio.gather(
        namespaces_facts.facts(setting.environment, limits),
        docker_facts.facts(setting.environment),
    )
    return choosing.Facts(
        namespaces=_why_not(inside, "namespaces"), docker=_why_not(engine_, "docker")
    )


def _why_not(found: Sequence[machine.Fact], name: str) -> str:
    """Return why something that was looked for cannot be used, and the remedy; else nothing."""
    one = next(one for one in found if one.name == name)
    if one.is_there:
        return ""
    return f"{one.reason}; {one.remedy}" if one.remedy else one.reason


def ground(
    name: shape.EngineName, setting: engine.Setting, clock_: clock.Clock, log_: log.Log
) -> hosting.Ground:
    """Return what pods of a project stand on; nothing is made yet."""
    told = notes.Notes(log_)
    kept = volumes.Volumes(setting.folders.volumes, told)
    running = _runtime(name, setting, clock_, log_)
    at = str(running.setting.socket) if isinstance(running, docker.DockerRuntime) else ""
    return hosting.Ground(name, running, kept, told, at)


class Remains:
    """What a dead supervisor left of a project's pods, by the name of the engine that ran them.

    A Docker engine is asked where that supervisor had it, whatever `DOCKER_HOST` says now.
    """

    def __init__(self, setting: engine.Setting, clock_: clock.Clock, log_: log.Log) -> None:
        """Take whose they are."""
        self._setting = setting
        self._clock = clock_
        self._log = log_

    @contextlib.contextmanager
    def traced(self, name: str) -> Iterator[runtime.Traced]:
        """See `leftovers.Remains.traced`."""
        found = self._runtime(name)
        if not isinstance(found, runtime.Traceable):
            yield runtime.Traced()
            return
        with found.traced() as traced:
            yield traced

    async def sweep(self, name: str) -> int:
        """See `leftovers.Remains.sweep`."""
        found = self._runtime(name)
        if found is None:
            return 0
        count = await found.sweep()
        await volumes.Volumes(self._setting.folders.volumes).sweep()
        return count

    def _runtime(self, name: str) -> runtime.Runtime | None:
        known: tuple[shape.EngineName, ...] = ("process", "namespaces", "docker")
        engine_ = next((one for one in known if one == name), None)
        if engine_ is None:
            return None
        socket = _socket_before(self._setting)
        return _runtime(engine_, self._setting, self._clock, self._log, socket)


def _socket_before(setting: engine.Setting) -> Path | None:
    """Return where the last supervisor had a Docker engine, if anything is there still."""
    path = Path(journal.read(setting.folders.journal).socket)
    return path if path.is_socket() else None


def _runtime(
    name: shape.EngineName,
    setting: engine.Setting,
    clock_: clock.Clock,
    log_: log.Log,
    socket: Path | None = None,
) -> runtime.Runtime:
    known = commands.Commands({}, ours(setting.binary), programs())
    match name:
        case "process":
            return process.ProcessRuntime(
                process.Setting(
                    setting.project,
                    setting.folders.state,
                    setting.folders.runtime,
                    setting.folders.log("services~"),
                    setting.binary,
                    setting.environment,
                    known.words,
                ),
                clock_,
                log_,
            )
        case "namespaces":
            return namespaces.NamespacesRuntime(
                namespaces_setting.Setting(
                    setting.project,
                    setting.folders.state,
                    setting.folders.runtime,
                    setting.folders.log("services~"),
                    setting.binary,
                    setting.environment,
                    known.words,
                ),
                clock_,
                log_,
            )
        case "docker":
            return docker.DockerRuntime(
                docker_setting.Setting(
                    setting.project,
                    setting.folders.state,
                    setting.folders.runtime,
                    setting.binary,
                    socket or address.found(setting.environment) or _NO_ENGINE,
                ),
                clock_,
                log_,
            )
