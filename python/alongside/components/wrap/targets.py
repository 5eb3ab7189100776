"""Say from which template to which file, and refuse what cannot be replaced before any is."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import errors, files, units

if TYPE_CHECKING:
    from collections.abc import Sequence

TEMPLATE_BYTES_MAX = 1024 * 1024
"""A longer template is none that somebody wrote."""
_MODE = 0o644
_SECRET_MODE = 0o600
_MOUNTS = Path("/proc/self/mountinfo")
_MOUNTS_BYTES_MAX = 16 * 1024 * 1024
_OCTAL = re.compile(rb"\\([0-7]{3})")


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """A template and where the filled one goes."""

    source: Path
    target: Path
    text: str


def pairs(texts: Sequence[str], problems: list[str]) -> list[Pair]:
    """Return the templates that `SOURCE:TARGET` texts name; add every mistake to the problems."""
    taken = {_place(Path(text.partition(":")[0])) for text in texts}
    made: list[Pair] = []
    for text in texts:
        source, colon, target = text.partition(":")
        place = f"--template {units.shown(text)}"
        if not (source and colon and target):
            problems.append(f"{place}: write it as SOURCE:TARGET")
            continue
        fault = _fault(Path(target), taken)
        if fault:
            problems.append(f"{place}: {target} {fault}")
            continue
        taken.add(_place(Path(target)))
        try:
            content = files.read_bounded(Path(source), bytes_max=TEMPLATE_BYTES_MAX)
            made.append(Pair(Path(source), Path(target), content.decode()))
        except UnicodeDecodeError:
            problems.append(f"{place}: {source} is no UTF-8 text; write it as one")
        except errors.UsageError as error:
            problems += [f"{place}: {problem}" for problem in error.problems]
    return made


def mode(target: Path, has_secret: bool) -> int:
    """Return the permission bits that a file gets: those it has, or what its content asks for."""
    most = _SECRET_MODE if has_secret else 0o777
    try:
        return target.stat().st_mode & most
    except OSError:
        return _MODE & most


def _fault(target: Path, taken: set[Path]) -> str:
    """Return why a file cannot be put there; empty where it can."""
    if not target.parent.is_dir() or (target.exists() and not target.is_file()):
        return "is no file in a folder that exists; name one"
    if _place(target) in taken:
        return "is a template, or the target of another one; name another file"
    if os.fsencode(_place(target)) in _mount_points():
        return "is mounted by itself and cannot be replaced; mount its folder, or name another file"
    return ""


def _place(path: Path) -> Path:
    """Return where a name stands, whatever links lead to its folder; it may itself be a link."""
    return Path(os.path.realpath(path.parent)) / path.name


def _mount_points() -> set[bytes]:
    """Return where something is mounted; empty where the system does not tell."""
    try:
        content = files.read_bounded(_MOUNTS, bytes_max=_MOUNTS_BYTES_MAX)
    except errors.UsageError:
        return set()
    fields = (line.split() for line in content.splitlines())
    return {_OCTAL.sub(_unescaped, one[4]) for one in fields if len(one) > 4}


def _unescaped(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 8)])
