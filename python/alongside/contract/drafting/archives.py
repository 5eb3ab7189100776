"""Read the configuration of an image from a file or folder: `docker save`, OCI archive, OCI layout.

Nothing is unpacked: members are looked up by name and read within a bound, so neither their
paths nor their sizes can do harm.

Source:
    OCI image specification 1.1, "image layout"; Docker's image specification 1.2 (`manifest.json`).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import tarfile
import zlib
from typing import IO, TYPE_CHECKING, Protocol, cast

from alongside.base import errors, files, units

if TYPE_CHECKING:
    from pathlib import Path

JSON_BYTES_MAX = 4 * 1024 * 1024
"""Longer configurations and indexes are refused."""
READ_BYTES_MAX = 16 * 1024 * 1024
MEMBERS_MAX = 20_000
DEPTH_MAX = 4
"""An index may name an index, but not for ever."""

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


class _Reader(Protocol):
    """Where the files of an image stand."""

    def read(self, path: str) -> bytes | None:
        """Return a file's content; None where there is none."""


def configuration(path: Path, platform: str = "") -> object:
    """Return the configuration, as JSON data, of the first image that a file or folder holds.

    Args:
        path: a tar file or a folder.
        platform: as `linux/arm64`; the first one where empty.

    Raises:
        errors.UsageError: it holds no image, is damaged or too large.
    """
    try:
        if path.is_dir():
            return _configuration(_Folder(path), platform)
        with _opened(path) as stream, tarfile.open(fileobj=_careful(stream), mode="r:") as archive:
            return _configuration(_Archive(archive), platform)
    except errors.UsageError as error:
        raise errors.UsageError(*(f"{path}: {one}" for one in error.problems)) from error
    except _DAMAGES as error:
        told = str(error)[:200]
        raise errors.UsageError(f"{path}: is no archive of an image: {told}") from error


_DAMAGES = (tarfile.TarError, zlib.error, OSError, EOFError, ValueError, OverflowError)
"""What Python says of an archive that is none, is cut short or lies about its lengths."""


def _opened(path: Path) -> IO[bytes]:
    """Return a file as its reader wants it: what gzip made smaller is made large again."""
    with path.open("rb") as stream:
        is_compressed = stream.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path)) if is_compressed else path.open("rb")


def _careful(stream: IO[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", _Careful(stream))


class _Careful:
    """A file that is never read in pieces so large that they fill the memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int = -1, /) -> bytes:
        if not 0 <= size <= READ_BYTES_MAX:
            raise errors.UsageError("holds a header that is too long; is it an image?")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def close(self) -> None:
        self._stream.close()


class _Folder:
    """An OCI layout."""

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()

    def read(self, path: str) -> bytes | None:
        inside = (self._path / path).resolve()
        if not inside.is_relative_to(self._path):
            raise errors.UsageError(f"{units.shown(path)}: leads out of the folder; is it one?")
        return files.read_if_exists(inside, bytes_max=JSON_BYTES_MAX)


class _Archive:
    """A tar file; a member is found by its name, links are not followed."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._members: dict[str, tarfile.TarInfo] = {}
        for count, member in enumerate(archive):
            if count >= MEMBERS_MAX:
                raise errors.UsageError(f"has more than {MEMBERS_MAX} members; is it an image?")
            self._members.setdefault(member.name.removeprefix("./"), member)

    def read(self, path: str) -> bytes | None:
        member = self._members.get(path)
        if member is None:
            return None
        if not member.isreg() or member.size > JSON_BYTES_MAX:
            raise errors.UsageError(
                f"{units.shown(path)}: is no file of at most {JSON_BYTES_MAX} bytes"
            )
        stream = self._archive.extractfile(member)
        return stream.read(JSON_BYTES_MAX) if stream else None


def _configuration(reader: _Reader, platform: str) -> object:
    """Return the configuration that `index.json` leads to, or `manifest.json` names."""
    index = reader.read("index.json")
    if index is not None:
        return _of_index(reader, _json(index, "index.json"), platform, 0)
    return _of_manifest(reader, reader.read("manifest.json"))


def _of_manifest(reader: _Reader, manifest: bytes | None) -> object:
    if manifest is None:
        raise errors.UsageError(
            "holds neither index.json nor manifest.json; name the result of `docker save`"
        )
    match _json(manifest, "manifest.json"):
        case [{"Config": str(path)}, *_]:
            return _json(_needed(reader, path), path)
        case _:
            raise errors.UsageError("manifest.json: names no image; save it again")


def _of_index(reader: _Reader, index: object, platform: str, depth: int) -> object:
    """Follow the descriptors of an index to a manifest and on to its configuration."""
    match index:
        case {"config": {"digest": str(digest)}}:
            return _json(_blob(reader, digest), digest)
        case {"manifests": [*descriptors]} if depth < DEPTH_MAX:
            chosen = _chosen(descriptors, platform)
            return _of_index(reader, _json(_blob(reader, chosen), chosen), platform, depth + 1)
        case _:
            raise errors.UsageError("its index leads to no image; save it again")


def _chosen(descriptors: list[object], platform: str) -> str:
    """Return the digest of the manifest for a platform, the first real one where none is asked."""
    found: list[tuple[str, str]] = []
    for descriptor in descriptors[:MEMBERS_MAX]:
        match descriptor:
            case {
                "digest": str(digest),
                "platform": {"os": str(system), "architecture": str(arch)},
            }:
                found.append((f"{system}/{arch}", digest))
            case {"digest": str(digest)}:
                found.append(("", digest))
            case _:
                pass
    real = [one for one in found if one[0] != "unknown/unknown"]
    fitting = [digest for name, digest in real if platform in {"", name} or name == ""]
    if not fitting:
        names = ", ".join(sorted({name for name, _ in real})) or "none"
        raise errors.UsageError(f"has no image for {units.shown(platform)}; it has {names}")
    return fitting[0]


def _blob(reader: _Reader, digest: str) -> bytes:
    found = _DIGEST.fullmatch(digest)
    if found is None:
        raise errors.UsageError(f"{units.shown(digest)}: is no digest that is known here")
    content = _needed(reader, f"blobs/sha256/{found[1]}")
    if hashlib.sha256(content).hexdigest() != found[1]:
        raise errors.UsageError(f"{digest}: its content is not what it says; save it again")
    return content


def _needed(reader: _Reader, path: str) -> bytes:
    content = reader.read(path)
    if content is None:
        raise errors.UsageError(f"{units.shown(path)}: is missing; save it again")
    return content


def _json(content: bytes, name: str) -> object:
    try:
        value: object = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise errors.UsageError(f"{units.shown(name)}: is no JSON; save it again") from error
    return value
