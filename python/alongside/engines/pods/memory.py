"""Make folders in memory: a tmpfs of their own for root, else folders of a tmpfs that is there."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Mount = Callable[[Path, str], None]
    """Mounts a tmpfs with options at a folder, or raises OSError."""

PASSABLE = 0o755
"""Of folders that containers of other users pass; the folder above keeps strangers out."""
_MOUNTS = Path("/proc/self/mountinfo")
_MS_NOSUID, _MS_NODEV = 2, 4
_MS_BIND, _MS_SLAVE = 1 << 12, 1 << 19
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8
_ESCAPED = re.compile(r"\\([0-7]{3})")


def mount_tmpfs(folder: Path, options: str) -> None:
    """Mount a tmpfs at a folder; raises OSError where that is not permitted."""
    flags = ctypes.c_ulong(_MS_NOSUID | _MS_NODEV)
    _call("mount", b"tmpfs", os.fsencode(folder), b"tmpfs", flags, options.encode())


def bind(source: str, target: Path) -> None:
    """Let a file or folder be seen at another place; its own mount stays out of what happens there.

    What is mounted below it now is not seen there. Raises OSError where that is not permitted.
    """
    at = os.fsencode(target)
    _call("mount", os.fsencode(source), at, None, ctypes.c_ulong(_MS_BIND), None)
    _call("mount", None, at, None, ctypes.c_ulong(_MS_SLAVE), None)


def unmount(folder: Path) -> None:
    """Take a mount away, also where its files are open; no error where there is none."""
    try:
        _call("umount2", os.fsencode(folder), _MNT_DETACH | _UMOUNT_NOFOLLOW)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOENT, errno.EPERM}:
            raise


def mounts_below(folder: Path) -> list[Path]:
    """Return the mount points at and below a folder, the innermost first."""
    try:
        lines = _MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []
    points = [Path(plain(line.split()[4])) for line in lines]
    found = {point for point in points if point == folder or folder in point.parents}
    return sorted(found, key=lambda point: len(point.parts), reverse=True)


def plain(text: str) -> str:
    """Return a path as the kernel means it: blanks and backslashes are written in octal."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), text)


@dataclass(frozen=True, slots=True)
class Made:
    """A folder and what is not as it was asked for; empty where all is."""

    folder: Path
    lack: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """Makes folders in memory for what lies below one folder."""

    owner: Path
    """Names what is made in a tmpfs that others use too."""
    mount: Mount = field(default=mount_tmpfs)
    shared: Path = Path("/dev/shm")  # noqa: S108 - what is made there is ours alone

    def make(self, folder: Path, name: str, *, size_bytes: int | None, mode: int) -> Made:
        """Return a folder in memory, or where the machine has no such thing a plain one.

        Args:
            folder: where it should be; not there yet.
            name: of the volume, unique; as `POD/VOLUME`.
            size_bytes: its limit.
            mode: its permission bits.
        """
        options = f"mode={mode:o}" + (f",size={size_bytes}" if size_bytes is not None else "")
        os.mkdir(folder, 0o700)
        with contextlib.suppress(OSError):
            self.mount(folder, options)
            return Made(folder)
        limit = "; its sizeLimit is not held" if size_bytes is not None else ""
        with contextlib.suppress(OSError):
            made = self._beside(name, mode)
            os.rmdir(folder)
            return Made(made, f"it is a folder of {self.shared}{limit}" if limit else "")
        os.chmod(folder, mode)
        return Made(folder, f"it is on disk, since no tmpfs can be used{limit}")

    @property
    def beside(self) -> Path:
        """Return where folders of a tmpfs that is there already are made."""
        digest = hashlib.sha256(os.fsencode(self.owner)).hexdigest()[:16]
        return self.shared / f"alongside-{os.geteuid()}-{digest}"

    @property
    def found(self) -> Path | None:
        """Return that folder where it is there and nobody else's."""
        try:
            there = os.lstat(self.beside)
        except OSError:
            return None
        is_ours = stat.S_ISDIR(there.st_mode) and there.st_uid == os.geteuid()
        return self.beside if is_ours and not there.st_mode & 0o077 else None

    def _beside(self, name: str, mode: int) -> Path:
        if not _is_tmpfs(self.shared):
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        with contextlib.suppress(FileExistsError):
            os.mkdir(self.beside, 0o700)
        if (root := self.found) is None:  # a stranger's; left alone
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
        path = root / name
        path.parent.mkdir(exist_ok=True)
        os.chmod(path.parent, PASSABLE)
        os.mkdir(path)
        os.chmod(path, mode)
        return path


def _is_tmpfs(folder: Path) -> bool:
    """Return whether the file system at a mount point is in memory."""
    try:
        lines = [line.split() for line in _MOUNTS.read_text(errors="surrogateescape").splitlines()]
    except OSError:
        return False
    kinds = [line[line.index("-") + 1] for line in lines if Path(plain(line[4])) == folder]
    return bool(kinds) and kinds[-1] == "tmpfs"


def _call(name: str, *arguments: bytes | int | ctypes.c_ulong | None) -> None:
    """Call a function of the C library; raises OSError where it fails or is not there."""
    function = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
