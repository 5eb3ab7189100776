"""Find the processes of containers and pods by the namespaces that they are in, and end them.

What left its group and forgot its environment is still in its container's mounts and its pod's
shared memory.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Literal, NewType

from alongside.base import errors
from alongside.engines.processes import groups

if TYPE_CHECKING:
    from collections.abc import Collection

    from alongside.base import clock

Kind = Literal["mnt", "ipc", "net"]
KINDS: tuple[Kind, ...] = ("mnt", "ipc", "net")
Id = NewType("Id", tuple[int, int])
"""Of a namespace, as long as it is there."""
POLL_S = 0.02
KILL_WAIT_S = 10.0


def of_descriptor(descriptor: int) -> Id:
    """Return the id of the namespace that a descriptor stands for."""
    found = os.fstat(descriptor)
    return Id((found.st_dev, found.st_ino))


def of_process(pid: int, kind: Kind) -> Id | None:
    """Return the id of a process's namespace; None where it has gone, or is a stranger's."""
    try:
        found = os.stat(f"/proc/{pid}/ns/{kind}")
    except OSError:
        return None
    return Id((found.st_dev, found.st_ino))


def inside(wanted: Collection[Id], kind: Kind) -> list[groups.Entry]:
    """Return the processes that are in any of these namespaces, but for this one."""
    return [
        one
        for one in groups.all_entries()
        if one.identity.pid != os.getpid() and of_process(one.identity.pid, kind) in wanted
    ]


async def kill(wanted: Collection[Id], kind: Kind, clock_: clock.Clock) -> int:
    """Kill all that is in these namespaces; return how many processes that were.

    Raises:
        errors.TemporaryError: something cannot be killed now.
    """
    own = of_process(os.getpid(), kind)
    ours = {one for one in wanted if one != own}
    killed: set[groups.Identity] = set()
    while found := inside(ours, kind) if ours else []:
        killed |= {one.identity for one in found}
        await kill_each(found, clock_)
    return len(killed)


async def kill_each(found: Collection[groups.Entry], clock_: clock.Clock) -> None:
    """Kill processes; returns when they are dead.

    Raises:
        errors.TemporaryError: something cannot be killed now.
    """
    deadline_s = clock_.monotonic_s() + KILL_WAIT_S
    left = list(found)
    while left:
        if clock_.monotonic_s() >= deadline_s:
            pids = ", ".join(str(one.identity.pid) for one in left)
            raise errors.TemporaryError(f"these processes do not die: {pids}", retry_after_s=1.0)
        for one in left:
            with contextlib.suppress(PermissionError):
                groups.send(one.identity, signal.SIGKILL)
        await clock_.sleep(POLL_S)
        left = [one for one in left if groups.is_alive(one.identity)]


def related(home: str, project: str) -> list[groups.Entry]:
    """Return what carries a project's marks, and what shares a namespace of ours with it."""
    marked = [one for one in groups.all_entries() if is_ours(one, home, project)]
    found = {one.identity.pid: one for one in marked}
    for kind in KINDS:
        own = of_process(os.getpid(), kind)
        ids = {of_process(one.identity.pid, kind) for one in marked} - {None, own}
        first = of_process(1, kind)
        theirs = {one for one in ids if one is not None and one != first}
        found.update({one.identity.pid: one for one in inside(theirs, kind)} if theirs else {})
    return list(found.values())


def is_ours(one: groups.Entry, home: str, project: str) -> bool:
    """Return whether a process carries the marks of pods or the hub of a project."""
    if one.identity.pid == os.getpid():
        return False
    mark = groups.mark_of(one.identity.pid)
    if mark is None or mark[1] != home:
        return False
    return mark[0].startswith(f"{project}/~hub") or mark[0].startswith(f"{project}/pod/")
