"""Decide what a pod needs next, as Kubernetes does: the order of its containers and their ends.

The rules:

- Init containers run in their order, each to its success. A sidecar is one that stays: what comes
  after it starts when it has started, that is after its postStart and its startup probe.
- All other containers start together after the init containers.
- Until its startup probe succeeded a container has no other probe. A failing liveness or startup
  probe, or postStart, ends it; then its restart policy says what follows.
- A container that ended and is to start again waits; each time twice as long, up to five minutes.
- An end is preStop, then SIGTERM, then SIGKILL when the grace is over, preStop included. Where the
  pod ends, all preStops begin at once, sidecars get SIGTERM when all others are gone, the last
  one first, and who gets it only when the grace is over has a moment more.
- A pod whose containers have all ended for good ends its sidecars, and has succeeded or failed.
- A sandbox that vanished ends all containers; all start in another one, init containers too.

`step` is called for each event, and without one when `next_s` says so. What is answered for an
earlier run is ignored.
"""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import TYPE_CHECKING

from alongside.base import units
from alongside.engines.pods import lifecycle_ends, lifecycle_probes, lifecycle_runs
from alongside.engines.pods import lifecycle_events as events
from alongside.engines.pods import lifecycle_states as states

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alongside.plan import pods

KILL_WAIT_S = 10.0
"""After SIGKILL, until the sandbox is taken away with whatever it still holds."""
REMOVALS_MAX = 5
"""Attempts to take a sandbox away."""


def begin(pod: pods.Pod, now_s: float) -> states.State:
    """Return the state of a pod before its first step."""
    runs = {one.name: states.Run(since_s=now_s) for one in pod.containers}
    deadline_s = None if pod.deadline_s is None else now_s + pod.deadline_s
    return states.State(runs, deadline_s=deadline_s)


def step(
    pod: pods.Pod, state: states.State, event: events.Event | None, now_s: float
) -> tuple[states.State, list[events.Action]]:
    """Return the next state, and what is to be done now.

    Args:
        pod: the same one each time, but for what does not compare.
        state: the last one; of a pod that is over it stays as it is.
        event: what happened; None where only time passed.
        now_s: monotonic seconds, never less than before.
    """
    if state.is_over:
        return state, []
    turn = _Turn(pod, state, now_s)
    if event is not None:
        turn.take(event)
    turn.decide()
    turn.go_on_ending()
    turn.keep_sandbox()
    turn.start()
    turn.look()
    return turn.result(), turn.outbox.actions


def next_s(state: states.State) -> float | None:
    """Return when to step again where nothing happens before; None where only events count."""
    return state.wake_s


