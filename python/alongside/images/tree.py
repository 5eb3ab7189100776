"""Describe the files of an image, and write them as a layer whose bytes depend on nothing else."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from alongside.base import errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

USER_ID = 65_532
"""The user and group of our images: nobody's on any usual system."""
_CHUNK_BYTES = 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file, link or folder of an image, by its path without a leading slash."""

    path: str
    content: bytes = b""
    source: Path | None = None
    """Where the content is, where it is not given outright."""
    link: str | None = None
    """What a symbolic link points to."""
    is_folder: bool = False
    mode: int = 0o644
    owner: int = 0

    @property
    def size_bytes(self) -> int:
        """Return the length of the content."""
        return self.source.stat().st_size if self.source else len(self.content)


@dataclasses.dataclass(frozen=True, slots=True)
class Layer:
    """A layer as a file: an uncompressed tar, named by what it holds."""

    path: Path
    digest: str
    """SHA-256 in hexadecimal; of a layer that is not compressed it is its diff id too."""
    size_bytes: int


def of_folder(folder: Path, below: str) -> Iterator[Entry]:
    """Yield everything in a folder, to stand below a path of the image; links stay links."""
    for root, folders, names in os.walk(folder):
        for name in sorted([*folders, *names]):
            path = Path(root) / name
            target = str(PurePosixPath(below) / path.relative_to(folder).as_posix())
            if path.is_symlink():
                yield Entry(path=target, link=os.readlink(path))
            elif path.is_dir():
                yield Entry(path=target, is_folder=True, mode=0o755)
            else:
                is_program = bool(path.stat().st_mode & 0o100)
                yield Entry(path=target, source=path, mode=0o755 if is_program else 0o644)


def write_layer(entries: Iterable[Entry], folder: Path, *, time_s: int = 0) -> Layer:
    """Write a layer into a folder under its digest, and return it.

    Entries are sorted, the folders above them added, times set to `time_s`, and owners to numbers
    without names, so that equal entries give equal bytes.

    Raises:
        errors.PermanentError: a file cannot be read, or the layer not be written.
    """
    by_path = dict(_above({entry.path: entry for entry in entries}))
    unfinished = folder / ".layer.new"
    try:
        with unfinished.open("wb") as stream:
            counting = _Hashing(stream)
            with tarfile.open(fileobj=counting, mode="w|", format=tarfile.PAX_FORMAT) as archive:
                for path in sorted(by_path):
                    _add(archive, by_path[path], time_s)
        layer = Layer(folder / counting.digest, counting.digest, counting.size_bytes)
        unfinished.replace(layer.path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise errors.PermanentError(f"cannot write a layer into {folder}: {error}") from error
    return layer


def _above(by_path: dict[str, Entry]) -> Iterator[tuple[str, Entry]]:
    for path in by_path:
        for parent in PurePosixPath(path).parents:
            if str(parent) != "." and str(parent) not in by_path:
                yield str(parent), Entry(path=str(parent), is_folder=True, mode=0o755)
    yield from by_path.items()


def _add(archive: tarfile.TarFile, entry: Entry, time_s: int) -> None:
    member = tarfile.TarInfo(entry.path)
    member.mode, member.mtime = entry.mode, time_s
    member.uid = member.gid = entry.owner
    if entry.is_folder:
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
    elif entry.link is not None:
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, entry.link, 0o777
        archive.addfile(member)
    elif entry.source is not None:
        with entry.source.open("rb") as stream:
            member.size = os.fstat(stream.fileno()).st_size
            archive.addfile(member, stream)
    else:
        member.size = len(entry.content)
        archive.addfile(member, io.BytesIO(entry.content))


class _Hashing(io.RawIOBase):
    """A stream that counts and hashes what goes through it."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def writable(self) -> bool:
        return True

    def write(self, content: bytes) -> int:  # type: ignore[override]  # tarfile writes bytes
        self._hash.update(content)
        self.size_bytes += len(content)
        self._stream.write(content)
        return len(content)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
