"""Read what an image stands on: a root file system's tar, or an image's archive."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import tarfile
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.images import tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_TEXT_BYTES_MAX = 4 * 1024 * 1024
_LAYERS_MAX = 127
_PYTHON = re.compile(r"(?:\./)?(usr/(?:local/)?bin/python3\.([0-9]+))")
_CHUNK_BYTES = 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The layers below ours, what they set, and the Python in them."""

    name: str
    digest: str
    """Of the archive, as `sha256:…`."""
    layers: tuple[tree.Layer, ...]
    environment: tuple[str, ...]
    python: str
    """The path of its interpreter, such as `/usr/bin/python3.11`; empty where it has none."""


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
                layers, environment = _of_image(archive, folder)
            elif "index.json" in names:
                raise errors.UsageError(
                    f"{path}: is an OCI layout without manifest.json; write one for Docker too, "
                    "as `docker save` or `skopeo copy … docker-archive:` do"
                )
            else:
                layers, environment = [], []
        if not layers:
            layers = [_unpacked(path, folder)]
        python = _python(layers)
    except (OSError, tarfile.TarError, EOFError, ValueError, KeyError, TypeError) as error:
        raise errors.UsageError(
            f"{path}: is no archive of a root file system or an image: {error}"
        ) from error
    return Base(
        name=path.name,
        digest=f"sha256:{tree.digest_of(path)}",
        layers=tuple(layers),
        environment=tuple(environment),
        python=python,
    )


def _of_image(archive: tarfile.TarFile, folder: Path) -> tuple[list[tree.Layer], list[str]]:
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
    inner = config["config"] if isinstance(config, dict) else {}
    found = inner.get("Env") or [] if isinstance(inner, dict) else []
    return layers, [str(line) for line in found]


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
        while chunk := source.read(_CHUNK_BYTES):
            target.write(chunk)
    digest = tree.digest_of(unfinished)
    unfinished.replace(folder / digest)
    return tree.Layer(folder / digest, digest, (folder / digest).stat().st_size)


def _opened(path: Path) -> contextlib.AbstractContextManager[_Reads]:
    import bz2  # noqa: PLC0415 - only who has a base needs these
    import gzip  # noqa: PLC0415
    import lzma  # noqa: PLC0415

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


def _python(layers: Sequence[tree.Layer]) -> str:
    found = sorted(_pythons(layers))
    return f"/{found[-1][1]}" if found else ""


def _pythons(layers: Sequence[tree.Layer]) -> Iterator[tuple[int, str]]:
    for layer in layers:
        with tarfile.open(layer.path) as archive:
            for name in archive.getnames():
                if match := _PYTHON.fullmatch(name):
                    yield int(match[2]), match[1]
