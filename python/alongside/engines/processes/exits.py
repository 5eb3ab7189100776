"""Say in one number how a program ended, as shells and Kubernetes do."""

from __future__ import annotations

import signal

SIGNALLED = 128
"""Before a signal's number."""
KILLED = SIGNALLED + signal.SIGKILL
UNKNOWN = 255
"""Where the system did not say how it ended."""
_SIGNALS_MAX = 64


def code(status: int | None) -> int:
    """Return an exit code, 128 and the number where a signal ended it.

    Args:
        status: as Python has it, where a signal's number is negative; None where nobody knows.
    """
    if status is None:
        return UNKNOWN
    return status if status >= 0 else SIGNALLED - status


def signal_of(told: int) -> int | None:
    """Return the number of the signal that an exit code tells of; None where it tells of none."""
    number = told - SIGNALLED
    return number if 0 < number <= _SIGNALS_MAX else None
