"""Make the volumes of pods: folders, memory, the host's paths, files published at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from alongside.base import clock
    from alongside.engines.pods import notes
    from alongside.plan import pods


def problems(pod: pods.Pod) -> list[str]:
    """Return why a pod's volumes cannot be made: `place: path: what; remedy`. Nothing is made."""
    raise NotImplementedError


class Volumes:
    """The volumes of one project's pods, all below one folder, and in memory."""

    def __init__(
        self, folder: Path, clock_: clock.Clock, notes_: notes.Notes | None = None
    ) -> None:
        """Take the folder, of this project alone, and where to say what is not honoured."""
        raise NotImplementedError

    async def make(self, pod: pods.Pod) -> Mapping[str, Path]:
        """Make a pod's volumes, filled; return the folder (of `host`: file) of each.

        What a dead supervisor left under the pod's name is removed before.

        Raises:
            errors.TemporaryError: the disk is full; nothing is left.
            errors.PermanentError: they cannot be made; nothing is left.
        """
        raise NotImplementedError

    async def publish(self, pod: pods.Pod) -> bool:
        """Publish the content of a pod's `files` volumes now; return whether any was new.

        Raises:
            errors.TemporaryError: the disk is full; readers keep what they had.
            errors.PermanentError: it cannot be written; readers keep what they had.
        """
        raise NotImplementedError

    async def remove(self, pod: pods.Pod) -> None:
        """Remove a pod's volumes; the host's paths stay."""
        raise NotImplementedError

    async def sweep(self) -> int:
        """Remove all that is there of this project, mounts too; return how many pods had any."""
        raise NotImplementedError