class _Turn:
    """One step: an event is taken, then whatever it or time made possible is done."""

    def __init__(self, pod: pods.Pod, state: states.State, now_s: float) -> None:
        self.pod = pod
        self.state = state
        self.now_s = now_s
        self.outbox = events.Outbox(now_s)
        self.runs = dict(state.runs)
        self.sandbox = state.sandbox
        self.finish = state.finish
        self.is_over = False
        self.was_killed = state.was_killed

    def result(self) -> states.State:
        """Return the state after this step."""
        return replace(
            self.state,
            runs=self.runs,
            sandbox=self.sandbox,
            finish=self.finish,
            is_over=self.is_over,
            was_killed=self.was_killed,
            wake_s=min(self.outbox.timers, default=None) if not self.is_over else None,
        )

    def take(self, event: events.Event) -> None:
        """Note an event."""
        match event:
            case events.Stop():
                self._stop(event.grace_s)
            case events.GiveUp():
                self._give_up(event.reason)
            case events.Created() | events.CreateFailed() | events.Lost():
                if event.number == self.sandbox.number:
                    self._take_sandbox(event)
            case events.Removed() | events.RemoveFailed():
                if event.number == self.sandbox.number and self.sandbox.stage == "removing":
                    self._take_removal(event)
            case _:
                run = self.runs.get(event.container)
                container = self.pod.container(event.container)
                if run is not None and container is not None and run.attempt == event.attempt:
                    follower = self._follower(container)
                    follower.take(event)
                    self.runs[container.name] = follower.run

    def _follower(self, container: pods.Container) -> lifecycle_runs.Follower:
        return lifecycle_runs.Follower(
            container,
            self.runs[container.name],
            self.outbox,
            grace_s=self.pod.grace_s,
            is_pod_ending=self.finish is not None,
        )

    def _stop(self, grace_s: float) -> None:
        before, now_s = self.finish, self.now_s
        if before is None or before.cause == "lost":
            self.finish = states.Finish("stop", grace_s, now_s + grace_s, asked_s=now_s)
            return
        asked_s = now_s if before.asked_s is None else before.asked_s
        self.finish = replace(
            before,
            grace_s=min(before.grace_s, grace_s),
            deadline_s=min(before.deadline_s, asked_s + grace_s),
            asked_s=asked_s,
        )

    def _give_up(self, reason: str) -> None:
        if self.finish is None:
            self._end_pod("failed", reason)
        elif self.finish.cause == "lost":
            self.finish = replace(self.finish, cause="failed", reason=reason)

    def _take_sandbox(self, event: events.Created | events.CreateFailed | events.Lost) -> None:
        sandbox = self.sandbox
        match event:
            case events.Created() if sandbox.stage == "creating":
                self.sandbox = replace(sandbox, stage="there", began_s=self.now_s, message="")
            case events.CreateFailed() if sandbox.stage == "creating":
                self._sandbox_again(event.reason, 0.0)
                self.outbox.say("sandbox_failed", event.reason)
            case events.Lost() if sandbox.stage == "there" and self.finish is None:
                reason = f"its sandbox vanished: {event.reason}"
                self._end_pod("lost", reason)
                self.outbox.say("sandbox_lost", reason)

    def _sandbox_again(self, message: str, stood_s: float) -> None:
        """Note that a sandbox is to be made again, after a wait."""
        delay_s, failures = self.sandbox.failures.after(stood_s)
        self.sandbox = replace(
            self.sandbox,
            stage="none",
            failures=failures,
            again_s=self.now_s + delay_s,
            removals=0,
            message=f"{message}; tried again in {units.format_duration(delay_s)}",
        )

    def _take_removal(self, event: events.Removed | events.RemoveFailed) -> None:
        sandbox = self.sandbox
        if isinstance(event, events.RemoveFailed):
            self.outbox.say("removal_failed", event.reason)
            delay_s, failures = sandbox.failures.after(0.0)
            self.sandbox = replace(
                sandbox,
                removals=sandbox.removals + 1,
                failures=failures,
                again_s=self.now_s + delay_s,
            )
            if self.sandbox.removals < REMOVALS_MAX:
                return
        for container in self.pod.containers:
            if self.runs[container.name].is_alive:
                follower = self._follower(container)
                follower.ended(lifecycle_runs.KILLED, "Error", "ended with its sandbox")
                self.runs[container.name] = follower.run
        self._sandbox_is_gone()

    def _sandbox_is_gone(self) -> None:
        finish = self.finish
        if finish is not None and finish.cause == "lost":
            if self._can_begin_anew():
                self._sandbox_again(finish.reason, self.now_s - self.sandbox.began_s)
                self.finish = None
                self.runs = {one.name: self._anew(one) for one in self.pod.containers}
                return
            self.finish = replace(finish, cause=self._outcome())
        self.sandbox = replace(self.sandbox, stage="none")
        self.is_over = True

    def _can_begin_anew(self) -> bool:
        """Return whether a pod whose sandbox vanished has anything to run in another one."""
        for one in self.pod.containers:
            is_tried = self.runs[one.name].attempt >= 0
            if one.kind == "init" and one.restart == "never" and is_tried:
                return False
        return any(self._is_to_run(one) for one in self._mains())

    def _is_to_run(self, container: pods.Container) -> bool:
        last = self.runs[container.name].last
        return last is None or lifecycle_runs.is_again(container, last)

    def _anew(self, container: pods.Container) -> states.Run:
        """Return a container as it is before another sandbox; it keeps its back-off."""
        run = self.runs[container.name]
        if container.kind == "main" and not self._is_to_run(container):
            return run
        return replace(run, stage="waiting", since_s=self.now_s, is_passed=False, message="")

    def decide(self) -> None:
        """Begin the pod's end where it is due."""
        if self.is_over or (self.finish is not None and self.finish.cause != "lost"):
            return
        if self.finish is None:
            self._decide_by_containers()
        deadline_s = self.state.deadline_s
        is_undecided = self.finish is None or self.finish.cause == "lost"
        if deadline_s is None or not is_undecided or not self.outbox.is_due(deadline_s):
            return
        limit = units.format_duration(self.pod.deadline_s or 0.0)
        reason = f"DeadlineExceeded: it ran longer than {limit}"
        self.outbox.say("deadline_exceeded", reason)
        if self.finish is None:
            self._end_pod("deadline", reason)
        else:
            self.finish = replace(self.finish, cause="deadline", reason=reason)

    def _decide_by_containers(self) -> None:
        for one in self.pod.containers:
            run = self.runs[one.name]
            if one.kind == "init" and run.stage == "terminated" and not run.is_passed:
                self._end_pod("failed", f"{one.name}: {run.message}")
                return
        if all(self.runs[one.name].stage == "terminated" for one in self._mains()):
            self._end_pod(self._outcome(), "")

    def _outcome(self) -> states.Cause:
        ends = [self.runs[one.name].last for one in self._mains()]
        return "done" if all(end is not None and end.is_success for end in ends) else "failed"

    def _end_pod(self, cause: states.Cause, reason: str) -> None:
        grace_s = self.pod.grace_s
        self.finish = states.Finish(cause, grace_s, self.now_s + grace_s, reason)

    def go_on_ending(self) -> None:
        """Do what is due for every container that is to end."""
        for container in self.pod.containers:
            run, finish = self.runs[container.name], self.finish
            if not run.is_alive:
                continue
            if finish is not None and run.ending is None:
                ending = states.Ending("", finish.grace_s, finish.deadline_s)
                run = lifecycle_ends.begin(container, run, ending, self.outbox)
            elif finish is not None:
                run = lifecycle_ends.hurried(run, finish)
            if run.ending is not None:
                is_turn = self._is_turn(container)
                run = lifecycle_ends.go_on(container.name, run, self.outbox, is_turn=is_turn)
            self.runs[container.name] = run
        kills = [
            one
            for one in self.outbox.actions
            if isinstance(one, events.Signal) and one.number == signal.SIGKILL
        ]
        self.was_killed = self.was_killed or (self.finish is not None and bool(kills))

    def _is_turn(self, container: pods.Container) -> bool:
        """Return whether nothing is left that a container has to outlive."""
        if self.finish is None or container.kind != "sidecar":
            return True
        names = [one.name for one in self.pod.containers]
        later = names[names.index(container.name) + 1 :]
        others = [one.name for one in self.pod.containers if one.kind != "sidecar"]
        return not any(self.runs[name].is_alive for name in {*later, *others})

    def keep_sandbox(self) -> None:
        """Make the surroundings, or take them away, as far as it is time."""
        if self.is_over:
            return
        sandbox = self.sandbox
        if self.finish is not None:
            self._give_up_sandbox(self.finish)
        elif sandbox.stage == "none" and self.outbox.is_due(sandbox.again_s or self.now_s):
            number = sandbox.number + 1
            self.outbox.actions.append(events.Create(number))
            self.sandbox = replace(
                sandbox, stage="creating", number=number, began_s=self.now_s, again_s=None
            )

    def _give_up_sandbox(self, finish: states.Finish) -> None:
        sandbox = self.sandbox
        if sandbox.stage == "none":
            self.is_over = True
            return
        is_alive = any(run.is_alive for run in self.runs.values())
        late_s = min(lifecycle_ends.LATE_GRACE_S, finish.grace_s)
        due_s = finish.deadline_s + late_s + KILL_WAIT_S
        if sandbox.stage == "there" and not is_alive:
            due_s = self.now_s
        elif sandbox.stage == "removing":
            if sandbox.again_s is None:
                return
            due_s = sandbox.again_s
        if self.outbox.is_due(due_s):
            self.was_killed = self.was_killed or is_alive
            self.outbox.actions.append(events.Remove(sandbox.number))
            self.sandbox = replace(sandbox, stage="removing", again_s=None)

    def start(self) -> None:
        """Start the containers whose turn it is."""
        if self.finish is not None or self.is_over or self.sandbox.stage != "there":
            return
        for container in self._startable():
            run = self.runs[container.name]
            if run.stage != "waiting" or not self.outbox.is_due(run.again_s or self.now_s):
                continue
            attempt = run.attempt + 1
            self.outbox.actions.append(events.Start(container.name, attempt))
            run = replace(run, stage="starting", attempt=attempt, since_s=self.now_s)
            self.runs[container.name] = replace(run, again_s=None, message="")

    def _startable(self) -> Iterator[pods.Container]:
        """Yield the containers that may run now, as far as the order goes."""
        for one in self.pod.containers:
            if one.kind != "main":
                yield one
                if not self.runs[one.name].is_passed:
                    return
        yield from self._mains()

    def _mains(self) -> list[pods.Container]:
        return [one for one in self.pod.containers if one.kind == "main"]

    def look(self) -> None:
        """Begin the looks that are due."""
        for container in self.pod.containers:
            for kind, look in lifecycle_runs.looks(container).items():
                run = self.runs[container.name]
                watch = run.watches.get(kind)
                if watch is None or watch.is_looking or not self.outbox.is_due(watch.next_s):
                    continue
                action = events.Look(container.name, run.attempt, kind, look)
                self.outbox.actions.append(action)
                watch = lifecycle_probes.sent(watch, look, self.now_s)
                self.runs[container.name] = replace(run, watches={**run.watches, kind: watch})
