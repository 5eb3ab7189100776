"""Keep the data plane's binary as it was started, since its path may hold another one later."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.engines.local import children, versions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from alongside.engines.local import members

_MODE = 0o700


class Kept:
    """Copies of a project's data planes, one for each version; a folder holds them."""

    def __init__(self, folder: Path) -> None:
        """Take where they are; nothing is made yet."""
        self._folder = folder

    def of(self, binary: Path) -> Path:
        """Return a copy that stays what it is, or the binary itself where none can be made.

        A copy is made once for each version: a link would change with a file that is written anew.
        """
        version = versions.of(binary)
        if not version:
            return binary
        copy = self._folder / version / binary.name
        if versions.of(copy) == version:
            return copy
        beside = copy.with_name(f"{copy.name}.new")
        try:
            copy.parent.mkdir(mode=_MODE, parents=True, exist_ok=True)
            shutil.copyfile(binary, beside)
            beside.chmod(_MODE)
            beside.replace(copy)
            is_there = versions.of(copy) == version and not _forbids_programs(self._folder)
        except OSError:
            is_there = False
        if not is_there:  # a full disk, a folder that runs no programs, a binary that changes
            shutil.rmtree(copy.parent, ignore_errors=True)
        return copy if is_there else binary

    def drop_all_but(self, used: Collection[Path]) -> None:
        """Remove the copies that nothing is started with any more."""
        with contextlib.suppress(OSError):
            for folder in list(self._folder.iterdir()):
                if not any(folder in one.parents for one in used):
                    shutil.rmtree(folder, ignore_errors=True)


def _of_ours(every: Iterable[members.Member]) -> list[children.Child]:
    return [one for one in every if isinstance(one, children.Child)]


def binaries(every: Iterable[members.Member]) -> list[Path]:
    """Return what these are started with the next time."""
    return [Path(one.launch.program.argv[0]) for one in _of_ours(every)]


def idle(every: Iterable[members.Member]) -> list[children.Child]:
    """Return those that do not run now."""
    return [one for one in _of_ours(every) if one.identity is None]


def outdated(by_name: Mapping[str, members.Member], binary: Path) -> list[str]:
    """Return those of the data plane that run, and run another version than the binary's."""
    current = versions.of(binary)
    return [
        name
        for name, child in by_name.items()
        if isinstance(child, children.Child)
        and current
        and child.identity is not None
        and child.version not in {"", current}
    ]


def _forbids_programs(folder: Path) -> bool:
    return bool(os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0))
