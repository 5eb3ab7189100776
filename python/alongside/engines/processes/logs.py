"""Keep each process's output in a file of bounded size, and read its end."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LOG_BYTES_MAX = 8 * 2**20
"""A larger file is copied to NAME.log.1, replacing the last copy, and emptied."""
READ_BYTES_MAX = 2**20


def bound(path: Path, *, bytes_max: int = LOG_BYTES_MAX) -> bool:
    """Copy and empty a log that has grown too large; return whether it had.

    The writer keeps its descriptor (opened for appending), so it goes on at the new end; lines
    written between copy and truncation are lost. Where the disk has no room for the copy, all of
    it is: a full disk is no reason to go on filling it.
    """
    copy = path.with_name(path.name + ".1")
    try:
        if path.stat().st_size <= bytes_max:
            return False
        try:
            shutil.copyfile(path, copy)
        except OSError:
            copy.unlink(missing_ok=True)
        os.truncate(path, 0)
    except FileNotFoundError:
        return False
    return True


def read(path: Path, offset: int | None, *, lines: int = 200) -> tuple[bytes, int]:
    """Return what stands in a log, and the offset at which to go on.

    Args:
        path: of the log; where there is none, it is empty.
        offset: where the last read ended; None for the last `lines` lines.
        lines: how many of the last lines to return without an offset.

    Returns:
        At most `READ_BYTES_MAX` bytes; from the beginning if the file was emptied meanwhile.
    """
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            if offset is None:
                stream.seek(max(0, size - READ_BYTES_MAX))
                content = b"".join(stream.read(READ_BYTES_MAX).splitlines(keepends=True)[-lines:])
                return content, size
            stream.seek(offset if offset <= size else 0)
            content = stream.read(READ_BYTES_MAX)
            return content, stream.tell()
    except FileNotFoundError:
        return b"", 0
