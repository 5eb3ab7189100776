"""Decide when a Job tries again what failed, and when it gives up, over all its pods.

The rules are Kubernetes' own:

- A failed pod has a successor, after a wait that doubles with each failure in a row.
- The Job fails when more pods failed than `backoffLimit` says, or when the containers of its pods
  would start again more often than that; then whatever of it still runs is ended.
- `activeDeadlineSeconds` counts from the Job's start, over all its pods.
- A Job that failed stays so, until it gets other limits.

`step` is called whenever a pod changed, and when `next_s` says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from alongside.base import units

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DELAY_S_MIN = 0.1
"""As for containers that start again; Kubernetes begins with 10 s."""
DELAY_S_MAX = 300.0
Stage = Literal["absent", "going", "leaving", "succeeded", "failed"]
"""`absent`: planned and not there. `leaving`: it was told to end."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a Job may take."""

    job: str
    """As `Job/migrate`, for people."""
    retries: int
    deadline_s: float | None = None


@dataclass(frozen=True, slots=True)
class Pod:
    """One of the Job's planned pods."""

    name: str
    stage: Stage
    restarts: int = 0
    """How often its containers started again, or are about to."""


@dataclass(frozen=True, slots=True)
class State:
    """What a Job has behind it; times are monotonic seconds."""

    began_s: float
    failed: int = 0
    """Pods that failed, the same one's successors too."""
    streak: int = 0
    """Pods that failed since one succeeded."""
    counted: frozenset[str] = frozenset()
    """The failed pods that are still there."""
    succeeded: frozenset[str] = frozenset()
    again: Mapping[str, float] = field(default_factory=dict)
    """When a failed pod is to have its successor."""
    verdict: str = ""
    """Why the Job failed; empty where it did not."""
    told: frozenset[str] = frozenset()
    """The pods that were told of the verdict."""
    is_done: bool = False
    """All its pods succeeded."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Say of a failed pod that it has a successor, and when."""

    pod: str
    why: str


@dataclass(frozen=True, slots=True)
class Again:
    """Take a failed pod away, so that its successor starts."""

    pod: str


@dataclass(frozen=True, slots=True)
class End:
    """End a pod where it runs, for it is of a Job that failed."""

    pod: str
    why: str


Action = Wait | Again | End


def step(
    limits: Limits, state: State, pods: Sequence[Pod], now_s: float
) -> tuple[State, list[Action]]:
    """Return what a Job has behind it now, and what is to be done.

    Args:
        limits: its own.
        state: the last one.
        pods: all that are planned, whether they are there or not.
        now_s: never less than before.
    """
    actions: list[Action] = []
    state = _succeeded(state, pods)
    fresh = [one for one in pods if one.stage == "failed" and one.name not in state.counted]
    still = {one.name for one in pods if one.stage == "failed"}
    state = replace(state, counted=state.counted & still)
    for one in fresh:
        state = _failed(state, one.name, now_s)
    if not state.verdict and not state.is_done:
        state = replace(state, verdict=_verdict(limits, state, pods, now_s))
    if state.verdict:
        return _ending(state, pods)
    actions += [Wait(one.name, _waits(limits, state, one.name, now_s)) for one in fresh]
    due = [name for name, at_s in state.again.items() if now_s >= at_s]
    actions += [Again(name) for name in due if name in still]
    left = {name: at_s for name, at_s in state.again.items() if name not in due}
    return replace(state, again=left), actions


def next_s(limits: Limits, state: State) -> float | None:
    """Return when to step again where nothing happens before; None where only events count."""
    if state.verdict or state.is_done:
        return None
    times = list(state.again.values())
    if limits.deadline_s is not None:
        times.append(state.began_s + limits.deadline_s)
    return min(times, default=None)


def adapted(state: State, before: Limits, after: Limits, now_s: float) -> State:
    """Return the state of a Job whose limits may be others now: one that failed begins anew."""
    return State(now_s) if before != after and state.verdict else state


def _succeeded(state: State, pods: Sequence[Pod]) -> State:
    found = frozenset(one.name for one in pods if one.stage == "succeeded")
    return replace(
        state,
        succeeded=found,
        streak=0 if found - state.succeeded else state.streak,
        is_done=len(found) == len(pods),
    )


def _failed(state: State, name: str, now_s: float) -> State:
    delay_s = min(DELAY_S_MAX, DELAY_S_MIN * 2.0 ** min(state.streak, 20))
    return replace(
        state,
        failed=state.failed + 1,
        streak=state.streak + 1,
        counted=state.counted | {name},
        again={**state.again, name: now_s + delay_s},
    )


def _verdict(limits: Limits, state: State, pods: Sequence[Pod], now_s: float) -> str:
    restarts = sum(one.restarts for one in pods if one.stage == "going")
    failures = max(state.failed, restarts)
    if failures > limits.retries:
        times = "once" if failures == 1 else f"{failures} times"
        return (
            f"BackoffLimitExceeded: {limits.job} failed {times}, and its backoffLimit is "
            f"{limits.retries}"
        )
    if limits.deadline_s is not None and now_s >= state.began_s + limits.deadline_s:
        limit = units.format_duration(limits.deadline_s)
        return f"DeadlineExceeded: {limits.job} was active longer than {limit}"
    return ""


def _ending(state: State, pods: Sequence[Pod]) -> tuple[State, list[Action]]:
    """Tell every pod that is there of the verdict, once."""
    there = [one for one in pods if one.stage in {"going", "failed"}]
    told = state.told & {one.name for one in there}
    actions: list[Action] = [End(one.name, state.verdict) for one in there if one.name not in told]
    told |= {one.name for one in there}
    return replace(state, told=told, again={}), actions


def _waits(limits: Limits, state: State, name: str, now_s: float) -> str:
    delay = units.format_duration(state.again[name] - now_s)
    return f"failure {state.failed} of {limits.job}, tried again in {delay}"
