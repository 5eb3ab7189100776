"""One pod on the bare runtime, for the tests of its driver."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.unit.engines.pods import bare

from alongside.base import clock, log
from alongside.engines.pods import driver
from alongside.plan import pods, shape

DEADLINE_S = 20.0
SLEEPER = (sys.executable, "-S", "-c", "import time; time.sleep(600)")
WEB = pods.Container("web", command=SLEEPER)


class Yard:
    """One pod on the bare runtime."""

    def __init__(self, folder: Path, pod: pods.Pod) -> None:
        self.runtime = bare.Runtime()
        self.volumes = bare.Volumes(folder / "volumes")
        self.logs = {one.name: folder / f"{one.name}.log" for one in pod.containers}
        self.output = io.StringIO()
        self.changes = 0
        self.clock = clock.SystemClock()
        self.child = driver.PodChild(
            shape.Process(pod.name, "app", pod=pod, grace_s=pod.grace_s),
            driver.Place(self.runtime, self.volumes, folder / "room", self.logs),
            self.clock,
            self.change,
            log.Log(self.clock, stream=self.output),
        )

    def change(self) -> None:
        """Count a change."""
        self.changes += 1

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so, for a limited time."""
        async with asyncio.timeout(DEADLINE_S):
            while not is_so():
                await self.clock.sleep(0.01)

    async def until_ready(self) -> None:
        """Wait until the pod is ready."""
        await self.until(lambda: self.child.state == "ready")

    def status(self, name: str) -> driver.Status:
        """Return the status of a container."""
        return next(one for one in self.child.containers() if one.name == name)

    def last_message(self, name: str) -> str:
        """Return how a container ended last."""
        last = self.status(name).last
        return "" if last is None else last.message


def play(
    tmp_path: Path, pod: pods.Pod, scene: Callable[[Yard], Awaitable[None]], *, starts: bool = True
) -> Yard:
    """Run a scene with a pod, and see that nothing is left after it."""

    async def run() -> Yard:
        yard = Yard(tmp_path, pod)
        if starts:
            yard.child.start()
        try:
            await scene(yard)
        finally:
            yard.child.grace_s = min(yard.child.grace_s, 1.0)
            await yard.child.stop()
        assert yard.runtime.alive() == []
        await yard.until(lambda: len(asyncio.all_tasks()) == 1)
        return yard

    return asyncio.run(run())
