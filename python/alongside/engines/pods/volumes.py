"""Make the volumes of pods: folders, memory, the host's paths, files published at once."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from alongside.base import errors
from alongside.engines.pods import memory, notes, publishing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from alongside.plan import pods

_T = TypeVar("_T")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FULL_RETRY_AFTER_S = 5.0
_EMPTY_MODE = 0o777
"""As Kubernetes has it: containers may run as several users. Strangers are kept out above."""
_IS: Mapping[str, Callable[[int], bool]] = {
    "Directory": stat.S_ISDIR,
    "DirectoryOrCreate": stat.S_ISDIR,
    "File": stat.S_ISREG,
    "FileOrCreate": stat.S_ISREG,
    "Socket": stat.S_ISSOCK,
    "CharDevice": stat.S_ISCHR,
    "BlockDevice": stat.S_ISBLK,
}


def problems(pod: pods.Pod) -> list[str]:
    """Return why a pod's volumes cannot be made: `place: path: what; remedy`. Nothing is made."""
    return [
        f"{pod.place or pod.name}: volumes.{volume.name}: {why}"
        for volume in pod.volumes
        for why in _problems(volume)
    ]


def _problems(volume: pods.Volume) -> Iterator[str]:
    if publishing.problem(volume.name) or "/" in volume.name:
        yield "that is no name of a volume; use letters, digits and -"
    if volume.kind == "host":
        yield from _host_problems(volume)
    paths = [one.path for one in volume.files]
    for path in paths:
        if why := publishing.problem(path):
            yield f"the path {path!r} {why}; choose another key, or a path in items"
    if double := publishing.collision(paths):
        yield f"the path {double!r} is given twice, or is a folder too; choose another in items"


def _host_problems(volume: pods.Volume) -> Iterator[str]:
    path, kind = volume.path, volume.host_type
    if not os.path.isabs(path) or ".." in path.split("/"):
        yield f"the path {path!r} is not absolute or has .. in it; write it from / on"
        return
    try:
        found = os.stat(path)
    except FileNotFoundError:
        parent = os.path.dirname(path.rstrip("/"))
        if kind == "FileOrCreate" and not os.path.isdir(parent):
            yield f"{parent} is not there; create it, Kubernetes would not do so either"
        elif kind not in {"DirectoryOrCreate", "FileOrCreate"}:
            yield f"{path} is not there; create it, or set type: DirectoryOrCreate"
        return
    except OSError as error:
        yield f"{path} cannot be looked at ({error.strerror}); check its permissions"
        return
    if kind in _IS and not _IS[kind](found.st_mode):
        yield f"{path} is no {kind.removesuffix('OrCreate')}; name another path or type"


