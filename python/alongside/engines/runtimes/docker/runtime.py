"""Run pods as containers of an engine, on a network of the project's own."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

from alongside.base import errors, log
from alongside.dockerd import answers, client, engine
from alongside.engines.runtimes.docker import (
    balancers,
    checks,
    containers,
    facts,
    names,
    project,
    sandbox,
    subpaths,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alongside.base import clock
    from alongside.engines.pods import runtime
    from alongside.engines.runtimes.docker import setting
    from alongside.plan import pods


class DockerRuntime:
    """A `runtime.Runtime`."""

    name = "docker"

    def __init__(
        self, setting_: setting.Setting, clock_: clock.Clock, log_: log.Log | None = None
    ) -> None:
        """Take for whom to work; nothing is made yet."""
        self.setting = setting_
        self._clock = clock_
        self._log = log_ or log.Log(clock_)
        self._project: project.Project | None = None
        self._balancers: balancers.Balancers | None = None
        self._pods: dict[str, sandbox.PodSandbox] = {}
        self._headless: dict[str, tuple[str, ...]] = {}

    def notes(self) -> list[str]:
        """Return what this engine does not give, for people."""
        if self._project is None:
            return []
        lacking = [
            f"docker: {fact.reason}" + (f"; {fact.remedy}" if fact.remedy else "")
            for fact in self._project.facts
            if not fact.is_there
        ]
        return lacking + (self._balancers.notes() if self._balancers is not None else [])

    async def open(self) -> None:
        """See `runtime.Runtime.open`; an engine that just starts is waited for."""
        if self._project is not None:
            return
        asked = engine.Engine(self.setting.socket)
        try:
            self._project = await project.opened(self.setting, self._clock, self._log, asked)
        except BaseException:
            await asked.close()
            raise
        self._balancers = balancers.Balancers(self._project, self._pod_at, self._tell)

    def problems(self, wanted: Sequence[pods.Pod]) -> list[str]:
        """See `runtime.Runtime.problems`; some questions to the engine for each image.

        Raises:
            errors.AlongsideError: the engine does not answer.
        """
        with client.Client(self.setting.socket) as asked:
            labels = names.labels(self.setting.project, self.setting.home)
            return list(checks.problems(asked, wanted, labels))

    async def create(self, room: runtime.Room) -> sandbox.PodSandbox:
        """See `runtime.Runtime.create`."""
        made = sandbox.PodSandbox(self._opened(), room)
        await made.make()
        self._pods[room.pod.name] = made
        return made

    async def serve(self, services: Sequence[runtime.Served]) -> None:
        """See `runtime.Runtime.serve`; the pods' /etc/hosts say the same from now on.

        A Service whose ports change gets another container, and its connections end with the old.
        """
        self._opened().served = tuple(one.service for one in services)
        self._headless = balancers.headless(services)
        try:
            if self._balancers is not None:
                await self._balancers.put([one for one in services if not one.service.is_headless])
        finally:
            self._tell()

    def addresses(self) -> Mapping[str, str]:
        """See `runtime.Runtime.addresses`."""
        return self._balancers.reached() if self._balancers is not None else {}

    async def close(self) -> None:
        """See `runtime.Runtime.close`; the image stays, as other projects use it."""
        await asyncio.gather(*(one.remove() for one in self._pods.values()), return_exceptions=True)
        self._pods.clear()
        if self._balancers is not None:
            await self._balancers.close()
        await self.sweep()
        if self._project is not None:
            await self._project.asked.close()
        self._project = self._balancers = None

    async def sweep(self) -> int:
        """See `runtime.Runtime.sweep`; a pod counts as one, and so does a Service."""
        async with engine.Engine(self.setting.socket) as asked:
            await containers.await_answer(asked, self._clock, facts.ANSWER_S_MAX)
            found = await containers.find(asked, {names.HOME: str(self.setting.home)})
            await containers.remove_all(asked, [answers.text(one, "Id") for one in found])
            await project.remove_networks(asked, self.setting)
        shutil.rmtree(self.setting.folder / "services", ignore_errors=True)
        subpaths.sweep(self.setting.folder)
        for folder in (self.setting.home / "pods").glob("*"):
            sandbox.tidy(folder)
        labels = [answers.record(one, "Labels") for one in found]
        return len({(one.get(names.POD), one.get(names.SERVICE)) for one in labels})

    def _opened(self) -> project.Project:
        if self._project is None:
            raise errors.PermanentError("the docker runtime is not open")
        return self._project

    def _pod_at(self, host: str) -> str:
        there = (one for one in self._pods.values() if not one.is_removed)
        return next((one.pod.name for one in there if one.address == host), "")

    def _tell(self) -> None:
        """Say in every pod where the Services are now."""
        if self._project is None or self._balancers is None:
            return
        self._project.services = {**self._balancers.addresses(), **self._headless}
        self._pods = {name: one for name, one in self._pods.items() if not one.is_removed}
        for one in self._pods.values():
            one.write_hosts()
