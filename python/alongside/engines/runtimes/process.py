"""Run containers as plain processes on the host's network; nothing is needed but the system."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside.base import log
from alongside.engines.pods import balancing, notes
from alongside.engines.processes import cgroups, ending
from alongside.engines.runtimes.host import sandbox, serving, surroundings
from alongside.plan import loopback

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from alongside.base import clock
    from alongside.engines.pods import runtime
    from alongside.plan import pods

_SLASHES = 2
"""In the mark of what runs for pods, PROJECT/POD/CONTAINER; other children have one."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What all pods of a project have in common."""

    project: str
    home: Path
    """The project's state folder: the mark by which its processes are found."""
    folder: Path
    """For the balancer's document and admin door: short; there."""
    log: Path
    """The balancer's."""
    binary: Path
    """The data plane's, for the balancer."""
    environment: Mapping[str, str]
    """Given to every container, with its own variables over it; PATH finds its command."""
    words: surroundings.Words


class ProcessRuntime:
    """A `runtime.Runtime`."""

    name = "process"

    def __init__(self, setting: Setting, clock_: clock.Clock, log_: log.Log | None = None) -> None:
        """Take for whom to work; nothing is made yet."""
        self.setting = setting
        self._clock = clock_
        self._log = log_ or log.Log(clock_)
        self._notes = notes.Notes(self._log)
        self._limits = cgroups.Cgroups.of_project(setting.home)
        self._sandboxes: list[sandbox.PodSandbox] = []
        self._balancer = balancing.Balancer(
            balancing.Setting(
                setting.project,
                setting.home,
                setting.folder,
                setting.log,
                setting.binary,
                setting.environment,
            ),
            clock_,
            self._log,
        )
        self._services = serving.Services(setting.project, self._balancer, self._notes)

    def notes(self) -> list[str]:
        """Return what was not honoured, for people, each thing once."""
        return self._notes.all()

    async def open(self) -> None:
        """See `runtime.Runtime.open`; there is nothing to make."""

    def problems(self, wanted: Sequence[pods.Pod]) -> list[str]:
        """See `runtime.Runtime.problems`."""
        found: list[str] = []
        for pod in wanted:
            given = surroundings.Given(
                self.setting.environment, {}, self._volumes(pod), self._address(pod)
            )
            found += surroundings.problems(pod, self.setting.words, given)
        return found

    async def create(self, room: runtime.Room) -> sandbox.PodSandbox:
        """See `runtime.Runtime.create`.

        Its containers get the service links of what `serve` was last told: call that before, with
        no backends yet.
        """
        setting = self.setting
        address = self._address(room.pod)
        await self._services.forward(room.pod, address)
        made = sandbox.PodSandbox(
            room,
            address,
            sandbox.Setting(
                setting.project,
                str(setting.home),
                setting.environment,
                setting.words,
                self._services.links,
                self._limits,
                self._notes,
                self._forget,
            ),
            self._clock,
        )
        self._sandboxes.append(made)
        return made

    async def serve(self, services: Sequence[runtime.Served]) -> None:
        """See `runtime.Runtime.serve`."""
        await self._services.serve(services)

    def addresses(self) -> Mapping[str, str]:
        """See `runtime.Runtime.addresses`."""
        return self._services.addresses()

    async def close(self) -> None:
        """See `runtime.Runtime.close`; pods that are there are ended at once."""
        for one in list(self._sandboxes):
            await one.remove()
        await self._services.close()
        await self._limits.sweep(self._clock)

    async def sweep(self) -> int:
        """End what a dead supervisor left of this project's pods; for before any is created."""
        prefix = f"{self.setting.project}/"

        def is_ours(name: str) -> bool:
            return name.startswith(prefix) and name.count("/") == _SLASHES

        count = await ending.end_marked(str(self.setting.home), is_ours, self._clock)
        count += await self._limits.sweep(self._clock)
        self._balancer.sweep()
        return count

    async def _forget(self, gone: sandbox.PodSandbox) -> None:
        if gone in self._sandboxes:
            self._sandboxes.remove(gone)
            await self._services.forget(gone.room.pod)

    def _address(self, pod: pods.Pod) -> str:
        is_linux = sys.platform == "linux"
        return loopback.address(pod, self.setting.project, has_loopbacks=is_linux)

    def _volumes(self, pod: pods.Pod) -> dict[str, Path]:
        """Return about where a pod's volumes will be."""
        folder = self.setting.home / "volumes" / pod.name
        hosts = {one.name: one.path for one in pod.volumes if one.kind == "host"}
        return {one.name: folder / hosts.get(one.name, one.name) for one in pod.volumes}
