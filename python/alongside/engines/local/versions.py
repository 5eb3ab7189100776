"""Name the version of a program by its content, since one path holds many over time."""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

REMEMBERED_MAX = 16


def of(program: Path) -> str:
    """Return a short name of a program's content, "" where it cannot be read.

    It is read once for each file, some milliseconds: device, inode, size and time say whether it
    is still the same one.
    """
    try:
        found = program.stat()
        return _digest(program, (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns))
    except OSError:
        return ""


@functools.lru_cache(maxsize=REMEMBERED_MAX)
def _digest(program: Path, _: tuple[int, int, int, int]) -> str:
    with program.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
