"""Make the pods of a project on its runtime, and keep its Services told of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.engines.local import jobs, services
from alongside.engines.pods import driver, notes, runtime, updating, volumes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from alongside.base import clock, log
    from alongside.engines.local import folders
    from alongside.plan import pods, shape

CHECK_S_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Ground:
    """What pods stand on: how they are run, and where their volumes are."""

    name: shape.EngineName
    runtime: runtime.Runtime
    volumes: updating.Volumes
    notes: notes.Notes = field(default_factory=notes.Notes)
    """What volumes do not honour."""
    socket: str = ""
    """Where a Docker engine listens that runs them."""


class Hosting:
    """The pods' part of an engine; all methods belong to one event loop."""

    def __init__(
        self,
        ground: Ground,
        places: folders.Folders,
        clock_: clock.Clock,
        changed: Callable[[], None],
        log_: log.Log,
    ) -> None:
        """Take what pods stand on, and whom to tell of changes; nothing starts yet."""
        self.jobs = jobs.Jobs(clock_, changed, log_)
        self.ground = ground
        self._places = places
        self._clock = clock_
        self._changed = changed
        self._log = log_
        self._services = services.Services(ground.runtime, clock_, changed, log_)
        self._planned: tuple[pods.Service, ...] = ()
        self._pods: tuple[pods.Pod, ...] = ()
        self._is_open = False
        self._may_be_there = False

    async def open(self) -> None:
        """Make what pods stand on, unless it is there.

        Raises:
            errors.AlongsideError: this machine does not allow it; nothing of it is left.
        """
        if self._is_open:
            return
        self._may_be_there = True
        try:
            await self.ground.runtime.open()
        except BaseException:
            await self.ground.runtime.close()
            self._may_be_there = False
            raise
        self._is_open = True

    @property
    def stands_on(self) -> str:
        """The runtime's name, as long as anything that it made may be there; else nothing."""
        return self.runs_on if self._may_be_there else ""

    @property
    def runs_on(self) -> shape.EngineName:
        """The runtime's name."""
        return self.ground.name

    async def check(self, plan: shape.Plan) -> None:
        """Refuse a plan of another engine, or with pods that cannot run here.

        Raises:
            errors.UsageError: every reason.
            errors.TemporaryError: who has to be asked for it says nothing.
        """
        wanted = [process.pod for process in plan.processes if process.pod is not None]
        if wanted and plan.engine != self.runs_on:
            raise errors.UsageError(f"the project is up with --engine {self.runs_on}")
        try:
            # Looking at images takes a while, in which the loop has to look after what runs.
            async with asyncio.timeout(CHECK_S_MAX):
                found = await asyncio.to_thread(self.ground.runtime.problems, wanted)
        except TimeoutError as error:
            raise errors.TemporaryError(
                f"whether pods can run with {self.runs_on} was not known within {CHECK_S_MAX:g}s; "
                "see that it answers, and try again",
                retry_after_s=CHECK_S_MAX,
            ) from error
        found += [problem for pod in wanted for problem in volumes.problems(pod)]
        if found:
            raise errors.UsageError(*dict.fromkeys(found))

    def child(self, process: shape.Process) -> driver.PodChild:
        """Return a pod that can start; it does when the runtime knows the plan's Services."""
        if process.pod is None:
            raise errors.PermanentError(f"{process.name} is no pod")
        place = driver.Place(
            _Patient(self.ground.runtime, self._services),
            self.ground.volumes,
            self._places.pod(process.name),
            self._places.container_logs(process.pod),
        )
        return driver.PodChild(process, place, self._clock, self._changed, self._log)

    def plan(self, plan: shape.Plan, running: Iterable[str]) -> None:
        """Take the Services of another plan; pods that run and are to go stay behind them."""
        leaving = set(running).difference(one.name for one in plan.processes)
        self._planned = services.carried(self._planned, plan.services, leaving)
        self._pods = tuple(one.pod for one in plan.processes if one.pod is not None)
        self.jobs.plan(plan)

    def serve(self, children: Iterable[driver.PodChild], stopping: frozenset[str]) -> None:
        """Let Services send to the pods that are ready and are not to end."""
        children = list(children)
        going = {one.process.name: one for one in children if one.process.name not in stopping}
        addresses = {name: one.address for name, one in going.items() if one.address}
        ready = {name for name, one in going.items() if one.state == "ready"}
        running = [one.process.pod for one in children if one.process.pod is not None]
        told = services.served(self._planned, addresses, ready, planned=self._pods, running=running)
        self._services.want(told)

    async def settled(self) -> None:
        """Return when Services send only to those, or after a short time."""
        await self._services.settled()

    def addresses(self) -> Mapping[str, str]:
        """Return where Services are reached from this machine: `NAME:PORT` to HOST:PORT."""
        return self._services.addresses()

    def warnings(self) -> list[str]:
        """Return what people should know of pods and Services."""
        running = self.ground.runtime
        told = running.notes() if isinstance(running, runtime.Noting) else []
        failed = self.jobs.failed().values()
        return [*failed, *self._services.warnings(), *self.ground.notes.all(), *told]

    async def close(self) -> None:
        """Take away what pods stand on; for when no pod is left."""
        await self.jobs.close()
        await self._services.close()
        if self._is_open:
            await self.ground.runtime.close()
            self._is_open = self._may_be_there = False


class _Patient:
    """A runtime that makes a pod's surroundings only when it knows the plan's Services."""

    def __init__(self, inner: runtime.Runtime, known: services.Services) -> None:
        self.name = inner.name
        self._inner = inner
        self._known = known

    async def create(self, room: runtime.Room) -> runtime.Sandbox:
        await self._known.named()
        return await self._inner.create(room)

    async def open(self) -> None:
        await self._inner.open()

    def problems(self, wanted: Sequence[pods.Pod]) -> list[str]:
        return self._inner.problems(wanted)

    async def serve(self, wanted: Sequence[runtime.Served]) -> None:
        await self._inner.serve(wanted)

    def addresses(self) -> Mapping[str, str]:
        return self._inner.addresses()

    async def close(self) -> None:
        await self._inner.close()

    async def sweep(self) -> int:
        return await self._inner.sweep()
