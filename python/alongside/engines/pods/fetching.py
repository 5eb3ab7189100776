"""Fetch what a pod's containers are made of, for as long as that takes, and show how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alongside.base import errors, units
from alongside.engines.pods import lifecycle_states as states
from alongside.engines.processes import backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from alongside.base import clock, log
    from alongside.engines.pods import runtime
    from alongside.plan import pods


class Fetches:
    """What is being fetched for one pod; no failure ends it, whatever its restart policy."""

    def __init__(self, clock_: clock.Clock, show: Callable[[], None], log_: log.Log) -> None:
        """Take a clock, who is to look when there is more to show, and a log."""
        self.texts: dict[str, str] = {}
        """Of containers that are being fetched, how far that is."""
        self.names: set[str] = set()
        """Of those containers, also where there is nothing to show yet."""
        self._clock = clock_
        self._show = show
        self._log = log_

    def shown(self) -> str:
        """Return how far all of it is, for people."""
        return "; ".join(f"{name}: {text}" for name, text in self.texts.items())

    async def fetch(self, container: pods.Container, sandbox: runtime.Fetching) -> None:
        """Return when it is there; after a failure it is tried again, after a growing wait."""
        failures = backoff.Backoff(delay_s_max=states.BACKOFF_S_MAX, calm_s=states.CALM_S)
        self.names.add(container.name)
        try:
            while why := await self._failure(container, sandbox):
                delay_s, failures = failures.after(0.0)
                self._log.warning("fetch_failed", container=container.name, reason=why)
                self._tell(container, f"{why}; tried again in {units.format_duration(delay_s)}")
                await self._clock.sleep(delay_s)
        finally:
            self.names.discard(container.name)
            self.texts.pop(container.name, None)

    async def _failure(self, container: pods.Container, sandbox: runtime.Fetching) -> str:
        """Try once; return why it failed, or nothing."""
        try:
            await sandbox.fetch(container, lambda text: self._tell(container, text))
        except (errors.AlongsideError, OSError) as error:
            return str(error) or "it took too long"
        return ""

    def _tell(self, container: pods.Container, text: str) -> None:
        self.texts[container.name] = text
        self._show()
