"""Publish files into a folder at once and live, as the kubelet does for ConfigMaps.

A version is a folder of its own; `..data` leads to the newest, and each visible name through
`..data`. A reader that opens `..data` once reads one version whole, as long as it is kept.

    app.yaml -> ..data/app.yaml
    ..data   -> ..v-00000002-5f0c83a1b2c4d6e8
    ..v-00000001-9e107d9d372bb682/
    ..v-00000002-5f0c83a1b2c4d6e8/app.yaml

Whatever moment it is killed at, readers have the old version or the new one, and the next
publication converges: what was half done starts with `..new-`, which no key may.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import files

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alongside.plan import pods

VERSIONS_KEPT = 3
DATA = "..data"
PATH_BYTES_MAX = 4096
NAME_BYTES_MAX = 255
_NEW = "..new-"
_VERSION = re.compile(r"\.\.v-(\d{8,})-[0-9a-f]{16}")
_FOLDER_MODE = 0o755


def problem(path: str) -> str | None:
    """Return why a file of a volume may not be at a path, or None."""
    parts = path.split("/")
    found = (
        (not path or "\0" in path, "is empty or has a NUL in it"),
        (path.startswith("/"), "is absolute; it has to be below the volume"),
        (any(part in {"", ".", ".."} for part in parts), 'has an empty part, "." or ".." in it'),
        (path.startswith(".."), 'begins with "..", which is kept for published versions'),
        (len(path.encode()) > PATH_BYTES_MAX, f"is longer than {PATH_BYTES_MAX} bytes"),
        (
            any(len(part.encode()) > NAME_BYTES_MAX for part in parts),
            f"has a part longer than {NAME_BYTES_MAX} bytes",
        ),
    )
    return next((why for is_so, why in found if is_so), None)


def collision(paths: Sequence[str]) -> str | None:
    """Return a path that is given twice, or is a folder of another; None where none is."""
    seen: set[str] = set()
    for path in paths:
        if path in seen:
            return path
        seen.add(path)
    for path in paths:
        parents = path.split("/")[:-1]
        for end in range(1, len(parents) + 1):
            if "/".join(parents[:end]) in seen:
                return path
    return None


def publish(folder: Path, content: Sequence[pods.File]) -> bool:
    """Let a folder show these files and no others; return whether they are new.

    Args:
        folder: of this use alone, there.
        content: with paths that are no `problem` and no `collision`.

    Raises:
        OSError: it cannot be written, as where the disk is full; readers keep what they had.
        ValueError: a path is not allowed; nothing was written.
    """
    _check(content)
    _clear(folder)
    digest = _digest(content)
    current = _current(folder)
    is_new = current is None or not current.endswith(f"-{digest}")
    if is_new:
        current = _version(folder, digest)
        _stage(folder, current, content)
        _link(folder, DATA, current)
    _show(folder, {one.path.split("/")[0] for one in content})
    files.sync_directory(folder)
    _prune(folder, current or "")
    return is_new


def _check(content: Sequence[pods.File]) -> None:
    for one in content:
        if why := problem(one.path):
            raise ValueError(f"{one.path!r} {why}")
    if double := collision([one.path for one in content]):
        raise ValueError(f"{double!r} is there twice")


def _digest(content: Sequence[pods.File]) -> str:
    whole = hashlib.sha256()
    for one in sorted(content, key=lambda file: file.path):
        path = one.path.encode()
        whole.update(f"{len(path)} {one.mode:o} {len(one.content)}\n".encode())
        whole.update(path + one.content)
    return whole.hexdigest()[:16]


def _current(folder: Path) -> str | None:
    """Return the version that readers see, or None where there is none."""
    try:
        name = os.readlink(folder / DATA)
    except OSError:
        return None
    return name if _VERSION.fullmatch(name) and (folder / name).is_dir() else None


def _version(folder: Path, digest: str) -> str:
    number = max((number for number, _ in _versions(folder)), default=0) + 1
    return f"..v-{number:08d}-{digest}"


def _versions(folder: Path) -> Iterator[tuple[int, str]]:
    for name in os.listdir(folder):
        if match := _VERSION.fullmatch(name):
            yield int(match[1]), name


def _clear(folder: Path) -> None:
    """Remove what a publication that was killed left half done."""
    for name in os.listdir(folder):
        if name.startswith(_NEW):
            _remove(folder / name)


def _stage(folder: Path, version: str, content: Sequence[pods.File]) -> None:
    """Write a version whole, under a name that nobody reads until it is."""
    new = folder / f"{_NEW}{secrets.token_hex(6)}"
    try:
        folders = [new]
        _make(new)
        for one in content:
            path = new / one.path
            for parent in reversed(Path(one.path).parents[:-1]):
                if new / parent not in folders:
                    folders.append(new / parent)
                    _make(new / parent)
            _write(path, one.content, one.mode)
        for one_folder in reversed(folders):
            files.sync_directory(one_folder)
        os.rename(new, folder / version)
        files.sync_directory(folder)
    except OSError:
        _remove(new)
        raise


def _make(folder: Path) -> None:
    os.mkdir(folder, 0o700)
    os.chmod(folder, _FOLDER_MODE)


def _write(path: Path, content: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _link(folder: Path, name: str, target: str) -> None:
    """Let a name lead to a target, whatever it led to before, at once."""
    new = folder / f"{_NEW}{secrets.token_hex(6)}"
    try:
        os.symlink(target, new)
        os.replace(new, folder / name)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(new)
        raise


def _show(folder: Path, names: set[str]) -> None:
    """Make the visible names, and remove those that lead nowhere any more."""
    targets = {name: _target(folder / name) for name in os.listdir(folder)}
    for name in sorted(names):
        if targets.get(name) != f"{DATA}/{name}":
            _link(folder, name, f"{DATA}/{name}")
    for name, target in targets.items():
        if target == f"{DATA}/{name}" and name not in names:
            os.unlink(folder / name)


def _target(path: Path) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def _prune(folder: Path, current: str) -> None:
    """Remove old versions, the oldest first, but the last few and what readers see."""
    newest = sorted(_versions(folder), reverse=True)[:VERSIONS_KEPT]
    kept = {name for _, name in newest} | {current}
    for _, name in _versions(folder):
        if name not in kept:
            _remove(folder / name)


def _remove(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        with contextlib.suppress(OSError):
            os.unlink(path)
        return
    shutil.rmtree(path, ignore_errors=True)
