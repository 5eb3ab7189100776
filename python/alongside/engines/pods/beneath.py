"""Open what lies below a volume's folder, whatever its containers change there meanwhile.

Imported by scripts that start for each container, so it imports little itself.
"""

from __future__ import annotations

import os
import stat

_PATH = getattr(os, "O_PATH", os.O_RDONLY) | os.O_CLOEXEC
_PLAIN = _PATH | os.O_NOFOLLOW
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def opened(volume: str | os.PathLike[str], sub_path: str, *, makes: bool) -> int:
    """Return a descriptor of a path in a volume, good for binding and looking, not for reading.

    A symlink may lead to another place of the same volume, as in published files.

    Args:
        volume: its folder.
        sub_path: below it; empty for the volume itself.
        makes: whether a folder is made where nothing is, with the volume's own permissions.

    Raises:
        OSError: it is not there, or outside.
    """
    base, below = os.path.realpath(volume), sub_path.strip("/")
    if not below:
        return os.open(base, _PATH)
    if ".." in below.split("/"):
        raise OSError(f"subPath {below!r} has .. in it")
    whole = os.path.realpath(f"{base}/{below}")
    if whole == base:
        return os.open(base, _PATH)
    if not whole.startswith(f"{base.rstrip('/')}/"):
        raise OSError(f"subPath {below!r} leads out of the volume")
    return descended(base, whole[len(base.rstrip("/")) + 1 :], makes=makes)


def descended(base: str, path: str, *, makes: bool) -> int:
    """Return a descriptor, following no symlink: one that came meanwhile is an error.

    Raises:
        OSError: see `opened`.
    """
    at = os.open(base, _PATH)
    for part in path.split("/"):
        try:
            below = _entered(part, at, path, stat.S_IMODE(os.stat(base).st_mode), makes=makes)
        finally:
            os.close(at)
        at = below
    return at


def _entered(name: str, at: int, path: str, mode: int, *, makes: bool) -> int:
    try:
        return _plain(name, at, path)
    except FileNotFoundError:
        if not makes:
            raise OSError(f"subPath {path!r} is not in the volume") from None
    try:
        os.mkdir(name, dir_fd=at)
    except FileExistsError:  # another container's, just now
        return _plain(name, at, path)
    return _opened_up(name, at, mode)


def _plain(name: str, at: int, path: str) -> int:
    below = os.open(name, _PLAIN, dir_fd=at)
    if stat.S_ISLNK(os.fstat(below).st_mode):
        os.close(below)
        raise OSError(f"subPath {path!r} has become a symlink")
    return below


def _opened_up(name: str, at: int, mode: int) -> int:
    """Open a folder that was made, with the volume's permissions: its users may write there."""
    folder = os.open(name, _FOLDER, dir_fd=at)
    os.fchmod(folder, mode)
    return folder
