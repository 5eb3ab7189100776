"""Find out whether an engine sees what this process mounts, by a container that is only made."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sys
from typing import TYPE_CHECKING

from alongside.dockerd import answers
from alongside.engines.pods import memory
from alongside.engines.runtimes.docker import containers, specs, subpaths

if TYPE_CHECKING:
    from pathlib import Path

    from alongside.dockerd import engine

TARGET = "/seen"
_MARKER = "marker"


async def sees_mounts(asked: engine.Engine, body: answers.Json, name: str, folder: Path) -> bool:
    """Return whether a file that is there only by a mount of ours is seen in a container.

    Args:
        asked: the engine.
        body: what the container is made from; it never starts.
        name: of it.
        folder: the runtime's own.

    Raises:
        answers.SilentError: the engine does not answer.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    shown = folder / subpaths.FOLDER / secrets.token_hex(8)
    place = folder / subpaths.FOLDER / secrets.token_hex(8)
    try:
        shown.mkdir(parents=True)
        place.mkdir()
        (shown / _MARKER).touch()
        memory.bind(str(shown), place)
        bind = specs.Bind(place, TARGET, is_read_only=True, is_slave=False)
        return await _is_seen(asked, {**body, "HostConfig": {"Mounts": [bind.mount()]}}, name)
    except OSError:  # root may be kept from mounting
        return False
    finally:
        with contextlib.suppress(OSError):
            memory.unmount(place)
            place.rmdir()
        shutil.rmtree(shown, ignore_errors=True)


async def _is_seen(asked: engine.Engine, body: answers.Json, name: str) -> bool:
    try:
        identity = await containers.create(asked, name, body)
        try:
            params = {"path": f"{TARGET}/{_MARKER}"}
            answer = await asked.ask("HEAD", f"/containers/{identity}/archive", params=params)
        finally:
            await containers.remove(asked, identity)
    except answers.RefusedError:
        return False
    return answer.status == 200
