"""Make what runs a project's pods, and find out which of these this machine allows."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from alongside.engines.local import hosting
from alongside.engines.pods import notes, volumes
from alongside.engines.runtimes import process
from alongside.plan import choosing, commands

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from alongside.base import clock, log
    from alongside.engines.local import engine
    from alongside.engines.pods import runtime
    from alongside.plan import shape

_LATER = "it is not there yet; use --engine process"


def ours(binary: Path) -> dict[str, commands.Words]:
    """Return what stands for our own images: this very alongside."""
    return {
        "alongside": (sys.executable, "-m", "alongside"),
        "alongside-dataplane": (str(binary),),
    }


async def facts(_: Mapping[str, str]) -> choosing.Facts:
    """Return what this machine allows; what is tried for it leaves nothing behind."""
    return choosing.Facts(namespaces=_LATER, docker=_LATER)


def ground(
    name: shape.EngineName, setting: engine.Setting, clock_: clock.Clock, log_: log.Log
) -> hosting.Ground:
    """Return what pods of a project stand on; nothing is made yet."""
    told = notes.Notes(log_)
    kept = volumes.Volumes(setting.folders.volumes, told)
    return hosting.Ground(name, _runtime(name, setting, clock_, log_), kept, told)


def sweeping(
    setting: engine.Setting, clock_: clock.Clock, log_: log.Log
) -> Callable[[str], Awaitable[int]]:
    """Return what ends all that a dead supervisor left of a project's pods, by its engine's name.

    It returns how many pods or processes that were.
    """

    async def sweep(name: str) -> int:
        known: tuple[shape.EngineName, ...] = ("process", "namespaces", "docker")
        count = 0
        for one in known:
            if one == name:
                count = await _runtime(one, setting, clock_, log_).sweep()
                await volumes.Volumes(setting.folders.volumes).sweep()
        return count

    return sweep


def _runtime(
    name: shape.EngineName, setting: engine.Setting, clock_: clock.Clock, log_: log.Log
) -> runtime.Runtime:
    known = commands.Commands({}, ours(setting.binary))
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
        case _:
            raise NotImplementedError(name)
