"""Write down what is running, so that whoever comes after a dead supervisor can find it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside.base import errors, files
from alongside.engines.processes import groups

if TYPE_CHECKING:
    from pathlib import Path

JOURNAL_BYTES_MAX = 2**20


@dataclass(frozen=True, slots=True)
class Journal:
    """The epoch of the last supervisor, the folder it served, and the groups it started."""

    epoch: int = 0
    children: tuple[groups.Identity, ...] = ()
    """The leaders of the groups."""
    folder: str = ""
    """Where the files lie that were last applied; empty where nobody knows."""
    grace_s: float = 0.0
    """The longest time that one of them has between SIGTERM and SIGKILL."""
    engine: str = ""
    """What runs its pods; empty where none run."""
    socket: str = ""
    """Where that listens, if it is a Docker engine."""


def read(path: Path) -> Journal:
    """Return the journal of the last supervisor; an empty one where none can be read.

    What a lost journal does not name is still found by its mark.
    """
    try:
        content = files.read_if_exists(path, bytes_max=JOURNAL_BYTES_MAX)
        value = json.loads(content or b"{}")
        children = [groups.Identity(int(pid), int(at)) for pid, at in value.get("children", [])]
        return Journal(
            int(value.get("epoch", 0)),
            tuple(children),
            folder=str(value.get("folder", "")),
            grace_s=float(value.get("grace_s", 0.0)),
            engine=str(value.get("engine", "")),
            socket=str(value.get("socket", "")),
        )
    except (ValueError, TypeError, AttributeError, errors.UsageError):
        return Journal()


def write(path: Path, journal: Journal) -> None:
    """Replace the journal at once.

    Raises:
        errors.TemporaryError: the disk is full.
        errors.PermanentError: it cannot be written.
    """
    children = [[child.pid, child.started] for child in journal.children]
    value = {
        "schema": 1,
        "epoch": journal.epoch,
        "folder": journal.folder,
        "grace_s": journal.grace_s,
        "engine": journal.engine,
        "socket": journal.socket,
        "children": children,
    }
    files.write_atomic(path, json.dumps(value).encode())
