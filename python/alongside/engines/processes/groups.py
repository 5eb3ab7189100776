"""Find and signal every process of a child, by process group and by the mark in its environment.

A child is a session of its own, so its group is its pid. What leaves the group (a daemon that
starts another session) is still found by the variables it inherited. A pid alone is never
trusted: start time and mark say whether it is still the process that was started.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Sequence

MARK = "ALONGSIDE_CHILD"
"""Holds PROJECT/NAME in every child's environment."""
HOME_MARK = "ALONGSIDE_CHILD_HOME"
"""Holds the project's state folder, since two users may have projects of one name."""
ENVIRON_BYTES_MAX = 1 << 20
STAT_BYTES_MAX = 1 << 12
LOOKS_MAX = 1_000
"""At a process that becomes another program just then, which takes the kernel microseconds."""
MARKS_MAX = 1 << 14
"""Of processes whose marks are remembered."""

_PROC = Path("/proc")
_PR_SET_CHILD_SUBREAPER = 36
_PF_EXITING = 4
_MARKS = (MARK.encode(), HOME_MARK.encode())
_marks: dict[Identity, tuple[tuple[str, ...], tuple[str, str] | None]] = {}
"""The marks of the program that each process was, when it was last seen."""
_asked: dict[asyncio.AbstractEventLoop, asyncio.Future[list[Entry]]] = {}
"""What who asked for a census in this turn waits for."""
_held: set[int] = set()
"""Leaders that someone in this process looks after; they are the whole process's children."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that cannot be mistaken for another with the same pid."""

    pid: int
    started: int
    """Clock ticks from boot to its start, as /proc says."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What /proc says about a process."""

    identity: Identity
    parent: int
    group: int
    session: int
    is_zombie: bool
    image: tuple[str, ...] = ()
    """Where its stack, words and variables lie: others after each exec. Empty where hidden."""
    is_spent: bool = False
    """Whether it runs nothing any more and has given its memory back, but is no zombie yet: as the
    first process of a process namespace, until who adopted the others has reaped them."""
    has_memory: bool = True
    """A thread of the kernel's has none, nor what is spent."""

    @property
    def is_changing(self) -> bool:
        """Whether it becomes another program just now, as far as may be seen."""
        return self.has_memory and not self.image


def become_subreaper() -> bool:
    """Let orphans of our children become ours, so that they can be found and reaped.

    Returns False where the system has no such thing (not Linux).
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def entry(pid: int) -> Entry | None:
    """Return what is known of a process, or None where there is none."""
    content = _read(f"{_PROC}/{pid}/stat", STAT_BYTES_MAX)
    if not content:
        return None
    # The name in brackets may hold blanks and brackets itself.
    rest = content[content.rindex(b")") + 2 :].decode().split()
    return Entry(
        Identity(pid, int(rest[19])),
        parent=int(rest[1]),
        group=int(rest[2]),
        session=int(rest[3]),
        is_zombie=rest[0] in {"Z", "X"},
        image=(rest[25], *rest[45:49]) if rest[47] != "0" else (),
        is_spent=bool(int(rest[6]) & _PF_EXITING) and rest[20] == "0",
        has_memory=rest[20] != "0",
    )


def _read(path: str, bytes_max: int) -> bytes | None:
    """Return a file of /proc, or None where it may not be read.

    A walk through /proc reads hundreds, so it is done bare.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        content = more = os.read(descriptor, min(bytes_max, STAT_BYTES_MAX))
        while len(more) >= STAT_BYTES_MAX and len(content) < bytes_max:
            more = os.read(descriptor, bytes_max - len(content))
            content += more
    except OSError:  # it ended meanwhile
        return None
    else:
        return content
    finally:
        os.close(descriptor)


def identity(pid: int) -> Identity | None:
    """Return the identity of a running process, or None."""
    found = entry(pid)
    return found.identity if found is not None else None


def is_alive(wanted: Identity) -> bool:
    """Return whether that very process still runs; a zombie does not."""
    found = entry(wanted.pid)
    return found is not None and found.identity == wanted and not found.is_zombie


def is_running(wanted: Identity) -> bool:
    """Return whether that very process can still do anything."""
    found = entry(wanted.pid)
    return (
        found is not None and found.identity == wanted and not (found.is_zombie or found.is_spent)
    )


def all_entries() -> list[Entry]:
    """Return every process that is no zombie. About 2 ms for 100 processes."""
    found = [entry(int(name)) for name in os.listdir(_PROC) if name.isdigit()]
    return [one for one in found if one is not None and not one.is_zombie]


async def census() -> list[Entry]:
    """Return every process as `all_entries` does, as of after the call.

    All who ask in one turn of the event loop share one walk: many end at once when a project does.
    """
    loop = asyncio.get_running_loop()
    if (asked := _asked.get(loop)) is None:
        asked = _asked[loop] = loop.create_future()

        def walk() -> None:
            del _asked[loop]
            try:
                asked.set_result(all_entries())
            except OSError as error:
                asked.set_exception(error)

        loop.call_soon(walk)
    return await asyncio.shield(asked)


