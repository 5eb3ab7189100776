"""End a child: its process group, and what escaped from it but carries its marks."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside.engines.processes import groups

if TYPE_CHECKING:
    from collections.abc import Callable

    from alongside.base import clock

POLL_S = 0.03
LEFTOVER_GRACE_S = 2.0
"""Given to what a dead leader left in its group."""
KILL_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Marks:
    """What a child's environment carries so that it is found again."""

    home: str
    name: str


async def end(group: int, marks: Marks, grace_s: Callable[[], float], clock_: clock.Clock) -> bool:
    """End a group and what escaped from it: SIGTERM, then SIGKILL after the grace period.

    Returns:
        Whether anything was still there to be killed.
    """
    began_s = clock_.monotonic_s()
    told: set[int] = set()
    is_late = False
    inside: int | None = group
    try:
        while True:
            if inside is not None:
                groups.reap(inside)
                # The id of a group that is gone may be another's soon.
                inside = inside if groups.exists(inside) else None
            left = groups.family(inside, marks.home, marks.name)
            deadline_s = began_s + grace_s()
            if not left:
                return is_late
            if clock_.monotonic_s() >= deadline_s + KILL_WAIT_S:
                return True  # stuck in the kernel; nobody can end it now
            is_late = clock_.monotonic_s() >= deadline_s
            if is_late:
                _signal(inside, left, signal.SIGKILL)
            else:
                # Each group once, as soon as it is seen: what a member starts to clean up may work.
                _signal(inside, [one for one in left if one.group not in told], signal.SIGTERM)
                told.update(one.group for one in left)
            await clock_.sleep(POLL_S)
    finally:
        groups.release(group)


def _signal(inside: int | None, left: list[groups.Entry], number: signal.Signals) -> None:
    if inside is not None and any(one.group == inside for one in left):
        groups.send_group(inside, number)
    for one in left:
        if one.group != inside:
            groups.send(one.identity, number)
