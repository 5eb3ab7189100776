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
            left = groups.family(inside, marks.home, marks.name, await groups.census())
            deadline_s = began_s + grace_s()
            if not left:
                return is_late
            if clock_.monotonic_s() >= deadline_s + KILL_WAIT_S:
                return True  # stuck in the kernel; nobody can end it now
            is_late = clock_.monotonic_s() >= deadline_s
            if is_late:
                send(inside, left, signal.SIGKILL)
            else:
                # Each group once, as soon as it is seen: what a member starts to clean up may work.
                send(inside, [one for one in left if one.group not in told], signal.SIGTERM)
                told.update(one.group for one in left)
            await clock_.sleep(POLL_S)
    finally:
        groups.release(group)


def send(inside: int | None, family: list[groups.Entry], number: signal.Signals) -> None:
    """Signal a family: its group at once, what escaped from that one by one.

    Args:
        inside: the group; None where it is known to be gone.
        family: as `groups.family` found it.
        number: of the signal.
    """
    if inside is not None and any(one.group == inside for one in family):
        groups.send_group(inside, number)
    for one in family:
        if one.group != inside:
            groups.send(one.identity, number)


async def end_marked(home: str, is_ours: Callable[[str], bool], clock_: clock.Clock) -> int:
    """End processes by their marks alone: SIGTERM, then SIGKILL; return how many there were.

    Args:
        home: the state folder, as given to them.
        is_ours: says for a mark PROJECT/NAME whether its process is to end.
        clock_: for the wait.
    """
    count, began_s = 0, clock_.monotonic_s()
    told: set[groups.Identity] = set()
    while left := groups.marked(home, is_named=is_ours, among=await groups.census()):
        count = max(count, len(left))
        waited_s = clock_.monotonic_s() - began_s
        if waited_s >= LEFTOVER_GRACE_S + KILL_WAIT_S:
            break  # stuck in the kernel; nobody can end them now
        is_late = waited_s >= LEFTOVER_GRACE_S
        for one in left:
            if is_late or one.identity not in told:
                groups.send(one.identity, signal.SIGKILL if is_late else signal.SIGTERM)
        told.update(one.identity for one in left)
        await clock_.sleep(POLL_S)
        groups.reap_orphans()
    return count
