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
    from collections.abc import Callable, Collection, Iterable, Iterator

    from alongside.base import clock

Kind = Literal["mnt", "ipc", "net", "uts", "pid"]
KINDS: tuple[Kind, ...] = ("mnt", "ipc", "net")
"""By which processes of ours are found."""
Id = NewType("Id", tuple[int, int])
"""Of a namespace, as long as it is there: the next one may get the same. Whoever compares has to
hold a descriptor of it."""
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
    """Return the processes that are in any of these namespaces, but for this one.

    About 1 ms for 100 processes, which `groups.all_entries` would take ten times as long to read.
    """
    return _entries(pid for pid in _pids() if of_process(pid, kind) in wanted)


def carrying(home: str, name: str, *, below: bool = False) -> list[groups.Entry]:
    """Return the processes with a mark, and with `below` those of names that go on with a slash."""
    wanted = [f"{groups.MARK}={name}\0", *([f"{groups.MARK}={name}/"] if below else [])]
    marks = [one.encode() for one in wanted]
    at_home = f"{groups.HOME_MARK}={home}\0".encode()
    return _entries(pid for pid in _pids() if _carries(pid, marks, at_home))


def _carries(pid: int, marks: Collection[bytes], home: bytes) -> bool:
    try:
        descriptor = os.open(f"/proc/{pid}/environ", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        content = os.read(descriptor, groups.ENVIRON_BYTES_MAX)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return home in content and any(one in content for one in marks)


def _pids() -> Iterator[int]:
    own = os.getpid()
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) != own:
            yield int(name)


def _entries(pids: Iterable[int]) -> list[groups.Entry]:
    found = [groups.entry(pid) for pid in pids]
    return [one for one in found if one is not None and not one.is_zombie]


async def kill(
    find: Callable[[], Collection[groups.Entry]], clock_: clock.Clock
) -> set[groups.Identity]:
    """Kill what is found until nothing is; return all that was.

    Raises:
        errors.TemporaryError: something cannot be killed now.
    """
    killed: set[groups.Identity] = set()
    while found := find():
        killed |= {one.identity for one in found}
        await kill_each(found, clock_)
    return killed


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
        if left:
            # The first of a process namespace dies when all others in it have been reaped.
            groups.reap_orphans()


def related(home: str, project: str) -> list[groups.Entry]:
    """Return what carries a project's marks, and what shares a namespace of ours with it."""
    # The balancer's marks begin with `~`, and it outlives whoever else is in the hub.
    names = [f"{project}/{name}" for name in ("pod", "~hub", "~")]
    marked = [one for name in names for one in carrying(home, name, below=True)]
    found = {one.identity.pid: one for one in marked}
    for kind in KINDS:
        held = [hold(one.identity.pid, kind) for one in marked]
        # A namespace of this process or of the first one is the host's.
        hosts = {of_process(os.getpid(), kind), of_process(1, kind)}
        theirs = {of_descriptor(one) for one in held if one is not None} - hosts
        found.update({one.identity.pid: one for one in inside(theirs, kind)} if theirs else {})
        for one in held:
            if one is not None:
                os.close(one)
    return list(found.values())


def hold(pid: int, kind: Kind) -> int | None:
    """Return a descriptor of a process's namespace, which stays as long as it is open."""
    try:
        return os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
