"""Count what the probes of a container see, as Kubernetes does, and say when to look again.

One thing is quicker: until its first success a startup or readiness probe looks soon after each
failed look, then twice as late each time up to its period. Such a look can only find out that a
container is good; failures are counted at the times at which Kubernetes would have looked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from alongside.engines.pods import lifecycle_states
from alongside.engines.processes import probing

if TYPE_CHECKING:
    from alongside.engines.pods import lifecycle_events
    from alongside.plan import pods


def begin(
    look: pods.Look, kind: lifecycle_events.LookKind, *, began_s: float, now_s: float
) -> lifecycle_states.Watch:
    """Return the watch of a container that runs since `began_s` and may be looked at from now."""
    first_s = max(now_s, began_s + look.delay_s)
    quick_s = 0.0 if kind == "liveness" else probing.FIRST_PERIOD_S
    return lifecycle_states.Watch(first_s, first_s, quick_s)


def sent(watch: lifecycle_states.Watch, look: pods.Look, now_s: float) -> lifecycle_states.Watch:
    """Return the watch while a look that begins now is on its way."""
    if now_s < watch.counted_s:
        return replace(watch, is_looking=True, is_counted=False)
    period_s = max(look.period_s, probing.FIRST_PERIOD_S)
    return replace(watch, is_looking=True, is_counted=True, counted_s=now_s + period_s)


def seen(
    watch: lifecycle_states.Watch, look: pods.Look, *, is_good: bool, now_s: float
) -> tuple[lifecycle_states.Watch, bool | None]:
    """Return the watch after a look, and whether the thresholds say good, bad or nothing yet."""
    watch = replace(watch, is_looking=False)
    if is_good:
        watch = replace(
            watch, good=watch.good + 1, bad=0, quick_s=0.0, next_s=max(now_s, watch.counted_s)
        )
        return watch, True if watch.good >= look.successes else None
    bad = watch.bad + 1 if watch.is_counted else watch.bad
    next_s = max(now_s, watch.counted_s)
    if watch.quick_s:
        next_s = min(next_s, now_s + watch.quick_s)
    quick_s = min(watch.quick_s * 2, look.period_s)
    watch = replace(watch, good=0, bad=bad, next_s=next_s, quick_s=quick_s)
    return watch, False if bad >= look.failures else None
