"""Find the processes of containers and pods by the namespaces that they are in, and end them.

What left its group and forgot its environment is still in its container's mounts and its pod's
shared memory.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import struct
from typing import TYPE_CHECKING, Literal, NewType

from alongside.base import errors
from alongside.engines.processes import groups

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from alongside.base import clock

Kind = Literal["mnt", "ipc", "net", "uts", "pid"]
Id = NewType("Id", tuple[int, int])
"""Of a namespace, as long as it is there: the next one may get the same. Whoever compares has to
hold a descriptor of it."""
POLL_S = 0.02
KILL_WAIT_S = 10.0
REAP_WAIT_S = 1.0
"""For who has to reap before what runs nothing any more is gone; strangers may never do it."""
NAMED_MAX = 10
"""Of those that do not die, in a message."""
_NS_GET_ID = 0x8008B70D
"""A request of Linux 6.18; an older one knows such numbers of mount namespaces alone."""
STORM_COUNT = 1000
"""More than these that were killed in vain are no crowd but some that fork."""


def of_descriptor(descriptor: int) -> Id:
    """Return the id of the namespace that a descriptor stands for."""
    found = os.fstat(descriptor)
    return Id((found.st_dev, found.st_ino))


def serial(descriptor: int) -> int | None:
    """Return a number that no other namespace gets in this boot; None where the kernel has none."""
    number = bytearray(8)
    try:
        fcntl.ioctl(descriptor, _NS_GET_ID, number)
    except OSError:
        return None
    return int(struct.unpack("=Q", number)[0])


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
    """Kill what is found until nothing is, and all of it is dead; return all that was.

    Who was found anew is looked for again at once: what forks must not win time. What only waits
    for others to be reaped counts as dead, where whoever adopted them is slow.

    Raises:
        errors.TemporaryError: something does not die, or forks as quickly as it is killed.
    """
    now_s = clock_.monotonic_s()
    deadline_s, reaped_s = now_s + KILL_WAIT_S, now_s + REAP_WAIT_S
    killed: set[groups.Identity] = set()
    left: set[groups.Identity] = set()
    while left := {*_alive(left), *(one.identity for one in find())}:
        now_s = clock_.monotonic_s()
        if any(map(groups.is_running, left)):
            reaped_s = now_s + REAP_WAIT_S
        elif now_s >= reaped_s:
            return killed | left
        if now_s >= deadline_s:
            raise errors.TemporaryError(_undying(left, killed), retry_after_s=1.0)
        for one in left:
            with contextlib.suppress(PermissionError):
                groups.send(one, signal.SIGKILL)
        await clock_.sleep(POLL_S if left <= killed else 0.0)
        killed |= left
        # The first of a process namespace dies when all others in it have been reaped.
        groups.reap_orphans()
    return killed


def _alive(wanted: Iterable[groups.Identity]) -> list[groups.Identity]:
    return [one for one in wanted if groups.is_alive(one)]


def _undying(left: Collection[groups.Identity], killed: Collection[groups.Identity]) -> str:
    pids = sorted(one.pid for one in left)
    named = ", ".join(map(str, pids[:NAMED_MAX])) + (", ..." if len(pids) > NAMED_MAX else "")
    if len(killed) > STORM_COUNT:
        return (
            f"{len(killed)} processes were killed in {KILL_WAIT_S:.0f} s and they start others as "
            f"quickly ({named}); where cgroups may be made they are frozen first"
        )
    return f"these processes do not die: {named}"


def within(ours: Mapping[Kind, Collection[Id]]) -> list[groups.Entry]:
    """Return the processes that are in any of these namespaces, but for this one."""
    return _entries(pid for pid in _pids() if _is_within(pid, ours))


def _is_within(pid: int, ours: Mapping[Kind, Collection[Id]]) -> bool:
    return any(of_process(pid, kind) in ids for kind, ids in ours.items())


def marked(home: str, project: str) -> list[groups.Entry]:
    """Return what carries the marks of a project's pods and of what they need."""
    # The balancer's marks begin with `~`, and it outlives whoever else is in the hub.
    names = [f"{project}/{name}" for name in ("pod", "~hub", "~")]
    return [one for name in names for one in carrying(home, name, below=True)]


def hold(pid: int, kind: Kind, wanted: Id | None = None) -> int | None:
    """Return a descriptor of a namespace that a process is in, which stays as long as it is open.

    None where the process has gone, or is in another one than is wanted.
    """
    try:
        descriptor = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    if wanted is None or of_descriptor(descriptor) == wanted:
        return descriptor
    os.close(descriptor)
    return None
