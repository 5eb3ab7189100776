"""Publish files so that a reader, or a crash, never sees half of one; read them within a bound."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from typing import TYPE_CHECKING

from alongside.base import errors

if TYPE_CHECKING:
    from pathlib import Path

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FULL_RETRY_AFTER_S = 5.0


def write_atomic(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace a file at once: temporary file beside it, fsync, rename, fsync of the directory.

    Args:
        path: in a directory that exists; a symlink there is replaced, not followed.
        content: the whole new content.
        mode: permission bits of the new file, whatever the umask says.

    Raises:
        errors.TemporaryError: the disk or the quota is full; the old file stays.
        errors.PermanentError: it cannot be written; the old file stays.
    """
    temporary = path.with_name(f".{path.name[:64]}.{secrets.token_hex(6)}.new")
    try:
        try:
            _write_synced(temporary, content, mode)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        sync_directory(path.parent)
    except OSError as error:
        raise _mapped(error, f"cannot write {path}") from error


def is_same_folder(one: str, other: str) -> bool:
    """Return whether two paths lead to one folder, whatever links are on the way."""
    return os.path.realpath(one) == os.path.realpath(other)


def read_bounded(path: Path, *, bytes_max: int) -> bytes:
    """Return a file's content, at most `bytes_max` bytes.

    Raises:
        errors.UsageError: it is missing, unreadable, no regular file, or larger.
    """
    content = read_if_exists(path, bytes_max=bytes_max)
    if content is None:
        raise errors.UsageError(f"{path} does not exist; check the name")
    return content


def read_if_exists(path: Path, *, bytes_max: int) -> bytes | None:
    """Return a file's content, at most `bytes_max` bytes; None where there is no such file.

    Raises:
        errors.UsageError: it is unreadable, no regular file, or larger.
    """
    try:
        if path.exists() and not path.is_file():
            raise errors.UsageError(f"{path} is not a regular file; name a file")
        with path.open("rb") as stream:
            content = stream.read(bytes_max + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise errors.UsageError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > bytes_max:
        raise errors.UsageError(f"{path} is larger than {bytes_max} bytes; name a smaller file")
    return content


def sync_directory(path: Path) -> None:
    """Make renames and removals in a directory survive a power cut; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_synced(path: Path, content: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, mode)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(descriptor, mode)
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)


def _mapped(error: OSError, what: str) -> errors.AlongsideError:
    message = f"{what}: {error.strerror}"
    if error.errno in _FULL:
        return errors.TemporaryError(
            f"{message}; make room on the disk", retry_after_s=_FULL_RETRY_AFTER_S
        )
    return errors.PermanentError(f"{message}; check the folder and its permissions")
