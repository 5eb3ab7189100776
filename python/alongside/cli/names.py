"""Name a project, by its user or by its folder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from alongside.base import errors

if TYPE_CHECKING:
    from pathlib import Path

LENGTH_MAX = 40
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


def is_name(text: str) -> bool:
    """Return whether a project may be named so."""
    return _NAME.fullmatch(text) is not None


def checked(name: str) -> str:
    """Return a project's name as given by a user.

    Raises:
        errors.UsageError: it could not be the name of a folder and a mark.
    """
    if not is_name(name):
        raise errors.UsageError(
            f'--project "{name[:64]}" is not a name; write at most {LENGTH_MAX} of a-z, 0-9 '
            "and -, beginning and ending with a letter or digit"
        )
    return name


def of_folder(folder: Path) -> str:
    """Return the project name that a folder stands for; letters that a name cannot have are -."""
    text = re.sub(r"[^a-z0-9]+", "-", folder.absolute().name.lower())[:LENGTH_MAX]
    return text.strip("-") or "project"
