"""Run pods as containers of an engine, on a network of the project's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alongside.base import log

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

    def notes(self) -> list[str]:
        """Return what was not honoured, for people, each thing once."""
        raise NotImplementedError

    async def open(self) -> None:
        """See `runtime.Runtime.open`."""
        raise NotImplementedError

    def problems(self, wanted: Sequence[pods.Pod]) -> list[str]:
        """See `runtime.Runtime.problems`."""
        raise NotImplementedError

    async def create(self, room: runtime.Room) -> runtime.Sandbox:
        """See `runtime.Runtime.create`."""
        raise NotImplementedError

    async def serve(self, services: Sequence[runtime.Served]) -> None:
        """See `runtime.Runtime.serve`; the pods' /etc/hosts say the same from now on.

        A Service whose ports change gets another container, and its connections end with the old.
        """
        raise NotImplementedError

    def addresses(self) -> Mapping[str, str]:
        """See `runtime.Runtime.addresses`."""
        raise NotImplementedError

    async def close(self) -> None:
        """See `runtime.Runtime.close`; the image stays, as other projects use it."""
        raise NotImplementedError

    async def sweep(self) -> int:
        """See `runtime.Runtime.sweep`."""
        raise NotImplementedError
