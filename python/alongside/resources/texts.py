"""Hold files as they were read; what they say is found elsewhere, so that this loads at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alongside.base import files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BYTES_MAX = 256 * 1024
"""Of one file."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was read: its name for messages, its folder (absolute), its text."""

    file: str
    folder: str
    text: str = field(repr=False)


def load(paths: Sequence[Path]) -> list[Source]:
    """Return the files' texts.

    Raises:
        errors.UsageError: a file is missing, too large or no text.
    """
    sources = []
    for path in paths:
        content = files.read_bounded(path, bytes_max=BYTES_MAX)
        text = content.decode("utf-8", "surrogateescape")
        sources.append(Source(str(path), str(path.absolute().parent), text))
    return sources
