"""Say where a project has what its pods share with this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Places(Protocol):
    """Where a project has what pods see of it."""

    def servers(self, pool: str) -> Path:
        """Return the folder in which the servers of a cache of memcache or Redis listen."""

    def ambassador(self, pod: str) -> Path:
        """Return the folder of a pod's own ambassador."""


@dataclass(frozen=True, slots=True)
class Below:
    """Places below one folder, for a plan that is only looked at."""

    folder: Path = Path("/alongside")

    def servers(self, pool: str) -> Path:
        """See `Places`."""
        return self.folder / pool

    def ambassador(self, pod: str) -> Path:
        """See `Places`."""
        return self.folder / f"{pod}~"
