"""Decide how long to wait before a process that ended is started again."""

from __future__ import annotations

from dataclasses import dataclass, replace

DELAY_S_MIN = 0.1
DELAY_S_MAX = 30.0
SERVED_DELAY_S_MAX = 1.0
"""Who has served is missed by somebody, and away no longer than this, however often it fails."""
_SERVED_FAILURES_MAX = 4
"""Of who has served so many failures are remembered: one bad start is no long row of them."""
CALM_S = 60.0
"""A process that ran this long starts again at once, as if it had never failed."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often a process failed in a row."""

    failures: int = 0
    delay_s_max: float = DELAY_S_MAX
    calm_s: float = CALM_S

    def after(self, ran_s: float, *, has_served: bool = False) -> tuple[float, Backoff]:
        """Return the wait in seconds after a run of `ran_s` seconds, and the next state."""
        failures = 0 if ran_s >= self.calm_s else self.failures
        limit_s = self.delay_s_max
        if has_served:
            limit_s = min(limit_s, SERVED_DELAY_S_MAX)
            failures = min(failures, _SERVED_FAILURES_MAX)
        delay_s = min(limit_s, DELAY_S_MIN * 2.0 ** min(failures, 20))
        return delay_s, replace(self, failures=failures + 1)
