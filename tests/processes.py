"""Processes of this machine, by their ids."""

from __future__ import annotations

import contextlib
from pathlib import Path


def is_alive(pid: int) -> bool:
    """Return whether a process is there and not only waits to be reaped."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False
