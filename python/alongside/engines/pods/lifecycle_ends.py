"""End one run of a container: preStop, SIGTERM, and SIGKILL when its grace is over."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import TYPE_CHECKING

from alongside.engines.pods import lifecycle_events as events
from alongside.engines.pods import lifecycle_states as states

if TYPE_CHECKING:
    from alongside.plan import pods

LATE_GRACE_S = 2.0
"""For what is told to end only when the grace is over; never more than the grace itself."""
KILL_AGAIN_S = 1.0


def begin(
    container: pods.Container, run: states.Run, ending: states.Ending, outbox: events.Outbox
) -> states.Run:
    """Return a run that begins to end; its probes end at once.

    One that is only being started has no process yet that could be told.
    """
    run = replace(run, is_ready=False, watches={}, ending=ending, message=ending.why)
    if run.stage == "starting":
        return run
    return _hooked(container, replace(run, stage="ending", since_s=outbox.now_s), outbox)


def started(container: pods.Container, run: states.Run, outbox: events.Outbox) -> states.Run:
    """Return a run that was to end before it began, now that it did."""
    if run.ending is None:
        return run
    run = replace(run, stage="ending", ending=replace(run.ending, killed_s=None))
    return _hooked(container, run, outbox)


def _hooked(container: pods.Container, run: states.Run, outbox: events.Outbox) -> states.Run:
    """Return the run with its preStop begun, where it has one and there is time for it."""
    hook, ending = container.pre_stop, run.ending
    if hook is None or ending is None or outbox.now_s >= ending.deadline_s:
        return run
    limit_s = ending.deadline_s - outbox.now_s
    outbox.actions.append(events.RunHook(container.name, run.attempt, "pre_stop", hook, limit_s))
    return replace(run, ending=replace(ending, is_hooking=True))


def hurried(run: states.Run, finish: states.Finish) -> states.Run:
    """Return a run that ends no later than its pod does."""
    if run.ending is None:
        return run
    ending = replace(
        run.ending,
        grace_s=min(run.ending.grace_s, finish.grace_s),
        deadline_s=min(run.ending.deadline_s, finish.deadline_s),
    )
    return replace(run, ending=ending)


def go_on(name: str, run: states.Run, outbox: events.Outbox, *, is_turn: bool) -> states.Run:
    """Return a run that ends after the signals that are due now.

    Args:
        name: of the container.
        run: that has an ending.
        outbox: for the signals.
        is_turn: nothing runs any more that it has to outlive.
    """
    ending, now_s = run.ending, outbox.now_s
    if ending is None:
        return run
    if run.stage == "ending" and ending.told_s is None:
        is_held = ending.is_hooking or not is_turn
        if is_held and not outbox.is_due(ending.deadline_s):
            return run
        ending = replace(ending, told_s=now_s, is_hooking=False)
        if now_s < _kill_s(ending):
            outbox.actions.append(events.Signal(name, run.attempt, signal.SIGTERM))
    due_s = ending.killed_s + KILL_AGAIN_S if ending.killed_s is not None else _kill_s(ending)
    if outbox.is_due(due_s):
        outbox.actions.append(events.Signal(name, run.attempt, signal.SIGKILL))
        outbox.timers.append(now_s + KILL_AGAIN_S)
        ending = replace(ending, killed_s=now_s)
    return replace(run, ending=ending)


def _kill_s(ending: states.Ending) -> float:
    """Return when SIGKILL is due."""
    if ending.told_s is None:
        return ending.deadline_s
    return max(ending.deadline_s, ending.told_s + min(LATE_GRACE_S, ending.grace_s))
