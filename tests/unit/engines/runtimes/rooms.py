"""Make rooms for pods of a test, and wait for what its processes do."""

from __future__ import annotations

import asyncio
import io
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from alongside.base import clock, log
from alongside.engines.pods import runtime, volumes
from alongside.engines.processes import groups
from alongside.engines.runtimes import process
from alongside.plan import pods

BINARY = Path(sys.executable).parent / "alongside-dataplane"
DEADLINE_S = 30.0


def words(_: pods.Pod, container: pods.Container) -> tuple[str, ...]:
    """Return what a container says itself."""
    return (*container.command, *container.args)


def shell(script: str, name: str = "main", **more: object) -> pods.Container:
    """Return a container that runs a script."""
    return pods.Container(name, command=("sh", "-c", script), **more)  # type: ignore[arg-type]


class Project:
    """A project's runtime, and what its pods' rooms are made of."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        """Take a folder of the test's own."""
        self.home, short = folder / "s", folder / "r"
        for one in (self.home, short, folder / "logs"):
            one.mkdir(exist_ok=True)
        self.logs = folder / "logs"
        clock_ = clock.SystemClock()
        setting = process.Setting(
            "p", self.home, short, folder / "balancer.log", BINARY,
            os.environ if environment is None else environment, words,
        )  # fmt: skip
        self.runtime = process.ProcessRuntime(
            setting, clock_, log.Log(clock_, stream=io.StringIO())
        )
        self.volumes = volumes.Volumes(self.home / "volumes")

    async def create(self, pod: pods.Pod) -> runtime.Sandbox:
        """Make a pod's surroundings."""
        made = await self.volumes.make(pod)
        logs = {one.name: self.log(pod, one.name) for one in pod.containers}
        return await self.runtime.create(runtime.Room(pod, made, self.home, logs))

    async def start(self, container: pods.Container, **more: object) -> runtime.Running:
        """Start the one container of a pod."""
        pod = pods.Pod("web-0", (container,), **more)  # type: ignore[arg-type]
        return await (await self.create(pod)).start(container, 0)

    def log(self, pod: pods.Pod, container: str) -> Path:
        """Return where a container's output goes."""
        return self.logs / f"{pod.name}.{container}.log"

    def said(self, container: str = "main", pod: str = "web-0") -> str:
        """Return what a container has written."""
        path = self.logs / f"{pod}.{container}.log"
        return path.read_text() if path.exists() else ""


def run(
    folder: Path,
    work: Callable[[Project], Awaitable[None]],
    environment: Mapping[str, str] | None = None,
) -> None:
    """Do the work of a test with a project, of which no process is left behind."""

    async def whole() -> None:
        made = Project(folder, environment)
        try:
            await made.runtime.open()
            await work(made)
        finally:
            await made.runtime.close()
            await made.volumes.sweep()
        assert not groups.marked(str(made.home))

    asyncio.run(whole())


async def until(is_so: Callable[[], bool]) -> None:
    """Return when something is so; fail where that takes too long."""

    def wait() -> None:
        deadline_s = time.monotonic() + DEADLINE_S
        while not is_so():
            assert time.monotonic() < deadline_s, "it took too long"
            time.sleep(0.01)

    await asyncio.to_thread(wait)
