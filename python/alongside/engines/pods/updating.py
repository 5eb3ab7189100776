"""Keep the files of a pod's volumes as its plan has them, live, and say where that fails."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from alongside.base import errors
from alongside.engines.processes import backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from alongside.base import clock, log
    from alongside.plan import pods


class Volumes(Protocol):
    """Where the volumes of pods come from; each method may be called again."""

    async def make(self, pod: pods.Pod) -> Mapping[str, Path]:
        """Make the volumes of a pod and return where each is; what is there is kept.

        Raises:
            errors.AlongsideError: one cannot be made.
        """

    async def publish(self, pod: pods.Pod) -> object:
        """Let the volumes of files have the pod's files, all at once."""

    async def remove(self, pod: pods.Pod) -> None:
        """Take away what `make` made."""


class Updating:
    """The files of one pod; all methods belong to one event loop."""

    def __init__(
        self,
        volumes: Volumes,
        clock_: clock.Clock,
        changed: Callable[[], None],
        log_: log.Log,
    ) -> None:
        """Take where the files are, and whom to tell when `trouble` is another."""
        self.trouble = ""
        """Why readers have older files than the plan, for people; it stays until they have not."""
        self._volumes = volumes
        self._clock = clock_
        self._changed = changed
        self._log = log_
        self._wanted: pods.Pod | None = None
        self._published: pods.Pod | None = None
        """Whose files the volumes have; None before there are volumes."""
        self._task: asyncio.Task[None] | None = None

    def made(self, pod: pods.Pod) -> None:
        """Note that the volumes were made anew, with the files of a pod."""
        self._published = pod
        self._tell("")

    def want(self, pod: pods.Pod) -> None:
        """Begin to publish the files of a pod, where its volumes are there and have others."""
        self._wanted = pod
        is_busy = self._task is not None and not self._task.done()
        if not is_busy and self._next() is not None:
            self._task = asyncio.get_running_loop().create_task(self._publish_all())

    async def end(self) -> None:
        """Publish no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _next(self) -> pods.Pod | None:
        """Return the pod whose files are to be published; None where nothing is to be."""
        published, wanted = self._published, self._wanted
        if published is None or wanted is None or _files(published) == _files(wanted):
            return None
        return wanted

    async def _publish_all(self) -> None:
        failures = backoff.Backoff()
        while (pod := self._next()) is not None:
            try:
                await self._volumes.publish(pod)
            except Exception as error:  # whatever it is, the pod goes on with what it has
                self._tell(f"its files stay as they were: {_reason(error)}")
                delay_s, failures = failures.after(0.0)
                await self._clock.sleep(delay_s)
            else:
                self._published = pod
        self._tell("")

    def _tell(self, trouble: str) -> None:
        if trouble == self.trouble:
            return
        if trouble:
            self._log.error("files_not_published", reason=trouble)
        self.trouble = trouble
        self._changed()


def _reason(error: Exception) -> str:
    """Return why it failed; what we did not foresee with its kind."""
    is_foreseen = isinstance(error, errors.AlongsideError | OSError)
    return str(error) if is_foreseen else f"{type(error).__name__}: {error}"


def _files(pod: pods.Pod) -> tuple[tuple[pods.File, ...], ...]:
    """Return the files of a pod's volumes with their contents, which volumes do not compare."""
    return tuple(volume.files for volume in pod.volumes)
