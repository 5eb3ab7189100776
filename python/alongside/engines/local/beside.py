"""Hold what pods share with this machine: servers' sockets, ambassadors' documents and doors."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from alongside.base import files
from alongside.plan import ambassadors

if TYPE_CHECKING:
    from pathlib import Path

    from alongside.engines.local import folders
    from alongside.plan import shape


def make(places: folders.Folders, plan: shape.Plan) -> None:
    """Make the folders in which a plan's servers listen, for this user alone."""
    for pool in plan.pools:
        places.servers(pool.name).mkdir(mode=0o700, parents=True, exist_ok=True)


def document(places: folders.Folders, pod: str) -> Path:
    """Return what a pod's ambassador reads when it starts, and follows."""
    return places.ambassador(pod) / ambassadors.DOCUMENT


def admin(places: folders.Folders, pod: str) -> Path:
    """Return its admin socket."""
    return places.ambassador(pod) / ambassadors.ADMIN


def give(places: folders.Folders, pod: str, content: bytes) -> None:
    """Write the document with which it begins; what a predecessor left is gone."""
    forget(places, pod)
    places.ambassador(pod).mkdir(mode=0o700, parents=True)
    files.write_atomic(document(places, pod), content)


def forget(places: folders.Folders, pod: str) -> None:
    """Remove all that it has."""
    shutil.rmtree(places.ambassador(pod), ignore_errors=True)
