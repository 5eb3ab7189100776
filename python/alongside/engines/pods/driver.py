"""Run one pod on a runtime, over all restarts of its containers, until it is stopped.

The decisions are `lifecycle.step`'s. Here each action becomes a task, and what the task finds
becomes the next event.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import traceback
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from alongside.base import errors
from alongside.engines.pods import (
    chores,
    fetching,
    lifecycle,
    lifecycle_showing,
    limits,
    looks,
    runtime,
    updating,
)
from alongside.engines.pods import lifecycle_events as events
from alongside.engines.processes import backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from alongside.base import clock, log
    from alongside.engines.processes import groups
    from alongside.plan import shape, stepping

CREATE_S_MAX = 300.0
START_S_MAX = 300.0
"""Longer than an engine has for two answers: that it was silent then is known as such."""
REMOVE_S_MAX = 60.0
ATTEMPTS_MAX = 5
"""To take something away that fails to go, when nobody wants the pod any more."""

Status = lifecycle_showing.Status
Phase = lifecycle_showing.Phase


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pod runs."""

    runtime: runtime.Runtime
    volumes: updating.Volumes
    folder: Path
    """The pod's own, for the runtime; made before its sandbox, removed when it is empty."""
    logs: Mapping[str, Path]
    """Of each container."""


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
            clock_: for all times but the limits of looks and of a runtime's work.
            changed: called when the state, the reason or a container's status is another.
            log_: the supervisor's.

        Raises:
            ValueError: the process has no pod.
        """
        if process.pod is None:
            raise ValueError(f"{process.name} is no pod")
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
        self._process = process
        self._pod = process.pod
        self._grace_s = process.grace_s
        self._place = place
        self._clock = clock_
        self._changed = changed
        self._log = log_.bind(pod=process.name)
        self._life = lifecycle.begin(self._pod, self.since_s)
        self._events: deque[events.Event] = deque()
        """As many as there are actions on their way, and a Stop or two."""
        self._arrived = asyncio.Event()
        self._chores: chores.Chores[events.Event] = chores.Chores(clock_, self._post, self._tell)
        self._sandbox: runtime.Sandbox | None = None
        self._running: dict[str, tuple[int, runtime.Running]] = {}
        """The present run of each container that has one, and its attempt."""
        self._updating = updating.Updating(place.volumes, clock_, self._show, self._log)
        self._remark = ""
        """What others have to say of it, after its own reason."""
        self._is_asked = False
        """Somebody wants its end."""
        self._fault = ""
        self._fetches = fetching.Fetches(clock_, self._show, self._log)
        self._shown: tuple[object, ...] = ()
        self._task: asyncio.Task[None] | None = None

    @property
    def process(self) -> shape.Process:
        """What it runs; an equal one may be assigned, whose files are then published live."""
        return self._process

    @process.setter
    def process(self, process: shape.Process) -> None:
        if process.pod is None:
            raise ValueError(f"{process.name} is no pod")
        self._process, self._pod = process, process.pod
        self._updating.want(process.pod)

    @property
    def grace_s(self) -> float:
        """What its end may take from the first `stop`; may be shortened while it is stopping."""
        return self._grace_s

    @grace_s.setter
    def grace_s(self, grace_s: float) -> None:
        self._grace_s = grace_s
        if self._is_asked:
            self._post(events.Stop(grace_s))

    def start(self) -> None:
        """Begin to run it, on the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> bool:
        """End it as Kubernetes does; returns when all is gone, its volumes too.

        Returns:
            Whether something of it had to be killed.
        """
        is_there = self._task is not None and not self._task.done()
        self._is_asked = True
        self._post(events.Stop(self._grace_s))
        self._show()
        if self._task is not None:
            await asyncio.wait({self._task})
        await self._updating.end()
        await self._chores.surely(self._remove_volumes, attempts=ATTEMPTS_MAX)
        with contextlib.suppress(OSError):
            self._place.folder.rmdir()
        return is_there and self._life.was_killed

    def remark(self, text: str) -> None:
        """Show what is to be known of it beside its own reason."""
        self._remark = text
        self._show()

    def give_up(self, reason: str) -> None:
        """End it in order, as failed, where it runs; it stays to be seen, with the reason."""
        if self._life.is_over:
            self.remark(reason)
        else:
            self._post(events.GiveUp(reason))

    @property
    def tries(self) -> int:
        """How often its containers started again, or are about to."""
        return lifecycle_showing.tries(self._life)

    def containers(self) -> list[Status]:
        """Return how its containers are, in the pod's order."""
        return [
            replace(
                one,
                identity=self._identity(one.name),
                message=self._fetches.texts.get(one.name, one.message),
            )
            for one in lifecycle_showing.statuses(self._pod, self._life)
        ]

    def _identity(self, name: str) -> str:
        return self._running[name][1].identity if name in self._running else ""

    async def _run(self) -> None:
        """Supervise it; after a fault of ours nothing is left running, and it begins anew."""
        failures = backoff.Backoff()
        while True:
            began_s = self._clock.monotonic_s()
            try:
                await self._supervise()
            except Exception as error:  # whatever it is, it must not leave a pod unwatched
                self._tell(error)
            else:
                return
            while not await self._chores.surely(self._take_away, attempts=ATTEMPTS_MAX):
                if self._is_asked:
                    break
            if self._is_asked:
                self._life = replace(self._life, is_over=True, was_killed=True)
                return
            delay_s, failures = failures.after(self._clock.monotonic_s() - began_s)
            await self._clock.sleep(delay_s)
            self._begin_anew()

    def _begin_anew(self) -> None:
        """Forget what was, but for the runs' numbers: what is late stays late."""
        fresh = lifecycle.begin(self._pod, self._clock.monotonic_s())
        runs = {
            name: replace(run, attempt=self._life.runs[name].attempt)
            for name, run in fresh.runs.items()
        }
        sandbox = replace(fresh.sandbox, number=self._life.sandbox.number)
        self._life = replace(fresh, runs=runs, sandbox=sandbox)
        kept = (events.Stop, events.GiveUp)
        self._events = deque(one for one in self._events if isinstance(one, kept))

    async def _supervise(self) -> None:
        self._step(None)
        while not self._life.is_over:
            await self._wait()
            event = self._events.popleft() if self._events else None
            self._step(event)

    async def _wait(self) -> None:
        """Return when an event is there, or it is time for a step without one."""
        if self._events:
            return
        self._arrived.clear()
        waits: set[asyncio.Future[object]] = {asyncio.ensure_future(self._arrived.wait())}
        wake_s = lifecycle.next_s(self._life)
        if wake_s is not None:
            sleep = self._clock.sleep(wake_s - self._clock.monotonic_s())
            waits.add(asyncio.ensure_future(sleep))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    def _post(self, event: events.Event) -> None:
        self._events.append(event)
        self._arrived.set()

    def _step(self, event: events.Event | None) -> None:
        now_s = self._clock.monotonic_s()
        if isinstance(event, events.Exited):
            self._forget(event.container, event.attempt)
        self._life, actions = lifecycle.step(self._pod, self._life, event, now_s)
        for action in actions:
            self._do(action)
        for name in self._fetches.names:
            if self._life.runs[name].ending is not None:
                self._chores.cancel("start", name)
        if event is not None:
            self._fault = ""
        self._show()

    def _forget(self, name: str, attempt: int) -> None:
        """Give up what is done in a run that ended."""
        if name in self._running and self._running[name][0] == attempt:
            del self._running[name]
        self._chores.cancel("in", name, str(attempt))

    def _show(self) -> None:
        """Say what changed, if anything did."""
        before = (self.state, self.reason)
        self.state = lifecycle_showing.word(self._pod, self._life)
        if self._is_asked:
            self.state = "stopping"
        own = self._fault or self._fetches.shown()
        own = own or lifecycle_showing.reason(self._pod, self._life)
        said = (own, self._remark, self._updating.trouble)
        self.reason = "; ".join(text for text in said if text)
        self.phase = lifecycle_showing.phase(self._pod, self._life)
        self.restarts = lifecycle_showing.restarts(self._life)
        self.address = self._sandbox.address if self._sandbox is not None else ""
        if (self.state, self.reason) != before:
            self.since_s = self._clock.monotonic_s()
        shown = (self.state, self.reason, self.phase, self.address, *self.containers())
        if shown != self._shown:
            self._shown = shown
            self._changed()

    def _tell(self, error: Exception) -> None:
        """Show and log a fault that nobody expected."""
        self._fault = f"its supervision failed: {type(error).__name__}: {error}"
        self._log.error(
            "supervision_failed",
            reason=self._fault,
            traceback="".join(traceback.format_exception(error)),
        )
        self._show()

    def _do(self, action: events.Action) -> None:
        """Begin an action; its answer will be an event."""
        match action:
            case events.Create(number):
                self._chores.begin(("create",), self._create(number), _create_failed(number))
            case events.Remove(number):
                self._chores.begin(("remove",), self._remove(number), _remove_failed(number))
            case events.Start(name, attempt):
                work = self._start(name, attempt)
                self._chores.begin(("start", name), work, _start_failed(name, attempt))
            case events.Look():
                self._chores.begin(_inside(action), self._look(action), _look_failed(action))
            case events.RunHook():
                self._chores.begin(_inside(action), self._hook(action), _hook_failed(action))
            case events.Signal():
                self._signal(action)
            case events.Say():
                where = {"container": action.container} if action.container else {}
                self._log.warning(action.event, reason=action.reason, **where)
            case _:
                assert_never(action)

    async def _create(self, number: int) -> events.Event:
        pod, place = self._pod, self._place
        volumes = await place.volumes.make(pod)
        self._updating.made(pod)
        self._updating.want(self._pod)
        place.folder.mkdir(parents=True, exist_ok=True)
        room = runtime.Room(pod, volumes, place.folder, place.logs)
        making = asyncio.ensure_future(place.runtime.create(room))
        try:
            await asyncio.wait({making}, timeout=CREATE_S_MAX)
        finally:
            if not making.done():
                making.cancel()
                await asyncio.wait({making})
            # It may have come about in the very moment in which nobody wanted it any more.
            if not making.cancelled() and making.exception() is None:
                self._sandbox = making.result()
        if making.cancelled():
            raise TimeoutError(f"its sandbox was not there within {CREATE_S_MAX:g}s")
        sandbox = making.result()
        if isinstance(sandbox, runtime.Losable):
            self._chores.begin(("lost",), self._watch_sandbox(sandbox, number), lambda _: None)
        return events.Created(number)

    async def _watch_sandbox(self, sandbox: runtime.Losable, number: int) -> events.Event | None:
        why = await self._chores.surely(sandbox.lost)
        return events.Lost(number, why) if why is not None else None

    async def _remove(self, number: int) -> events.Event:
        await self._take_away()
        return events.Removed(number)

    async def _take_away(self) -> bool:
        """End all tasks but this one, then the sandbox with whatever is left in it.

        Returns:
            True, when all is gone.
        """
        try:
            async with limits.limited(REMOVE_S_MAX):
                await self._chores.end()
                if self._sandbox is not None:
                    await self._sandbox.remove()
        except TimeoutError as error:
            text = f"its sandbox was not gone within {REMOVE_S_MAX:g}s"
            raise errors.TemporaryError(text, retry_after_s=1.0) from error
        self._sandbox = None
        self._running.clear()
        return True

    async def _start(self, name: str, attempt: int) -> events.Event:
        container, sandbox = self._pod.container(name), self._sandbox
        if container is None or sandbox is None:
            return events.StartFailed(name, attempt, "its sandbox is gone")
        if self._life.runs[name].ending is not None:
            return events.StartFailed(name, attempt, "it was to end before it began")
        try:
            if isinstance(sandbox, runtime.Fetching):
                await self._fetches.fetch(container, sandbox)
            async with limits.limited(START_S_MAX):
                running = await sandbox.start(container, attempt)
        except runtime.NotBegunError as error:
            return events.StartFailed(name, attempt, str(error), is_tried=False)
        except asyncio.CancelledError:
            if self._life.sandbox.stage != "there":
                raise
            return events.StartFailed(name, attempt, "it was not started in time")
        self._running[name] = (attempt, running)
        watch = self._watch(name, attempt, running)
        self._chores.begin(("watch", name, str(attempt)), watch, lambda _: None)
        return events.Started(name, attempt)

    async def _watch(
        self, name: str, attempt: int, running: runtime.Running
    ) -> events.Event | None:
        exit_ = await self._chores.surely(running.ended)
        return events.Exited(name, attempt, exit_) if exit_ is not None else None

    def _signal(self, action: events.Signal) -> None:
        name, attempt = action.container, action.attempt
        if name in self._running and self._running[name][0] == attempt:
            key = ("signal", name, str(attempt), action.number.name)
            if not self._chores.has(key):
                work = self._send(self._running[name][1], action.number)
                self._chores.begin(key, work, lambda _: None)
        elif action.number == signal.SIGKILL:
            self._chores.cancel("start", name)

    async def _send(self, running: runtime.Running, number: signal.Signals) -> None:
        await running.signal(number)

    async def _look(self, action: events.Look) -> events.Event:
        name, attempt, kind = action.container, action.attempt, action.kind
        if self._sandbox is None or name not in self._running:
            return events.Looked(name, attempt, kind, is_good=False, reason="it does not run")
        running = self._running[name][1]
        is_good, reason = await looks.see(self._sandbox, running, action.look)
        return events.Looked(name, attempt, kind, is_good, reason)

    async def _hook(self, action: events.RunHook) -> events.Event:
        name, hook, why = action.container, action.hook, ""
        if self._sandbox is None or name not in self._running:
            why = "it does not run"
        elif hook.command:
            running = self._running[name][1]
            code = await running.run(hook.command, timeout_s=action.limit_s)
            why = f"{hook.command[0]} ended with {code}" if code else ""
        elif hook.get is not None:
            async with asyncio.timeout(action.limit_s):
                await looks.get(self._sandbox, hook.get)  # any answer will do
        elif hook.sleep_s is not None:
            await self._clock.sleep(hook.sleep_s)
        return events.Hooked(name, action.attempt, action.kind, not why, why)

    async def _remove_volumes(self) -> None:
        await self._place.volumes.remove(self._pod)


def _inside(action: events.Look | events.RunHook) -> chores.Key:
    """Return the key of what is done in one run of a container, and given up with it."""
    return "in", action.container, str(action.attempt), action.kind


def _create_failed(number: int) -> Callable[[str], events.Event]:
    return lambda reason: events.CreateFailed(number, reason)


def _remove_failed(number: int) -> Callable[[str], events.Event]:
    return lambda reason: events.RemoveFailed(number, reason)


def _start_failed(name: str, attempt: int) -> Callable[[str], events.Event]:
    return lambda reason: events.StartFailed(name, attempt, reason)


def _look_failed(look: events.Look) -> Callable[[str], events.Event]:
    return lambda reason: events.Looked(
        look.container, look.attempt, look.kind, is_good=False, reason=reason
    )


def _hook_failed(hook: events.RunHook) -> Callable[[str], events.Event]:
    return lambda reason: events.Hooked(
        hook.container, hook.attempt, hook.kind, is_good=False, reason=reason
    )
