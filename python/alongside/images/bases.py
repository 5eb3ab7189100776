"""Read what an image stands on: a root file system's tar, or an image's archive."""

from __future__ import annotations

import bz2
import contextlib
import dataclasses
import gzip
import json
import lzma
import re
import tarfile
import zlib
from typing import TYPE_CHECKING

from alongside.base import errors, units
from alongside.images import tree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_TEXT_BYTES_MAX = 4 * 1024 * 1024
_LAYERS_MAX = 127
LAYER_BYTES_MAX = 16 * 2**30
"""Of one layer, unpacked; more is no base, but a bomb."""
_PYTHON = re.compile(r"usr/(?:local/)?bin/python3\.[0-9]+")
_WHITEOUT = re.compile(r"(.*/)?\.wh\.([^/]+)")
_BROKEN = (
    OSError,
    tarfile.TarError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    RecursionError,
    zlib.error,
    lzma.LZMAError,
)
"""What damaged archives and their decompressors raise."""
_CHUNK_BYTES = 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The layers below ours, what they set, and the Python in them."""

    layers: tuple[tree.Layer, ...]
    environment: tuple[str, ...]
    architecture: str
    """As the OCI names it; empty where a root file system does not say."""
    pythons: tuple[str, ...]
    """The paths of its interpreters, such as `/usr/bin/python3.11`."""


def read(path: Path, folder: Path) -> Base:
    """Return the base that an archive holds, its layers unpacked into a folder.

    Args:
        path: a root file system's tar (as debootstrap's folder packed), or an image's archive as
            `docker save` and `alongside images build` write it; compressed or not.
        folder: where layers are written under their digests.

    Raises:
        errors.UsageError: it is neither, or it is broken.
    """
    try:
        with tarfile.open(path) as archive:
            names = {name.removeprefix("./") for name in archive.getnames()}
            if "manifest.json" in names:
                layers, environment, architecture = _of_image(archive, folder)
            elif "index.json" in names:
                raise errors.UsageError(
                    f"{path}: is an OCI layout without manifest.json; write one for Docker too, "
                    "as `docker save` or `skopeo copy … docker-archive:` do"
                )
            else:
                layers, environment, architecture = [], [], ""
        if not layers:
            layers = [_unpacked(path, folder)]
        pythons = _pythons(layers)
    except _BROKEN as error:
        raise errors.UsageError(
            f"{path}: is no archive of a root file system or an image: {error}"
        ) from error
    return Base(
        layers=tuple(layers),
        environment=tuple(environment),
        architecture=architecture,
        pythons=tuple(pythons),
    )


def _of_image(archive: tarfile.TarFile, folder: Path) -> tuple[list[tree.Layer], list[str], str]:
    manifest = _json(archive, "manifest.json")
    if not isinstance(manifest, list) or len(manifest) != 1:
        raise ValueError("it holds not one image, but several or none")
    config = _json(archive, str(manifest[0]["Config"]))
    names = [str(name) for name in manifest[0]["Layers"]]
    if len(names) > _LAYERS_MAX:
        raise ValueError(f"it has {len(names)} layers; at most {_LAYERS_MAX} are read")
    layers = []
    for number, name in enumerate(names):
        packed = folder / f".packed-{number}"
        _extract(archive, name, packed)
        layers.append(_unpacked(packed, folder))
        packed.unlink()
    if not isinstance(config, dict):
        raise TypeError("its configuration is no object")
    inner = config.get("config")
    found = (inner.get("Env") if isinstance(inner, dict) else None) or []
    if not isinstance(found, list) or not all(isinstance(line, str) for line in found):
        raise TypeError("its Env is no list of texts")
    return layers, found, str(config.get("architecture", ""))


def _json(archive: tarfile.TarFile, name: str) -> object:
    stream = archive.extractfile(_member(archive, name))
    if stream is None:
        raise ValueError(f"{name} is no file")
    content = stream.read(_TEXT_BYTES_MAX + 1)
    if len(content) > _TEXT_BYTES_MAX:
        raise ValueError(f"{name} is larger than {_TEXT_BYTES_MAX} bytes")
    return json.loads(content)


def _member(archive: tarfile.TarFile, name: str) -> tarfile.TarInfo:
    with contextlib.suppress(KeyError):
        return archive.getmember(name)
    return archive.getmember(f"./{name}")


def _extract(archive: tarfile.TarFile, name: str, target: Path) -> None:
    stream = archive.extractfile(_member(archive, name))
    if stream is None:
        raise ValueError(f"{name} is no file")
    with target.open("wb") as file:
        while chunk := stream.read(_CHUNK_BYTES):
            file.write(chunk)


def _unpacked(path: Path, folder: Path) -> tree.Layer:
    """Copy a layer, which may be compressed, into the folder under the digest of its tar."""
    unfinished = folder / ".base.new"
    with _opened(path) as source, unfinished.open("wb") as target:
        written_bytes = 0
        while chunk := source.read(_CHUNK_BYTES):
            written_bytes += len(chunk)
            if written_bytes > LAYER_BYTES_MAX:
                raise ValueError(f"a layer is larger than {units.format_size(LAYER_BYTES_MAX)}")
            target.write(chunk)
    digest = tree.digest_of(unfinished)
    unfinished.replace(folder / digest)
    return tree.Layer(folder / digest, digest, (folder / digest).stat().st_size)


def _opened(path: Path) -> contextlib.AbstractContextManager[_Reads]:
    with path.open("rb") as stream:
        start = stream.read(6)
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(path)
    if start.startswith(b"BZh"):
        return bz2.open(path)
    if start == b"\xfd7zXZ\x00":
        return lzma.open(path)
    return path.open("rb")


if TYPE_CHECKING:
    from typing import Protocol

    class _Reads(Protocol):
        def read(self, size: int, /) -> bytes: ...


def _pythons(layers: Sequence[tree.Layer]) -> list[str]:
    """Return the interpreters in the end, where an upper layer may have removed one."""
    found: dict[str, None] = {}
    for layer in layers:
        with tarfile.open(layer.path) as archive:
            for name in archive.getnames():
                plain = name.removeprefix("./")
                if _PYTHON.fullmatch(plain):
                    found[plain] = None
                removed = _WHITEOUT.fullmatch(plain)
                if removed:
                    found.pop(f"{removed[1] or ''}{removed[2]}", None)
    return [f"/{path}" for path in sorted(found)]
