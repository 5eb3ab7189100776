"""Run pods in namespaces of their own, on a network of the project's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alongside.base import log

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alongside.base import clock
    from alongside.engines.pods import runtime
    from alongside.engines.runtimes.namespaces import sandbox, setting
    from alongside.plan import pods


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

    async def open(self) -> None:
        """Make the project's network; see `runtime.Runtime.open`."""

    def notes(self) -> list[str]:
        """Return what this machine does not give, for people: no way out, no limits."""

    def problems(self, wanted: Sequence[pods.Pod]) -> list[str]:
        """See `runtime.Runtime.problems`."""

    async def create(self, room: runtime.Room) -> sandbox.PodSandbox:
        """See `runtime.Runtime.create`."""

    async def serve(self, services: Sequence[runtime.Served]) -> None:
        """See `runtime.Runtime.serve`; the pods' /etc/hosts say the same from now on."""

    def addresses(self) -> Mapping[str, str]:
        """See `runtime.Runtime.addresses`."""

    async def close(self) -> None:
        """See `runtime.Runtime.close`."""

    async def sweep(self) -> int:
        """See `runtime.Runtime.sweep`."""
