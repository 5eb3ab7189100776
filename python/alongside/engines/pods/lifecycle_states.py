"""Hold what is known of a pod and its containers between two steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from alongside.engines.processes import backoff

if TYPE_CHECKING:
    from collections.abc import Mapping

Stage = Literal["waiting", "starting", "hooking", "running", "ending", "terminated"]
"""`hooking`: it runs, and its postStart does too. `terminated`: it is not to start again."""
Cause = Literal["stop", "done", "failed", "deadline", "lost"]
"""Why a pod ends; after `lost` it begins anew in another sandbox."""
BACKOFF_S_MAX = 300.0
CALM_S = 600.0
"""A container that ran this long starts again at once, as if it had never failed."""


@dataclass(frozen=True, slots=True)
class Watch:
    """One probe of a running container."""

    next_s: float
    """When to look; what is on its way is waited for."""
    counted_s: float
    """From when on a look counts though it fails; earlier ones only find out that it is good."""
    quick_s: float = 0.0
    """How soon the look after a failed one comes, before the first good one; 0 for the period."""
    is_looking: bool = False
    is_counted: bool = False
    """Of the look that is on its way."""
    good: int = 0
    bad: int = 0
    """Results in a row."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How far the end of a container's run is."""

    why: str
    """For people; empty where the whole pod ends. Its success would be no success."""
    grace_s: float
    deadline_s: float
    is_hooking: bool = False
    """preStop is on its way."""
    told_s: float | None = None
    """When SIGTERM was sent."""
    killed_s: float | None = None
    """When SIGKILL was last sent."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended."""

    code: int
    reason: str
    """As Kubernetes has it: Completed, Error, OOMKilled or StartError."""
    message: str
    """For people."""
    began_s: float
    ended_s: float
    is_forced: bool = False
    """It was ended though it would have run on; its success counts for no restart policy."""

    @property
    def is_success(self) -> bool:
        """Return whether it ended as it should."""
        return self.reason == "Completed"


@dataclass(frozen=True, slots=True)
class Run:
    """A container, over all its runs."""

    stage: Stage = "waiting"
    attempt: int = -1
    """Of the latest run; 0 is the first one."""
    since_s: float = 0.0
    """Of the stage."""
    began_s: float = 0.0
    """Of the latest run."""
    is_started: bool = False
    """postStart and startup probe are done, in this run."""
    is_ready: bool = False
    was_ready: bool = False
    """In this run."""
    is_passed: bool = False
    """Of an init container: what comes after it may start, in this sandbox."""
    failures: backoff.Backoff = field(
        default_factory=lambda: backoff.Backoff(delay_s_max=BACKOFF_S_MAX, calm_s=CALM_S)
    )
    again_s: float | None = None
    """The back-off's end, while it waits for that."""
    last: Ended | None = None
    ending: Ending | None = None
    watches: Mapping[str, Watch] = field(default_factory=dict)
    message: str = ""
    """Why it is not started or not ready, for people."""

    @property
    def is_alive(self) -> bool:
        """Return whether a process of it may be there."""
        return self.stage in {"starting", "hooking", "running", "ending"}


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The pod's surroundings."""

    stage: Literal["none", "creating", "there", "removing"] = "none"
    number: int = -1
    """Of the latest one; 0 is the first."""
    began_s: float = 0.0
    """When it was there, or asked for, or its removal was."""
    failures: backoff.Backoff = field(
        default_factory=lambda: backoff.Backoff(delay_s_max=BACKOFF_S_MAX, calm_s=CALM_S)
    )
    again_s: float | None = None
    """When it may be made, or taken away, again."""
    removals: int = 0
    """Attempts to take it away that failed."""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of a pod, from when it was decided."""

    cause: Cause
    grace_s: float
    deadline_s: float
    """When whatever still runs is killed; a moment later what was told to end only then."""
    reason: str = ""
    """For people."""
    asked_s: float | None = None
    """When somebody first wanted it."""


@dataclass(frozen=True, slots=True)
class State:
    """A pod; times are monotonic seconds."""

    runs: Mapping[str, Run]
    sandbox: Sandbox = field(default_factory=Sandbox)
    deadline_s: float | None = None
    """Of the whole pod, where it has one."""
    finish: Finish | None = None
    is_over: bool = False
    """Nothing of it is there, and nothing will be."""
    was_killed: bool = False
    """Something had to be killed since its end was decided."""
    wake_s: float | None = None
    """When to step again where nothing happens before."""
