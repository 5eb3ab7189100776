"""Find the supervisor that holds a project, and what a dead one left behind; end either."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TextIO

from alongside.base import errors
from alongside.engines.processes import cgroups, groups, logs
from alongside.server import journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from alongside.base import clock
    from alongside.engines.local import folders
    from alongside.engines.pods import runtime

GRACE_S = 10.0
KILL_WAIT_S = 10.0
POLL_S = 0.03
PATIENCE_S = 15.0
"""Beyond its processes' grace, for a supervisor that was told to end: they are killed in it."""


class HasSupervisorError(errors.TemporaryError):
    """Another process has the project: a supervisor, or a `down` that ends what one left."""


@contextlib.contextmanager
def locked(places: folders.Folders) -> Iterator[bool]:
    """Hold a project's lock; yields False where another process has it.

    The kernel drops the lock when its holder dies, however it dies. Only a supervisor signs it.

    Raises:
        errors.PermanentError: the project is another user's, or its folder cannot be written.
    """
    try:
        descriptor = os.open(places.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise errors.PermanentError(
            f"cannot open {places.lock}: {error.strerror}; {whose(places.state)}"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        os.truncate(descriptor, 0)  # whoever signed it is gone
        try:
            yield True
        finally:
            os.truncate(descriptor, 0)
    finally:
        os.close(descriptor)


def whose(folder: Path) -> str:
    """Return the remedy where a project's folder may not be used."""
    with contextlib.suppress(OSError, KeyError):
        owner = folder.stat().st_uid
        if owner != os.geteuid():
            return f"the project is of user {pwd.getpwuid(owner).pw_name}: run this as that user"
    return "check the folder and its permissions"


def open_log(places: folders.Folders) -> TextIO:
    """Return the supervisor's log, opened to append to, and emptied before if it is too large.

    Raises:
        errors.PermanentError: it cannot be written.
    """
    path = places.supervisor_log
    try:
        logs.bound(path)
        return path.open("a")
    except OSError as error:
        raise errors.PermanentError(
            f"cannot write {path}: {error.strerror}; {whose(places.state)}"
        ) from error


def sign(places: folders.Folders) -> None:
    """Write into the lock, which must be held, that this process is the project's supervisor.

    Raises:
        errors.AlongsideError: it cannot be written.
    """
    own = groups.identity(os.getpid())
    if own is None:
        return  # no /proc here
    try:
        places.lock.write_text(f"{own.pid} {own.started}\n")
    except OSError as error:
        raise errors.PermanentError(
            f"cannot write {places.lock}: {error.strerror}; check the folder and its permissions"
        ) from error


def holder(places: folders.Folders) -> groups.Identity | None:
    """Return the living supervisor that holds a project, whether it answers or not."""
    try:
        pid, started = places.lock.read_text().split()
        signed = groups.Identity(int(pid), int(started))
    except (OSError, ValueError):
        return None
    return signed if groups.is_alive(signed) else None


async def tell(places: folders.Folders, told: groups.Identity, clock_: clock.Clock) -> bool:
    """End a supervisor that does not answer by SIGTERM, at which it stops all in order.

    It is killed when nothing of the project ended for longer than the longest grace period of
    its processes; what it leaves then is for `end`.

    Returns:
        Whether it ended by itself.
    """
    was = journal.read(places.journal)
    patience_s = was.grace_s + PATIENCE_S
    running, changed_s = len(was.children) + 1, clock_.monotonic_s()
    groups.send(told, signal.SIGTERM)
    while groups.is_alive(told):
        left = sum(groups.is_alive(child) for child in was.children)
        if left < running:
            running, changed_s = left, clock_.monotonic_s()
        if clock_.monotonic_s() - changed_s > patience_s:
            groups.send(told, signal.SIGKILL)
            return False
        await clock_.sleep(POLL_S)
    return True


def find(places: folders.Folders) -> list[groups.Entry]:
    """Return the processes of a project's dead supervisor: by journal, group and mark."""
    found = {one.identity: one for one in groups.marked(str(places.state))}
    for child in journal.read(places.journal).children:
        if groups.is_alive(child):
            found.update({one.identity: one for one in groups.members(child.pid)})
    return list(found.values())


class Remains(Protocol):
    """What is left of the pods that an engine of a name ran."""

    def traced(self, name: str) -> AbstractContextManager[runtime.Traced]:
        """Return what finds their processes, as long as it is needed."""

    async def sweep(self, name: str) -> int:
        """Take all of it away; return how many pods or processes there were."""


async def end(places: folders.Folders, clock_: clock.Clock, remains: Remains) -> int:
    """End them, SIGTERM first, then what else its pods left; return how many processes there were.

    The project's lock must be held.
    """
    was = journal.read(places.journal)
    with remains.traced(was.engine) as traced:
        count = sum(map(groups.is_alive, traced.holders))
        count += await _end_processes(places, clock_, traced)
        if was.engine:
            swept = await remains.sweep(was.engine)
            count = max(count, swept)
            journal.write(places.journal, replace(was, engine=""))
    # Whether it may make cgroups a supervisor tries before any engine is its project's.
    await cgroups.Cgroups.of_project(places.state).sweep(clock_)
    if not find(places):
        places.tidy()
    return count


async def _end_processes(
    places: folders.Folders, clock_: clock.Clock, traced: runtime.Traced
) -> int:
    """End all but who is ended last; return how many there were."""

    def look() -> list[groups.Entry]:
        found = {one.identity: one for one in (*find(places), *traced.find())}
        return [
            one
            for identity, one in found.items()
            if identity not in traced.holders and not one.is_spent
        ]

    left = look()
    count = len(left)
    deadline_s = clock_.monotonic_s() + GRACE_S
    _send(left, signal.SIGTERM)
    while left and clock_.monotonic_s() < deadline_s + KILL_WAIT_S:
        await clock_.sleep(POLL_S)
        # Those already known count even when their leader's death hides their group.
        known = {one.identity: one for one in left if groups.is_running(one.identity)}
        left = list({**known, **{one.identity: one for one in look()}}.values())
        if clock_.monotonic_s() >= deadline_s:
            _send(left, signal.SIGKILL)
    return count


def _send(left: list[groups.Entry], number: signal.Signals) -> None:
    for one in left:
        groups.send(one.identity, number)
