"""Decide which pods of one workload may start and stop now, so that enough of them can be used.

The rules are Kubernetes' own: a Deployment starts new pods before it stops old ones, within
`maxSurge` and `maxUnavailable`; a StatefulSet replaces one pod after the other, the last first, and
goes on when that one is ready. Where two pods need one address, an old one has to go first: then
they are replaced one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from alongside.plan import shape


@dataclass(frozen=True, slots=True)
class Member:
    """A pod of the workload: planned, there, or both."""

    name: str
    is_planned: bool
    is_there: bool
    is_old: bool = False
    """It is there, and not as the plan wants it, or not wanted at all."""
    is_ready: bool = False
    is_stopping: bool = False
    can_start: bool = True
    """Of what is planned: whether it could start now, were it not there and its address free."""
    blockers: frozenset[str] = frozenset()
    """Of what is planned and not there: old pods of the workload that have its address."""
    is_needed: bool = False
    """Something that runs would miss it, so it stays for now."""
    has_followers: bool = False
    """One that started after it is to go as well, and is still there."""

    @property
    def is_coming(self) -> bool:
        """Whether it is as planned and cannot be used yet."""
        return self.is_there and not self.is_old and not self.is_ready

    @property
    def is_live(self) -> bool:
        """Whether it is there and was not told to end."""
        return self.is_there and not self.is_stopping


def starts(workload: shape.Workload, members: Sequence[Member]) -> list[str]:
    """Return which of the pods that are not there may start now, as far as the workload goes."""
    absent = [one for one in members if one.is_planned and not one.is_there]
    match workload.way:
        case "ordered":  # their order is that of `Process.after`
            return [one.name for one in absent]
        case "recreate":
            is_clear = not any(one.is_old for one in members)
            return [one.name for one in absent] if is_clear else []
        case "rolling":
            planned = sum(one.is_planned for one in members)
            room = planned + workload.surge - sum(one.is_live for one in members)
            able = [one.name for one in absent if one.can_start and not one.blockers]
            return able[: max(0, room)]


def need_room(workload: shape.Workload, members: Sequence[Member]) -> bool:
    """Return whether no pod can start before an old one has gone, whatever becomes ready."""
    is_narrow = workload.way == "recreate" or (workload.way == "rolling" and not workload.surge)
    return is_narrow and any(one.is_old for one in members)


def stops(workload: shape.Workload, members: Sequence[Member]) -> list[str]:
    """Return which old pods may be told to end now.

    Args:
        workload: how its pods are replaced; it is planned.
        members: in the plan's order, then those that are not planned any more, in their order.
    """
    match workload.way:
        case "recreate":
            return [one.name for one in _old(members)]
        case "ordered":
            return [*_superfluous(members), *_last_old(members)]
        case "rolling":
            return _rolling(workload, members)


def _old(members: Iterable[Member]) -> list[Member]:
    """Return those that are to go and may: what replaces one of the same name could start."""
    old = [one for one in members if one.is_old and one.is_live and not one.is_needed]
    return [one for one in old if not one.is_planned or one.can_start]


def _superfluous(members: Iterable[Member]) -> list[str]:
    """Return those beyond the planned number; each when those behind it have gone."""
    found = [one for one in _old(members) if not one.is_planned]
    return [one.name for one in found if not one.has_followers]


def _last_old(members: Sequence[Member]) -> list[str]:
    """Return the last pod that is old, while all that are as planned are ready.

    What cannot start before one in front of it is ready says nothing against that one.
    """
    planned = [one for one in members if one.is_planned]
    is_awaited = any(
        one.is_stopping or one.is_coming or (not one.is_there and one.can_start) for one in planned
    )
    return [one.name for one in _old(planned)][-1:] if not is_awaited else []


def _rolling(workload: shape.Workload, members: Sequence[Member]) -> list[str]:
    planned = sum(one.is_planned for one in members)
    usable = sum(one.is_ready and one.is_live for one in members)
    old = list(reversed(_old(members)))
    found = [one.name for one in old if not one.is_ready]
    for one in old:
        if one.is_ready and usable > planned - workload.unavailable:
            usable -= 1
            found.append(one.name)
    if found or any(one.is_coming or one.is_stopping for one in members):
        return found
    return [] if starts(workload, members) else _one_for_room(members, old)


def _one_for_room(members: Sequence[Member], old: Sequence[Member]) -> list[str]:
    """Return one old pod without whose end nothing goes on, whoever has an address the first."""
    absent = [one for one in members if one.is_planned and not one.is_there and one.can_start]
    in_the_way = {name for one in absent for name in one.blockers}
    first = [one.name for one in old if one.is_planned or one.name in in_the_way]
    return (first or [one.name for one in old if absent])[:1]
