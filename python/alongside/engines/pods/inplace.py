"""Write files that are bound into containers, which see that very file and no other."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, content: str) -> None:
    """Write a file that is bound into containers: in place, so that they see it.

    Who reads meanwhile sees the old or the new names: it is written at once, and cut afterwards
    where it became shorter.
    """
    new = content.encode()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        old = os.fstat(descriptor).st_size
        if old and os.pread(descriptor, old + 1, 0) == new:
            return
        os.pwrite(descriptor, new.ljust(old, b"\n"), 0)
        os.ftruncate(descriptor, len(new))
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, 0o644)
    finally:
        os.close(descriptor)
