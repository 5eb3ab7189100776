"""Hold Jobs to their limits: what `control.jobs` decides is done to their pods, also in time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from alongside.control import jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from alongside.base import clock, log
    from alongside.engines.pods import driver
    from alongside.plan import shape

    Pods = Mapping[str, driver.PodChild]


@dataclass(frozen=True, slots=True)
class _Held:
    """A Job of the plan."""

    limits: jobs.Limits
    processes: tuple[shape.Process, ...]
    state: jobs.State


class Jobs:
    """The Jobs of a project; all methods belong to one event loop."""

    def __init__(self, clock_: clock.Clock, wake: Callable[[], None], log_: log.Log) -> None:
        """Take who is to call `look` when a time has come, and a log; there is no Job yet."""
        self._held: dict[str, _Held] = {}
        self._clock = clock_
        self._wake = wake
        self._log = log_
        self._alarm: asyncio.Task[None] | None = None

    def plan(self, plan: shape.Plan) -> None:
        """Take the Jobs of another plan; one with the same pods keeps what it has behind it."""
        held, now_s = {}, self._clock.monotonic_s()
        for one in plan.jobs:
            limits = jobs.Limits(one.name, one.retries, one.deadline_s)
            pods = tuple(process for process in plan.processes if process.group == one.name)
            before, state = self._held.get(one.name), jobs.State(now_s)
            if before is not None and before.processes == pods:
                state = jobs.adapted(before.state, before.limits, limits, now_s)
            held[one.name] = _Held(limits, pods, state)
        self._held = held

    def failed(self) -> Mapping[str, str]:
        """Return why Jobs failed, by name."""
        return {name: one.state.verdict for name, one in self._held.items() if one.state.verdict}

    def look(self, pods: Pods, stopping: Collection[str], stop: Callable[[str], None]) -> None:
        """Do what is due now.

        Args:
            pods: all that are there, by name.
            stopping: those that were told to end.
            stop: takes a pod away, whose successor then starts.
        """
        for name, held in list(self._held.items()):
            seen = [_seen(one.name, pods, stopping) for one in held.processes]
            now_s = self._clock.monotonic_s()
            state, actions = jobs.step(held.limits, held.state, seen, now_s)
            # Before anything is done, since a pod that shows something makes us look again.
            self._held[name] = replace(held, state=state)
            if state.verdict and not held.state.verdict:
                self._log.warning("job_failed", job=name, reason=state.verdict)
            for action in actions:
                match action:
                    case jobs.Again(pod):
                        self._log.info("job_tries_again", job=name, pod=pod)
                        stop(pod)
                    case jobs.Wait(pod, why):
                        pods[pod].remark(why)
                    case jobs.End(pod, why):
                        pods[pod].give_up(why)
        self._set_alarm()

    def _set_alarm(self) -> None:
        """Look again when the next thing is due."""
        times = [jobs.next_s(one.limits, one.state) for one in self._held.values()]
        next_s = min((at_s for at_s in times if at_s is not None), default=None)
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if next_s is not None:
            wait = self._ring(next_s - self._clock.monotonic_s())
            self._alarm = asyncio.get_running_loop().create_task(wait)

    async def _ring(self, wait_s: float) -> None:
        await self._clock.sleep(max(0.0, wait_s))
        self._alarm = None
        self._wake()

    async def close(self) -> None:
        """Forget all Jobs."""
        self._held.clear()
        if self._alarm is not None:
            self._alarm.cancel()
            await asyncio.wait({self._alarm})


def _seen(name: str, pods: Pods, stopping: Collection[str]) -> jobs.Pod:
    """Return what a Job has to know of one of its pods."""
    child = pods.get(name)
    if child is None:
        return jobs.Pod(name, "absent")
    if name in stopping or child.state == "stopping":
        return jobs.Pod(name, "leaving")
    if child.state == "ended":
        return jobs.Pod(name, "succeeded" if child.phase == "Succeeded" else "failed")
    pod = child.process.pod
    counts = pod is not None and any(one.restart == "on-failure" for one in pod.containers)
    return jobs.Pod(name, "going", child.tries if counts else 0)
