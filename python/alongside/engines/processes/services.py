"""Find the programs of this machine that listen, with their words and folders."""

from __future__ import annotations

import contextlib
import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.engines.processes import groups, listeners

if TYPE_CHECKING:
    from collections.abc import Sequence

SUPERVISOR = ("-m", "alongside.server")
"""How Python is told to run a supervisor."""
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Running:
    """A program that listens by TCP."""

    pid: int | None
    """None where it is another user's, whose programs we may not look into."""
    words: tuple[str, ...]
    """Empty where we may not look."""
    folder: str
    ports: tuple[int, ...]
    """Ascending; reached at 127.0.0.1."""
    is_ours: bool
    """Started by alongside, as far as we may look."""
    user: str = ""
    """Whose it is, where we may not look."""


def found() -> list[Running]:
    """Return the programs that listen: those that we may look into, then what others have.

    Each part is in the order of the ports. One that only listens at an address other than this
    machine's loopback or all of them is left out; of several processes with one socket the oldest
    one, which has the smallest id, counts. Of others we know ports and users, one by one.
    """
    ports: dict[int, set[int]] = {}
    owners: dict[int, int] = {}
    hidden: dict[int, int] = {}
    for one, pids in listeners.held():
        if not (one.address.is_loopback or one.address.is_unspecified):
            continue
        if not pids:
            hidden[one.port] = one.user
            continue
        pid = owners.setdefault(one.inode, min(pids))
        ports.setdefault(pid, set()).add(one.port)
    everyone = [_running(pid, sorted(numbers)) for pid, numbers in ports.items()]
    seen = sorted((one for one in everyone if one is not None), key=lambda one: one.ports)
    known = {number for one in seen for number in one.ports}
    others = [
        Running(None, (), "", (port,), is_ours=False, user=_name(user))
        for port, user in sorted(hidden.items())
        if port not in known
    ]
    return [*seen, *others]


def supervises(words: Sequence[str]) -> bool:
    """Return whether words are those of a supervisor, which bears no mark as what it starts does.

    It holds the listening sockets of all that it starts: so they are found as its own.
    """
    if tuple(words[1:3]) == SUPERVISOR:
        return True
    match tuple(words[1:4]):
        case ("-m", "alongside", "up"):
            return True
        case (script, "up", *_):
            return os.path.basename(script) == "alongside"
        case _:
            return False


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:  # of a container, or of a directory that does not answer
        return str(user)


def _running(pid: int, ports: list[int]) -> Running | None:
    if pid == os.getpid():
        return None
    entry = groups.entry(pid)
    if entry is None:
        return None
    with contextlib.suppress(OSError):
        words = (_PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        folder = os.readlink(_PROC / str(pid) / "cwd")
        texts = tuple(os.fsdecode(word) for word in words)
        if texts != ("",):
            is_ours = groups.mark_of(entry) is not None or supervises(texts)
            return Running(pid, texts, folder, tuple(ports), is_ours)
    return None
