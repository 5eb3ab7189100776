"""Run containers as plain processes on the host's network; nothing is needed but the system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from alongside.base import clock, log
    from alongside.engines.pods import runtime
    from alongside.plan import pods

    Words = Callable[[pods.Pod, pods.Container], tuple[str, ...]]
    """The whole command of a container, as its image's default or its own words say; `$(…)` of
    what only a runtime knows stands in it as written.

    Raises:
        errors.UsageError: nothing says what runs.
    """


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
    words: Words


class ProcessRuntime:
    """A `runtime.Runtime`."""

    name = "process"

    def __init__(self, setting: Setting, clock_: clock.Clock, log_: log.Log | None = None) -> None:
        """Take for whom to work; nothing is made yet."""
        raise NotImplementedError

    def notes(self) -> list[str]:
        """Return what was not honoured, for people, each thing once."""
        raise NotImplementedError

    async def open(self) -> None:
        """See `runtime.Runtime.open`; finds out which limits this machine permits."""
        raise NotImplementedError

    def problems(self, wanted: Sequence[pods.Pod]) -> list[str]:
        """See `runtime.Runtime.problems`.

        The ports of these pods are kept free: call it with all of a plan before `serve`.
        """
        raise NotImplementedError

    async def create(self, room: runtime.Room) -> runtime.Sandbox:
        """See `runtime.Runtime.create`.

        Its containers get the service links of what `serve` was last told: call that before, with
        no backends yet.
        """
        raise NotImplementedError

    async def serve(self, services: Sequence[runtime.Served]) -> None:
        """See `runtime.Runtime.serve`."""
        raise NotImplementedError

    def addresses(self) -> Mapping[str, str]:
        """See `runtime.Runtime.addresses`."""
        raise NotImplementedError

    async def close(self) -> None:
        """See `runtime.Runtime.close`."""
        raise NotImplementedError

    async def sweep(self) -> int:
        """See `runtime.Runtime.sweep`."""
        raise NotImplementedError
