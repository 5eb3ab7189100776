"""Run pods in namespaces of their own, on a network of the project's own."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import errors, log
from alongside.engines.pods import incarnation, inplace, notes, runtime
from alongside.engines.processes import cgroups
from alongside.engines.runtimes.namespaces import (
    checks,
    facts,
    hub,
    members,
    names,
    records,
    sandbox,
    services,
    wayout,
)
from alongside.plan import variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from alongside.base import clock
    from alongside.engines.runtimes.namespaces import setting
    from alongside.plan import pods

_HOSTS = Path("/etc/hosts")


class NamespacesRuntime:
    """A `runtime.Runtime`; Linux only."""

    name = "namespaces"

    def __init__(
        self, setting_: setting.Setting, clock_: clock.Clock, log_: log.Log | None = None
    ) -> None:
        """Take for whom to work; nothing is made yet."""
        self.setting = setting_
        self._clock = clock_
        self._log = log_ or log.Log(clock_)
        self._notes = notes.Notes(log_)
        self._project: sandbox.Project | None = None
        self._way_out: wayout.WayOut | None = None
        self._services: services.Services | None = None
        self._sandboxes: dict[str, sandbox.PodSandbox] = {}
        self._count = 0
        self._records = records.Records(setting_.home)
        self._limits: cgroups.Cgroups | None = None

    async def open(self) -> None:
        """Make the project's network; see `runtime.Runtime.open`."""
        if self._project is not None:
            return
        limits = self._cgroups()
        found = {one.name: one for one in await facts.facts(self.setting.environment, limits)}
        if not found["namespaces"].is_there:
            raise errors.PermanentError(
                f"--engine namespaces cannot be used: {facts.problem(tuple(found.values()))}"
            )
        hub_ = hub.Hub(self.setting, self._clock, is_privileged=found["root"].is_there)
        await hub_.open()
        self._project = sandbox.Project(self.setting, hub_, limits, self._clock, self._log)
        self._services = services.Services(self._project, self._clock, self._log, self._notes)
        await self._lead_out(self._project)

    def notes(self) -> list[str]:
        """Return what this machine does not give, for people: no way out, no limits."""
        return self._notes.all()

    def problems(self, wanted: Sequence[pods.Pod]) -> list[str]:
        """See `runtime.Runtime.problems`."""
        limits = self._cgroups()
        for pod in wanted:
            for text in checks.lacks(pod, limits):
                self._notes.say(text)
        return checks.problems(wanted, self.setting)

    async def create(self, room: runtime.Room) -> sandbox.PodSandbox:
        """See `runtime.Runtime.create`."""
        project, services_ = self._opened()

        async def make() -> sandbox.PodSandbox:
            made = sandbox.PodSandbox(room, project, self._number(), self._forget)
            await made.make()
            return made

        made = await hub.again(make)
        self._sandboxes[room.pod.name] = made
        try:
            self._tell()
            await services_.expose(room.pod, made.address)
        except BaseException:
            await asyncio.shield(made.remove())
            raise
        return made

    async def serve(self, services: Sequence[runtime.Served]) -> None:
        """See `runtime.Runtime.serve`; the pods' /etc/hosts say the same from now on."""
        project, services_ = self._opened()
        await services_.serve(services)
        links: dict[str, str] = {}
        for one in services:
            if not one.service.is_headless:
                address = services_.inside[one.service.name]
                links |= variables.links(one.service, address)
        project.links = links
        self._tell()

    def addresses(self) -> Mapping[str, str]:
        """See `runtime.Runtime.addresses`."""
        return self._services.published if self._services is not None else {}

    async def close(self) -> None:
        """See `runtime.Runtime.close`."""
        if self._project is not None:
            self._project.is_closing = True
        if self._services is not None:
            await self._services.close()
        if self._way_out is not None:
            await self._way_out.close()
        # All at once is much quicker than pod by pod, which finds nothing left to end then.
        await self._kill_all()
        results = await asyncio.gather(
            *(one.remove() for one in self._sandboxes.values()), return_exceptions=True
        )
        for error in results:
            if isinstance(error, BaseException):
                self._log.error("pod_not_removed", reason=str(error))
        if self._project is not None:
            await self._project.hub.close()
        self._project = self._services = self._way_out = None

    @contextlib.contextmanager
    def traced(self) -> Iterator[runtime.Traced]:
        """See `runtime.Traceable.traced`."""
        with self._records.held() as ours:
            holders = frozenset(one.holder for one in self._records.read())
            yield runtime.Traced(lambda: members.within(ours), holders)

    async def sweep(self) -> int:
        """See `runtime.Runtime.sweep`."""
        count = await self._kill_all()
        incarnation.sweep(self.setting.folder)
        for folder in (self.setting.home / "pods").glob("*"):
            with contextlib.suppress(OSError):  # something is mounted there, or is not ours
                await asyncio.to_thread(sandbox.tidy, folder)
        return count

    async def _kill_all(self) -> int:
        home, project = str(self.setting.home), self.setting.project
        with self._records.held() as ours:
            # What is in a cgroup is frozen first, so that nothing forks away.
            await self._cgroups().sweep(self._clock)
            killed = await members.kill(
                lambda: [*members.marked(home, project), *members.within(ours)], self._clock
            )
        self._records.clear()
        return len(killed)

    def _opened(self) -> tuple[sandbox.Project, services.Services]:
        if self._project is None or self._services is None:
            raise errors.PermanentError("the project's network is not open")
        return self._project, self._services

    def _number(self) -> int:
        """Return a number that no pod has; those used last come again last."""
        self._count += 1
        return self._count - 1

    def _cgroups(self) -> cgroups.Cgroups:
        if self._limits is None:
            self._limits = cgroups.Cgroups.of_project(self.setting.home)
        return self._limits

    async def _forget(self, gone: sandbox.PodSandbox) -> None:
        """Let a pod's names and ports go with it."""
        if self._sandboxes.get(gone.pod.name) is gone:
            del self._sandboxes[gone.pod.name]
            if self._project is not None and not self._project.is_closing:
                self._tell()
            if self._services is not None:
                await self._services.conceal(gone.pod)

    def _tell(self) -> None:
        """Let every pod's /etc/hosts say what is."""
        services_ = self._services
        if services_ is None:
            return
        standing = [one.placed for one in self._sandboxes.values()]
        of_machine = ""
        with contextlib.suppress(OSError):
            of_machine = _HOSTS.read_text(errors="replace")
        for one in self._sandboxes.values():
            if one.is_removed:
                continue  # its files are being taken away, and would come back
            if one.pod.uses_host_network:
                content = names.hosts_of_machine(
                    one.placed, of_machine, services_.served, services_.published
                )
            else:
                content = names.hosts(one.placed, standing, services_.served, services_.inside)
            try:
                inplace.write(one.hosts, content)
            except OSError as error:
                self._log.error("hosts_not_written", pod=one.pod.name, reason=str(error))

    async def _lead_out(self, project: sandbox.Project) -> None:
        """Make a way out where there is a tool for it; pods can do without."""
        if not self.setting.ways_out:
            return
        way = wayout.WayOut(self.setting, project.hub, self._clock, self._log)
        lack = way.lack
        if not lack:
            try:
                await way.open()
            except (errors.AlongsideError, OSError) as error:  # a time-out is one of the latter
                lack = str(error) or f"{type(error).__name__} of the tool that leads out"
            else:
                self._way_out = way
                project.way_out = way.carrier
        if lack:
            self._notes.say(f"pods reach each other and nothing outside: {lack}")
