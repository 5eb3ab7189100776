"""Open what a user names: a Dockerfile, an image in a file, folder or engine, or a contract."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import errors, files
from alongside.contract.drafting import (
    archives,
    configurations,
    dockerfiles,
    engine,
    images,
    stages,
)

if TYPE_CHECKING:
    from alongside.base import environment

SCRIPT_BYTES_MAX = 256 * 1024
"""Longer files of the build context are no entrypoint that somebody wrote."""
_CONTRACT = re.compile(rb"^(?:contract\s*:|\s*\{\s*\"contract\"\s*:)", re.M)
_TAR_MAGIC = slice(257, 262)
_IMAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,511}")


@dataclasses.dataclass(frozen=True, slots=True)
class Wishes:
    """What a user may say about how to read what is named."""

    target: str = ""
    """The stage of a Dockerfile."""
    context: Path | None = None
    """The folder that a Dockerfile is built with; its own where None."""
    platform: str = ""
    """Which image of several to read, as `linux/arm64`."""


def is_contract(name: str) -> bool:
    """Return whether a file holds a contract, by its first key."""
    path = Path(name)
    if not path.is_file() or _is_archive(path):
        return False
    with path.open("rb") as stream:
        return _CONTRACT.search(stream.read(64 * 1024)) is not None


def image(name: str, wishes: Wishes, variables: environment.Environment) -> images.Image:
    """Return the image that a name stands for: a file, a folder, or one in the engine.

    Raises:
        errors.UsageError: there is none, or it cannot be read.
        errors.TemporaryError: it is no file, and no engine answers.
    """
    path = Path(name)
    if path.is_dir() and (path / "index.json").exists():
        return configurations.image_of(archives.configuration(path, wishes.platform), name)
    if path.is_dir():
        raise errors.UsageError(f"{name}: is a folder; name the Dockerfile in it")
    if path.is_file() and _is_archive(path):
        return configurations.image_of(archives.configuration(path, wishes.platform), name)
    if path.exists() or not _is_image_name(name):
        return _dockerfile(path, wishes)
    return configurations.image_of(engine.configuration(name, variables), name)


def component(name: str) -> str:
    """Return how to call a component that does not say: its folder, or its image's name."""
    path = Path(name)
    if path.exists():
        return path.resolve().parent.name if path.is_file() else path.resolve().name
    return re.split(r"[:@]", name.rpartition("/")[2])[0]


def _is_image_name(name: str) -> bool:
    looks_like_file = name.startswith(("./", "../", "/")) or re.search(
        r"(?i)(?:^|/)(?:docker|container)file|\.(?:tar|ya?ml|json|dockerfile)$", name
    )
    return not looks_like_file and _IMAGE_NAME.fullmatch(name) is not None


def _is_archive(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError:
        return False
    return head[_TAR_MAGIC] == b"ustar" or head.startswith(b"\x1f\x8b")


def _dockerfile(path: Path, wishes: Wishes) -> images.Image:
    content = files.read_bounded(path, bytes_max=dockerfiles.BYTES_MAX)
    folder = (wishes.context or path.parent).resolve()

    def read(inner: str) -> str | None:
        return _in_context(folder, inner)

    return stages.image_of(
        dockerfiles.parse(content), name=path.name, target=wishes.target, read=read
    )


def _in_context(folder: Path, inner: str) -> str | None:
    """Return a file of the build context; None where there is none, or it leads out of it."""
    try:
        path = (folder / inner).resolve()
        if not path.is_relative_to(folder) or not path.is_file():
            return None
        with path.open("rb") as stream:
            content = stream.read(SCRIPT_BYTES_MAX + 1)
    except (OSError, ValueError, RuntimeError):
        return None
    return None if len(content) > SCRIPT_BYTES_MAX else content.decode("utf-8", "replace")
