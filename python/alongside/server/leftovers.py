"""Find and end what a supervisor left behind that died without stopping its children."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from typing import TYPE_CHECKING

from alongside.engines.local import groups
from alongside.server import journal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alongside.base import clock
    from alongside.engines.local import folders

GRACE_S = 10.0
KILL_WAIT_S = 10.0
POLL_S = 0.03


@contextlib.contextmanager
def locked(places: folders.Folders) -> Iterator[bool]:
    """Hold a project's lock; yields False where a living supervisor has it.

    The kernel drops the lock when its holder dies, however it dies.
    """
    descriptor = os.open(places.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)


def find(places: folders.Folders) -> list[groups.Entry]:
    """Return the processes of a project's dead supervisor: by journal, group and mark."""
    found = {one.identity: one for one in groups.marked(str(places.state))}
    for child in journal.read(places.journal).children:
        if groups.is_alive(child):
            found.update({one.identity: one for one in groups.members(child.pid)})
    return list(found.values())


async def end(places: folders.Folders, clock_: clock.Clock) -> int:
    """End them, SIGTERM first; return how many there were. The project's lock must be held."""
    left = find(places)
    count = len(left)
    deadline_s = clock_.monotonic_s() + GRACE_S
    _send(left, signal.SIGTERM)
    while left and clock_.monotonic_s() < deadline_s + KILL_WAIT_S:
        await clock_.sleep(POLL_S)
        # Those already known count even when their leader's death hides their group.
        known = {one.identity: one for one in left if groups.is_alive(one.identity)}
        left = list({**known, **{one.identity: one for one in find(places)}}.values())
        if clock_.monotonic_s() >= deadline_s:
            _send(left, signal.SIGKILL)
    return count


def _send(left: list[groups.Entry], number: signal.Signals) -> None:
    for one in left:
        groups.send(one.identity, number)
