"""Decide how long to wait before a process that ended is started again."""

from __future__ import annotations

from dataclasses import dataclass

DELAY_S_MIN = 0.1
DELAY_S_MAX = 30.0
CALM_S = 60.0
"""A process that ran this long starts again at once, as if it had never failed."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often a process failed in a row."""

    failures: int = 0

    def after(self, ran_s: float) -> tuple[float, Backoff]:
        """Return the wait in seconds after a run of `ran_s` seconds, and the next state."""
        failures = 0 if ran_s >= CALM_S else self.failures
        delay_s = min(DELAY_S_MAX, DELAY_S_MIN * 2.0 ** min(failures, 20))
        return delay_s, Backoff(failures + 1)
