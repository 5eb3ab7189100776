"""Run one pod on a runtime, over all restarts of its containers, until it is stopped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from alongside.base import clock, log
    from alongside.engines.pods import lifecycle_states, runtime
    from alongside.engines.processes import groups
    from alongside.plan import pods, shape, stepping

Phase = Literal["Pending", "Running", "Succeeded", "Failed"]


class Volumes(Protocol):
    """Where the volumes of pods come from; each method may be called again."""

    async def make(self, pod: pods.Pod) -> Mapping[str, Path]:
        """Make the volumes of a pod and return where each is; what is there is kept.

        Raises:
            errors.AlongsideError: one cannot be made.
        """

    async def publish(self, pod: pods.Pod) -> None:
        """Let the volumes of files have the pod's files, all at once."""

    async def remove(self, pod: pods.Pod) -> None:
        """Take away what `make` made."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pod runs."""

    runtime: runtime.Runtime
    volumes: Volumes
    folder: Path
    """The pod's own, for the runtime; made before its sandbox, removed when it is empty."""
    logs: Mapping[str, Path]
    """Of each container."""


@dataclass(frozen=True, slots=True)
class Status:
    """A container, as `status` shows it."""

    name: str
    kind: pods.Kind
    stage: Literal["waiting", "running", "terminated"]
    reason: str = ""
    """Kubernetes' word: PodInitializing, ContainerCreating, CrashLoopBackOff, Completed, Error,
    OOMKilled, StartError; empty where it runs."""
    message: str = ""
    """For people."""
    since_s: float = 0.0
    """Of the stage; monotonic seconds."""
    is_started: bool = False
    is_ready: bool = False
    restarts: int = 0
    identity: str = ""
    """A pid or a container's id; empty where it does not run."""
    last: lifecycle_states.Ended | None = None
    """How its latest run that ended did."""


class PodChild:
    """One pod of a plan; has the face of `engines.local.children.Child`."""

    def __init__(
        self,
        process: shape.Process,
        place: Place,
        clock_: clock.Clock,
        changed: Callable[[], None],
        log_: log.Log,
    ) -> None:
        """Take what to run, whom to tell of every change that is shown, and a log.

        Args:
            process: one with a pod.
            place: where.
            clock_: for all times.
            changed: called when the state, the reason or a container's status is another.
            log_: the supervisor's.
        """
        self.state: stepping.State = "starting"
        self.reason = ""
        """Why it is not ready, for people."""
        self.since_s = clock_.monotonic_s()
        """Of state and reason."""
        self.restarts = 0
        """Of all its containers."""
        self.phase: Phase = "Pending"
        self.address = ""
        """The pod's IP address; empty while there is no sandbox."""
        self.identity: groups.Identity | None = None
        """Always None: what a runtime starts is found by its marks."""

    @property
    def process(self) -> shape.Process:
        """What it runs; an equal one may be assigned, whose files are then published live."""
        raise NotImplementedError

    @process.setter
    def process(self, process: shape.Process) -> None:
        raise NotImplementedError

    @property
    def grace_s(self) -> float:
        """What its end may take from the first `stop`; may be shortened while it is stopping."""
        raise NotImplementedError

    @grace_s.setter
    def grace_s(self, grace_s: float) -> None:
        raise NotImplementedError

    def start(self) -> None:
        """Begin to run it, on the running event loop."""
        raise NotImplementedError

    async def stop(self) -> bool:
        """End it as Kubernetes does; returns when all is gone, its volumes too.

        Returns:
            Whether something of it had to be killed.
        """
        raise NotImplementedError

    def containers(self) -> list[Status]:
        """Return how its containers are, in the pod's order."""
        raise NotImplementedError
