"""Name what happens to a pod, and what is to be done for it: the two sides of `lifecycle.step`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import signal

    from alongside.engines.pods import runtime
    from alongside.plan import pods

LookKind = Literal["startup", "readiness", "liveness"]
HookKind = Literal["post_start", "pre_stop"]


@dataclass(frozen=True, slots=True)
class Created:
    """The surroundings are there."""

    number: int
    """Of the sandbox: 0 for a pod's first, then one more each time."""


@dataclass(frozen=True, slots=True)
class CreateFailed:
    """The surroundings cannot be made; nothing of them is left."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The surroundings vanished by themselves, as when what holds them was killed."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Removed:
    """The surroundings, and whatever was left in them, are gone."""

    number: int


@dataclass(frozen=True, slots=True)
class RemoveFailed:
    """The surroundings could not be taken away; something of them may be left."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Started:
    """A container runs."""

    container: str
    attempt: int


@dataclass(frozen=True, slots=True)
class StartFailed:
    """A container could not be started; nothing of it runs."""

    container: str
    attempt: int
    reason: str
    is_tried: bool = True
    """Not where it is none of its fault, and certain that nothing of it ran."""


@dataclass(frozen=True, slots=True)
class Exited:
    """A container ended, and nothing of its processes is left."""

    container: str
    attempt: int
    exit: runtime.Exit


@dataclass(frozen=True, slots=True)
class Looked:
    """A probe was done."""

    container: str
    attempt: int
    kind: LookKind
    is_good: bool
    reason: str = ""
    """What was seen, where it is not good."""


@dataclass(frozen=True, slots=True)
class Hooked:
    """A hook was done."""

    container: str
    attempt: int
    kind: HookKind
    is_good: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """Somebody wants the pod to end, at most so long after the first time that somebody did."""

    grace_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """What the pod belongs to has failed, so it fails too; it stays to be seen."""

    reason: str


Event = (
    Created
    | CreateFailed
    | Lost
    | Removed
    | RemoveFailed
    | Started
    | StartFailed
    | Exited
    | Looked
    | Hooked
    | Stop
    | GiveUp
)


@dataclass(frozen=True, slots=True)
class Create:
    """Make the surroundings: answered by Created or CreateFailed, later maybe by Lost."""

    number: int


@dataclass(frozen=True, slots=True)
class Remove:
    """Take the surroundings away, also unfinished ones: answered by Removed or RemoveFailed."""

    number: int


@dataclass(frozen=True, slots=True)
class Start:
    """Start a container: answered by Started, and then Exited, or by StartFailed."""

    container: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Look:
    """Probe a container once, within the probe's own limit: answered by Looked."""

    container: str
    attempt: int
    kind: LookKind
    look: pods.Look


@dataclass(frozen=True, slots=True)
class RunHook:
    """Run a container's hook: answered by Hooked."""

    container: str
    attempt: int
    kind: HookKind
    hook: pods.Hook
    limit_s: float


@dataclass(frozen=True, slots=True)
class Signal:
    """Send a signal to a container; one that is only being started is not started."""

    container: str
    attempt: int
    number: signal.Signals


@dataclass(frozen=True, slots=True)
class Say:
    """Tell people what happened; nothing is to be done."""

    event: str
    reason: str
    container: str = ""
    """Empty for the pod."""


Action = Create | Remove | Start | Look | RunHook | Signal | Say


@dataclass(slots=True)
class Outbox:
    """What one step says is to be done, and when it has to be called again."""

    now_s: float
    actions: list[Action] = field(default_factory=list)
    timers: list[float] = field(default_factory=list)

    def say(self, event: str, reason: str, container: str = "") -> None:
        """Let people know of something."""
        self.actions.append(Say(event, reason, container))

    def is_due(self, at_s: float) -> bool:
        """Return whether a moment has come; if not, the step is to be called again then."""
        if self.now_s >= at_s:
            return True
        self.timers.append(at_s)
        return False
