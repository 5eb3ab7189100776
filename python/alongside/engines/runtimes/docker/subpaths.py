"""Give an engine parts of volumes so that it binds what was looked at, and nothing else.

An engine walks a path again, and what runs in the volume may put a symlink there in that moment.
So root binds what was opened to a place of ours, as a kubelet does, and the engine is given that.
Who may not, or whose mounts the engine does not see, gives the path, and looks afterwards.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.engines.pods import beneath, memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from alongside.plan import pods

FOLDER = "sub-paths"
_Inode = tuple[int, int]
"""A device and a number on it, which stay while names change."""


class UnseenError(errors.PermanentError):
    """A container has another part of a volume than was bound for it."""


@dataclass(frozen=True, slots=True)
class Part:
    """One mount's part of its volume."""

    sub_path: str
    volume: Path
    descriptor: int
    path: Path
    """What the engine is given."""
    is_bound: bool


@dataclass(frozen=True, slots=True)
class Held:
    """The parts that one container gets, held open until it has them."""

    container: str
    parts: Mapping[str, Part]
    """By the mount's path."""

    def path(self, mount: pods.Mount, volume: Path) -> Path:
        """Return what the engine is given for a mount."""
        return self.parts[mount.path].path if mount.path in self.parts else volume

    def check(self, pid: int, identity: str) -> None:
        """Look at what a container that was started has got.

        Args:
            pid: of its first process, as the engine counts; 0 where it has ended already.
            identity: the container's, which stands in the name of its cgroup.

        Raises:
            UnseenError: something else; the engine may not see what was bound.
            errors.PermanentError: something else than was looked at.
        """
        if not self.parts or sys.platform != "linux":
            return
        try:
            had = Counter(_mounted(Path(f"/proc/{pid}")))
            os.stat(f"/proc/{pid}/root")  # who has ended meanwhile has lost its mounts
            if identity not in Path(f"/proc/{pid}/cgroup").read_text():
                raise ProcessLookupError(pid)
        except OSError:  # it has ended, is another user's, or the engine counts otherwise
            for part in self.parts.values():
                if not part.is_bound and not self._is_still(part):
                    raise self._moved(part) from None
            return
        for part in self.parts.values():
            wanted = _inode(part.descriptor)
            if not had[wanted]:
                raise self._moved(part)
            had[wanted] -= 1

    def _is_still(self, part: Part) -> bool:
        try:
            again = beneath.opened(part.volume, part.sub_path, makes=False)
        except OSError:
            return False
        try:
            is_same = os.path.samestat(os.fstat(again), os.fstat(part.descriptor))
        finally:
            os.close(again)
        return is_same and os.readlink(f"/proc/self/fd/{part.descriptor}") == str(part.path)

    def _moved(self, part: Part) -> errors.PermanentError:
        kind = UnseenError if part.is_bound else errors.PermanentError
        return kind(
            f'container "{self.container}": subPath "{part.sub_path}" was replaced while it was '
            "mounted; keep what runs in the volume from moving it"
        )


@contextlib.contextmanager
def held(
    container: pods.Container, volumes: Mapping[str, Path], folder: Path, *, binds: bool
) -> Iterator[Held]:
    """Yield the parts of volumes that a container mounts; a folder is made where nothing is.

    Args:
        container: whose mounts.
        volumes: the folder or file of each volume.
        folder: the runtime's own; what is bound there is gone afterwards.
        binds: whether the engine sees what is mounted there.

    Raises:
        errors.PermanentError: one leads out of its volume, or cannot be made.
    """
    with contextlib.ExitStack() as stack:
        parts: dict[str, Part] = {}
        for mount in container.mounts:
            if mount.sub_path:
                try:
                    part = _part(stack, mount.sub_path, volumes[mount.volume], folder, binds=binds)
                except OSError as error:
                    raise errors.PermanentError(
                        f'container "{container.name}": subPath "{mount.sub_path}": '
                        f"{error.strerror or error}; name a path in the volume"
                    ) from error
                parts[mount.path] = part
        yield Held(container.name, parts)


def sweep(folder: Path) -> None:
    """Take away what somebody left who was killed while a container began."""
    place = folder / FOLDER
    for point in memory.mounts_below(place):
        memory.unmount(point)
    for one in place.glob("*"):
        _quietly(one.rmdir if one.is_dir() else one.unlink)
    _quietly(place.rmdir)


def _part(
    stack: contextlib.ExitStack, sub_path: str, volume: Path, folder: Path, *, binds: bool
) -> Part:
    descriptor = beneath.opened(volume, sub_path, makes=True)
    stack.callback(os.close, descriptor)
    if sys.platform != "linux":
        return Part(sub_path, volume, descriptor, (volume / sub_path).resolve(), is_bound=False)
    if binds and os.geteuid() == 0:
        place = folder / FOLDER / secrets.token_hex(8)
        place.parent.mkdir(mode=0o700, exist_ok=True)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            place.mkdir()
            stack.callback(_quietly, place.rmdir)
        else:
            place.touch()
            stack.callback(_quietly, place.unlink)
        with contextlib.suppress(OSError):  # root may be kept from mounting
            memory.bind(f"/proc/self/fd/{descriptor}", place)
            stack.callback(_quietly, lambda: memory.unmount(place))
            return Part(sub_path, volume, descriptor, place, is_bound=True)
    path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
    return Part(sub_path, volume, descriptor, path, is_bound=False)


def _quietly(work: Callable[[], None]) -> None:
    """Take something away; what cannot be is left for the sweep."""
    with contextlib.suppress(OSError):
        work()


def _mounted(process: Path) -> Iterator[_Inode]:
    """Yield what is mounted in a process' root; names would not tell, which change meanwhile.

    No symlink is followed, so that nothing else is shown in its stead.
    """
    root = os.open(process / "root", os.O_PATH | os.O_CLOEXEC)  # of a process that we may look into
    try:
        for line in (process / "mountinfo").read_text(errors="surrogateescape").splitlines():
            point = memory.plain(line.split()[4]).strip("/")
            try:
                found = beneath.descended(f"/proc/self/fd/{root}", point, makes=False)
            except OSError:  # the root itself, or what lies below another mount
                continue
            try:
                yield _inode(found)
            finally:
                os.close(found)
    finally:
        os.close(root)


def _inode(descriptor: int) -> _Inode:
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino
