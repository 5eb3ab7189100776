"""Say what a pod's state means to people, to a plan and to those who read Kubernetes' words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from alongside.base import units

if TYPE_CHECKING:
    from alongside.engines.pods import lifecycle_states as states
    from alongside.plan import pods, stepping

Phase = Literal["Pending", "Running", "Succeeded", "Failed"]
SUCCESS = "ended with 0"
"""The reason of a pod that succeeded, as of a process that did."""


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
    """Of an init container that is no sidecar: it succeeded."""
    restarts: int = 0
    identity: str = ""
    """A pid or a container's id; empty where it does not run."""
    last: states.Ended | None = None
    """How its latest run that ended did."""


def phase(pod: pods.Pod, state: states.State) -> Phase:
    """Return the pod's phase; of one that somebody stopped, the one that it had."""
    finish = state.finish
    if state.is_over and finish is not None:
        if finish.cause == "done":
            return "Succeeded"
        if finish.cause in {"failed", "deadline"}:
            return "Failed"
    runs = state.runs
    is_initialized = all(runs[one.name].is_passed for one in pod.containers if one.kind != "main")
    is_begun = all(_was_running(runs[one.name]) for one in pod.containers if one.kind == "main")
    return "Running" if is_initialized and is_begun else "Pending"


def _was_running(run: states.Run) -> bool:
    return run.last is not None or run.stage in {"hooking", "running", "ending"}


def is_ready(pod: pods.Pod, state: states.State) -> bool:
    """Return whether a pod can be used: its containers and sidecars all are ready."""
    if state.finish is not None or state.sandbox.stage != "there":
        return False
    return all(
        state.runs[one.name].is_passed
        if one.kind == "init"
        else state.runs[one.name].stage == "running" and state.runs[one.name].is_ready
        for one in pod.containers
    )


def word(pod: pods.Pod, state: states.State) -> stepping.State:
    """Return the pod's state as a plan has it."""
    if state.finish is not None and state.finish.asked_s is not None:
        return "stopping"
    if state.is_over:
        return "ended"
    if is_ready(pod, state):
        return "ready"
    if state.finish is not None:
        return "waiting" if state.finish.cause == "lost" else "unready"
    runs = state.runs.values()
    if state.sandbox.message or any(_is_waiting(run) for run in runs):
        return "waiting"
    is_unready = any(_is_unready(state.runs[one.name]) for one in pod.containers if _stays(one))
    return "unready" if is_unready else "starting"


def _stays(container: pods.Container) -> bool:
    return container.kind != "init"


def _is_waiting(run: states.Run) -> bool:
    return run.stage == "waiting" and run.again_s is not None


def _is_unready(run: states.Run) -> bool:
    if run.stage in {"ending", "terminated"}:
        return True
    return run.was_ready and not run.is_ready


def reason(pod: pods.Pod, state: states.State) -> str:
    """Return why a pod is not ready, for people; "" where it is, or nothing is known."""
    finish = state.finish
    if state.is_over and finish is not None and finish.cause == "done":
        return SUCCESS
    if finish is not None and finish.reason:
        return finish.reason
    if state.sandbox.stage in {"none", "creating"} and state.sandbox.message:
        return state.sandbox.message
    if is_ready(pod, state) or (finish is not None and finish.asked_s is not None):
        return ""
    found = [_why(one, state) for one in pod.containers]
    return "; ".join(why for why in found if why)


def _why(container: pods.Container, state: states.State) -> str:
    run = state.runs[container.name]
    if not run.message or (container.kind == "init" and run.is_passed):
        return ""
    again = ""
    if _is_waiting(run) and run.again_s is not None:
        again = f"; starts again in {units.format_duration(run.again_s - run.since_s)}"
    return f"{container.name}: {run.message}{again}"


def restarts(state: states.State) -> int:
    """Return how often containers of the pod were started again."""
    return sum(max(0, run.attempt) for run in state.runs.values())


def tries(state: states.State) -> int:
    """Return the same with those that are to start again and wait for that."""
    waiting = [run for run in state.runs.values() if run.stage == "waiting" and run.attempt >= 0]
    return restarts(state) + len(waiting)


def statuses(pod: pods.Pod, state: states.State) -> list[Status]:
    """Return how the containers are, in the pod's order."""
    is_initialized = all(
        state.runs[one.name].is_passed for one in pod.containers if one.kind != "main"
    )
    return [_status(one, state, is_initialized=is_initialized) for one in pod.containers]


def _status(container: pods.Container, state: states.State, *, is_initialized: bool) -> Status:
    run = state.runs[container.name]
    stage: Literal["waiting", "running", "terminated"] = "waiting"
    reason_ = "ContainerCreating" if is_initialized else "PodInitializing"
    if run.stage in {"hooking", "running", "ending"}:
        stage, reason_ = "running", ""
    elif run.stage == "starting":
        reason_ = "ContainerCreating"
    elif run.last is not None and (run.stage == "terminated" or state.finish is not None):
        stage, reason_ = "terminated", run.last.reason
    elif _is_waiting(run):
        reason_ = "CrashLoopBackOff" if run.last is not None else "ContainerCreating"
    return Status(
        container.name,
        container.kind,
        stage,
        reason_,
        run.message,
        run.since_s,
        is_started=run.is_started,
        is_ready=run.is_passed if container.kind == "init" else run.is_ready,
        restarts=max(0, run.attempt),
        last=run.last,
    )