class Volumes:
    """The volumes of one project's pods, all below one folder, and in memory."""

    def __init__(
        self,
        folder: Path,
        notes_: notes.Notes | None = None,
        *,
        memory_: memory.Memory | None = None,
    ) -> None:
        """Take the folder, of this project alone, and where to say what is not honoured."""
        self._folder = folder
        self._notes = notes_ or notes.Notes()
        self._memory = memory_ or memory.Memory(folder)
        self._made: dict[str, dict[str, Path]] = {}
        """The folders of each pod's volumes."""
        self._locks: dict[str, asyncio.Lock] = {}

    async def make(self, pod: pods.Pod) -> Mapping[str, Path]:
        """Make a pod's volumes, filled; return the folder (of `host`: file) of each.

        Those that this object has made are kept, and their files published; what a dead supervisor
        left under the pod's name is removed before.

        Raises:
            errors.TemporaryError: the disk is full; nothing is left.
            errors.PermanentError: they cannot be made; nothing is left.
        """
        return await self._alone(pod, self._make_all)

    async def publish(self, pod: pods.Pod) -> bool:
        """Publish the content of a pod's `files` volumes now; return whether any was new.

        Raises:
            errors.TemporaryError: the disk is full; readers keep what they had.
            errors.PermanentError: it cannot be written; readers keep what they had.
        """
        return await self._alone(pod, self._publish_all)

    async def remove(self, pod: pods.Pod) -> None:
        """Remove a pod's volumes; the host's paths stay.

        Raises:
            errors.PermanentError: something of them cannot be removed.
        """
        try:
            await self._alone(pod, self._remove_all)
        except OSError as error:
            raise _mapped(error, f"{pod.name}: cannot remove its volumes") from error

    async def sweep(self) -> int:
        """Remove all that is there of this project, mounts too; return how many pods had any."""
        return await asyncio.to_thread(self._sweep)

    async def _alone(self, pod: pods.Pod, work: Callable[[pods.Pod], _T]) -> _T:
        """Do blocking work for a pod, one after the other, to its end though nobody may wait."""

        async def turn() -> _T:
            async with self._locks.setdefault(pod.name, asyncio.Lock()):
                return await asyncio.to_thread(work, pod)

        return await asyncio.shield(asyncio.ensure_future(turn()))

    def _make_all(self, pod: pods.Pod) -> dict[str, Path]:
        if wrong := problems(pod):
            raise errors.PermanentError("\n".join(wrong))
        if self._made.get(pod.name, {}).keys() == {one.name for one in pod.volumes} != set():
            self._publish_all(pod)
            return dict(self._made[pod.name])
        place = self._folder / _safe(pod.name)
        try:
            self._remove_all(pod)
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.mkdir(place, 0o700)
            os.chmod(place, memory.PASSABLE)
            made = {one.name: self._make(pod, one, place / one.name) for one in pod.volumes}
        except (OSError, ValueError) as error:
            with contextlib.suppress(OSError):
                self._remove_all(pod)
            raise _mapped(error, f"{pod.name}: cannot make its volumes") from error
        self._made[pod.name] = made
        return dict(made)

    def _make(self, pod: pods.Pod, volume: pods.Volume, path: Path) -> Path:
        match volume.kind:
            case "host":
                return _host(volume)
            case "memory":
                return self._in_memory(pod, volume, path, _EMPTY_MODE)
            case "empty":
                os.mkdir(path)
                os.chmod(path, _EMPTY_MODE)
                if volume.size_bytes is not None:
                    self._notes.say(f"{_where(pod, volume)}: sizeLimit is not held on disk")
                return path
            case "files":
                if volume.is_secret:
                    path = self._in_memory(pod, volume, path, memory.PASSABLE)
                else:
                    os.mkdir(path)
                    os.chmod(path, memory.PASSABLE)
                publishing.publish(path, volume.files)
                return path

    def _in_memory(self, pod: pods.Pod, volume: pods.Volume, path: Path, mode: int) -> Path:
        name = f"{pod.name}/{volume.name}"
        made = self._memory.make(path, name, size_bytes=volume.size_bytes, mode=mode)
        if made.lack:
            self._notes.say(f"{_where(pod, volume)}: {made.lack}")
        return made.folder

    def _publish_all(self, pod: pods.Pod) -> bool:
        made = self._made.get(pod.name, {})
        new = False
        for volume in pod.volumes:
            if volume.kind == "files" and volume.name in made:
                try:
                    new = publishing.publish(made[volume.name], volume.files) or new
                except (OSError, ValueError) as error:
                    what = f"{_where(pod, volume)}: cannot publish"
                    raise _mapped(error, what) from error
        return new

    def _remove_all(self, pod: pods.Pod) -> None:
        self._made.pop(pod.name, None)
        for root in self._roots():
            if (place := root / _safe(pod.name)).exists():
                _remove(place)
        if (beside := self._memory.found) is not None:
            with contextlib.suppress(OSError):  # others are in it
                os.rmdir(beside)

    def _sweep(self) -> int:
        self._made.clear()
        names: set[str] = set()
        for root in self._roots():
            with contextlib.suppress(FileNotFoundError, PermissionError):
                names.update(os.listdir(root))
                _remove(root)
        return len(names)

    def _roots(self) -> list[Path]:
        """Return the folders in which pods have theirs."""
        beside = self._memory.found
        return [self._folder] if beside is None else [self._folder, beside]


def _safe(name: str) -> str:
    """Return the name of a pod, which becomes a folder's."""
    if publishing.problem(name) or "/" in name:
        raise errors.PermanentError(f"{name!r} is no name of a pod; use letters, digits, - and .")
    return name


def _where(pod: pods.Pod, volume: pods.Volume) -> str:
    return f"{pod.owner or pod.name}: volumes.{volume.name}"


def _host(volume: pods.Volume) -> Path:
    """Return a path of the host, created where its type says so."""
    path = Path(volume.path)
    if volume.host_type == "DirectoryOrCreate":
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
    if volume.host_type == "FileOrCreate":
        os.close(os.open(path, os.O_CREAT | os.O_RDONLY | os.O_CLOEXEC, 0o644))
    return path


def _remove(place: Path) -> None:
    """Remove a folder with all in it, taking mounts away; also what its owner may not write."""
    for point in memory.mounts_below(place):
        memory.unmount(point)
    with contextlib.suppress(FileNotFoundError):
        try:
            shutil.rmtree(place)
        except PermissionError:
            for folder, _, _ in os.walk(place):
                with contextlib.suppress(OSError):
                    os.chmod(folder, 0o700)
            shutil.rmtree(place)


def _mapped(error: OSError | ValueError, what: str) -> errors.AlongsideError:
    reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    if isinstance(error, OSError) and error.errno in _FULL:
        return errors.TemporaryError(
            f"{what}: {reason}; make room on the disk", retry_after_s=_FULL_RETRY_AFTER_S
        )
    return errors.PermanentError(f"{what}: {reason}; check the folder and its permissions")
