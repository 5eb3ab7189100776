"""Follow one container: its start, postStart, probes and end, and whether it starts again."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from alongside.engines.pods import lifecycle_ends, lifecycle_probes
from alongside.engines.pods import lifecycle_events as events
from alongside.engines.pods import lifecycle_states as states
from alongside.engines.processes import exits

if TYPE_CHECKING:
    from alongside.engines.pods import runtime
    from alongside.plan import pods

POST_START_S_MAX = 600.0
"""For a postStart; Kubernetes waits for ever."""
NOT_STARTED = 128
"""The exit code of a container that could not be started."""
KILLED = exits.KILLED

Event = events.Started | events.StartFailed | events.Exited | events.Looked | events.Hooked


def is_again(container: pods.Container, ended: states.Ended) -> bool:
    """Return whether a container is to start again after an end."""
    is_success = ended.is_success and not ended.is_forced
    if container.kind == "sidecar":
        return True
    if container.kind == "init" and is_success:
        return False
    match container.restart:
        case "always":
            return True
        case "on-failure":
            return not is_success
        case "never":
            return False
        case _:
            assert_never(container.restart)


def looks(container: pods.Container) -> dict[events.LookKind, pods.Look]:
    """Return the probes of a container; init containers have none."""
    found: dict[events.LookKind, pods.Look] = {}
    if container.kind == "init":
        return found
    if container.startup is not None:
        found["startup"] = container.startup
    if container.readiness is not None:
        found["readiness"] = container.readiness
    if container.liveness is not None:
        found["liveness"] = container.liveness
    return found


class Follower:
    """Takes the events of one container's present run."""

    def __init__(
        self,
        container: pods.Container,
        run: states.Run,
        outbox: events.Outbox,
        *,
        grace_s: float,
        is_pod_ending: bool,
    ) -> None:
        """Take the container, what is known of it, and what its pod says.

        Args:
            container: of the pod.
            run: to be changed; the result is in `run`.
            outbox: for what is to be done.
            grace_s: the pod's.
            is_pod_ending: nothing is to start again.
        """
        self.run = run
        self._container = container
        self._outbox = outbox
        self._grace_s = grace_s
        self._is_pod_ending = is_pod_ending

    def take(self, event: Event) -> None:
        """Note an event; one that comes too late changes nothing."""
        run = self.run
        match event:
            case events.Started():
                if run.stage == "starting":
                    self._started()
            case events.StartFailed():
                if run.stage == "starting" and not event.is_tried:
                    self._put_off(event.reason)
                elif run.stage == "starting":
                    self.ended(NOT_STARTED, "StartError", event.reason)
            case events.Exited():
                if run.is_alive:
                    self._exited(event.exit)
            case events.Looked():
                self._looked(event)
            case events.Hooked():
                self._hooked(event)
            case _:
                assert_never(event)

    def _put_off(self, reason: str) -> None:
        """Note that a run did not come about: it is no end, whatever the restart policy."""
        run, now_s = self.run, self._outbox.now_s
        delay_s, failures = run.failures.after(0.0)
        self.run = replace(
            run,
            stage="waiting",
            attempt=run.attempt - 1,
            since_s=now_s,
            failures=failures,
            again_s=now_s + delay_s,
            ending=None,
            message=reason,
        )
        self._outbox.say("start_put_off", reason)

    def ended(self, code: int, reason: str, message: str) -> None:
        """Note the end of a run, and when the next one may begin."""
        run, now_s = self.run, self._outbox.now_s
        began_s = run.began_s if run.stage != "starting" else now_s
        is_forced = False
        if run.ending is not None and run.ending.why:
            message, is_forced = f"{run.ending.why}; {message}", True
        end = states.Ended(code, reason, message, began_s, now_s, is_forced=is_forced)
        is_again_ = is_again(self._container, end)
        delay_s, failures = run.failures.after(now_s - began_s)
        self.run = replace(
            run,
            stage="waiting" if is_again_ and not self._is_pod_ending else "terminated",
            since_s=now_s,
            is_started=False,
            is_ready=False,
            was_ready=False,
            is_passed=run.is_passed or (self._container.kind == "init" and end.is_success),
            failures=failures,
            again_s=now_s + delay_s if is_again_ else None,
            last=end,
            ending=None,
            watches={},
            message=message,
        )
        if not self._is_pod_ending and (is_again_ or not end.is_success):
            self._outbox.say("container_ended", message, self._container.name)

    def _started(self) -> None:
        now_s = self._outbox.now_s
        run = self.run = replace(self.run, began_s=now_s, since_s=now_s)
        hook = self._container.post_start
        if run.ending is not None:  # its pod ends meanwhile
            self.run = lifecycle_ends.started(self._container, run, self._outbox)
        elif hook is not None and self._container.kind != "init":
            self.run = replace(run, stage="hooking")
            name = self._container.name
            self._outbox.actions.append(
                events.RunHook(name, run.attempt, "post_start", hook, POST_START_S_MAX)
            )
        else:
            self._running()

    def _running(self) -> None:
        self.run = replace(self.run, stage="running")
        if "startup" in looks(self._container):
            self._watch("startup")
        else:
            self._open()

    def _watch(self, *kinds: events.LookKind) -> None:
        """Begin the probes of some kinds, as far as there are such, and end all others."""
        watches: dict[str, states.Watch] = {}
        for kind, look in looks(self._container).items():
            if kind in kinds:
                watches[kind] = lifecycle_probes.begin(
                    look, kind, began_s=self.run.began_s, now_s=self._outbox.now_s
                )
        self.run = replace(self.run, watches=watches)

    def _open(self) -> None:
        """Note that the container has started, and begin the probes that waited for that."""
        kind = self._container.kind
        is_ready = self._container.readiness is None and kind != "init"
        self.run = replace(
            self.run,
            is_started=True,
            is_ready=is_ready,
            was_ready=is_ready,
            is_passed=self.run.is_passed or kind == "sidecar",
            message="",
        )
        self._watch("readiness", "liveness")

    def _exited(self, exit_: runtime.Exit) -> None:
        code = exit_.code
        if exit_.signal is not None and code == 0:
            code = exits.SIGNALLED + exit_.signal
        reason = "Completed" if code == 0 else "Error"
        self.ended(code, "OOMKilled" if exit_.is_out_of_memory else reason, _ending(exit_))

    def _hooked(self, event: events.Hooked) -> None:
        run = self.run
        if event.kind == "post_start":
            if run.stage != "hooking":
                return
            if event.is_good:
                self._running()
            else:
                self._end(f"its postStart failed: {event.reason}", None)
        elif run.ending is not None and run.ending.is_hooking:
            self.run = replace(run, ending=replace(run.ending, is_hooking=False))
            if not event.is_good:
                reason = f"its preStop failed: {event.reason}"
                self._outbox.say("hook_failed", reason, self._container.name)

    def _end(self, why: str, grace_s: float | None) -> None:
        """Begin to end a container that would run on."""
        if grace_s is None:
            grace_s = self._grace_s
        ending = states.Ending(why, grace_s, self._outbox.now_s + grace_s)
        self._outbox.say("container_ending", why, self._container.name)
        self.run = lifecycle_ends.begin(self._container, self.run, ending, self._outbox)

    def _looked(self, event: events.Looked) -> None:
        watch, look = self.run.watches.get(event.kind), looks(self._container).get(event.kind)
        if watch is None or look is None or not watch.is_looking:
            return
        watch, verdict = lifecycle_probes.seen(
            watch, look, is_good=event.is_good, now_s=self._outbox.now_s
        )
        self.run = replace(self.run, watches={**self.run.watches, event.kind: watch})
        if event.kind == "readiness":
            self._judge_readiness(verdict, event)
        elif verdict is False:
            self._end(f"its {event.kind} probe failed: {event.reason}", look.grace_s)
        elif event.kind == "startup" and event.is_good:  # one success is enough, as for liveness
            self._open()
        elif event.kind == "startup":
            message = f"its startup probe does not succeed yet: {event.reason}"
            self.run = replace(self.run, message=message)

    def _judge_readiness(self, verdict: bool | None, event: events.Looked) -> None:
        run = self.run
        if verdict:
            self.run = replace(run, is_ready=True, was_ready=True, message="")
        elif verdict is False and run.was_ready:
            message = f"its readiness probe fails: {event.reason}"
            self.run = replace(run, is_ready=False, message=message)
        elif not run.was_ready and not event.is_good:
            message = f"its readiness probe does not succeed yet: {event.reason}"
            self.run = replace(run, message=message)


def _ending(exit_: runtime.Exit) -> str:
    if exit_.is_out_of_memory:
        return "killed because it ran out of memory"
    if exit_.signal is None:
        return f"ended with {exit_.code}"
    try:
        return f"killed by {signal.Signals(exit_.signal).name}"
    except ValueError:
        return f"killed by signal {exit_.signal}"