def mark_of(one: Entry) -> tuple[str, str] | None:
    """Return the mark and home mark in a process's environment, or None.

    It is read once for each program that a process becomes: it is what that was started with.
    """
    if not one.has_memory:
        return None
    known = _marks.get(one.identity)
    if known is not None and known[0] == one.image:
        return known[1]
    content, seen = _environment(one)
    mark = _mark(content)
    if seen.image:
        if len(_marks) >= MARKS_MAX:
            _marks.clear()
        _marks[one.identity] = seen.image, mark
    return mark


def _environment(one: Entry) -> tuple[bytes, Entry]:
    """Return the variables of a process, and what it was when they were read.

    While the kernel makes another program of it there are none, for a moment.
    """
    content = None
    for _ in range(LOOKS_MAX):
        content = _read(f"{_PROC}/{one.identity.pid}/environ", ENVIRON_BYTES_MAX)
        now = entry(one.identity.pid) if content == b"" else one
        if now is None or now.identity != one.identity:
            return b"", one
        is_settled = content != b"" or (now.image == one.image and not now.is_changing)
        one = now
        if is_settled:
            break
        os.sched_yield()
    return content or b"", one


def _mark(environment: bytes) -> tuple[str, str] | None:
    values: dict[bytes, str] = {}
    for variable in environment.split(b"\0"):
        name, _, value = variable.partition(b"=")
        if name in _MARKS:
            values[name] = value.decode(errors="replace")
    if len(values) < len(_MARKS):
        return None
    return values[_MARKS[0]], values[_MARKS[1]]


def marked(
    home: str,
    *,
    is_named: Callable[[str], bool] = lambda _: True,
    among: Sequence[Entry] | None = None,
) -> list[Entry]:
    """Return the processes that carry the mark of a project's folder, and a certain one beside.

    Args:
        home: the state folder, as given to the children.
        is_named: says for a child's mark PROJECT/NAME whether it is wanted; all are by default.
        among: all processes, where they were just looked at.
    """
    found = []
    for one in all_entries() if among is None else among:
        mark = mark_of(one) if one.identity.pid != os.getpid() else None
        if mark is not None and mark[1] == home and is_named(mark[0]):
            found.append(one)
    return found


def members(group: int) -> list[Entry]:
    """Return the processes of a group."""
    return [one for one in all_entries() if one.group == group]


def family(
    group: int | None, home: str, name: str, among: Sequence[Entry] | None = None
) -> list[Entry]:
    """Return the processes of a group, and those outside it that carry a child's marks.

    Args:
        group: the child's; None where it is known to be gone.
        home: the state folder, as given to the child.
        name: the child's mark PROJECT/NAME.
        among: all processes, where they were just looked at.
    """
    found = []
    for one in all_entries() if among is None else among:
        # What lives in another leader's group did not escape from this one; it is not read.
        is_escaped = one.group not in _held and mark_of(one) == (name, home)
        if one.group == group or (is_escaped and one.identity.pid != os.getpid()):
            found.append(one)
    return found


def exists(group: int) -> bool:
    """Return whether a group that is known to be ours still has a process, dead ones too.

    As long as it has, no other process can get its id.
    """
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def hold(leader: int) -> None:
    """Leave a leader's status to its owner, and its group out of others' looks, until released."""
    _held.add(leader)


def release(leader: int) -> None:
    """Let `reap_orphans` collect a leader, if it is still to be."""
    _held.discard(leader)


def is_held(leader: int) -> bool:
    """Return whether someone in this process looks after a leader."""
    return leader in _held


def send(wanted: Identity, number: signal.Signals) -> None:
    """Signal one process, if it is still the same."""
    if is_alive(wanted):
        try:
            os.kill(wanted.pid, number)
        except ProcessLookupError:
            return


def send_group(group: int, number: signal.Signals) -> None:
    """Signal a whole group that is known to be ours."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return


def reap_orphans() -> int:
    """Collect dead processes that became ours, but no leader that is held; return how many."""
    count = 0
    if not _has_dead_child():
        return count
    for path in _PROC.iterdir():
        found = entry(int(path.name)) if path.name.isdigit() else None
        if found is None or not found.is_zombie or found.parent != os.getpid():
            continue
        if found.identity.pid in _held or found.group == os.getpgrp():
            continue
        try:
            count += os.waitpid(found.identity.pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            continue
    return count


def _has_dead_child() -> bool:
    """Return whether any child waits to be collected; one call instead of a walk through /proc."""
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def reap(group: int) -> int | None:
    """Collect the dead of a group that are our children; return the leader's status if among them.

    The status is the exit code, or minus the signal that killed it.
    """
    leader = None
    while True:
        try:
            pid, status = os.waitpid(-group, os.WNOHANG)
        except ChildProcessError:
            return leader
        if pid == 0:
            return leader
        if pid == group:
            leader = os.waitstatus_to_exitcode(status)
