"""Lead paths of a container's mounts to where the volumes are, where nothing can be mounted.

Only a text that begins with a mount's path is led there, or an argument `--name=PATH`: within a
script nobody can tell a path from other words. There, a variable says where the volume is.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside.plan import variables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from alongside.plan import pods

_OPTION = re.compile(r"(--?[A-Za-z0-9][\w.-]*=)(/.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the mounts of a container are."""

    targets: tuple[tuple[str, str], ...] = ()
    """A mount's path and the path that stands for it, the longest path first."""

    def text(self, text: str) -> str:
        """Return a text; one that begins with a mount's path with the other path."""
        for path, target in self.targets:
            if text == path or text.startswith(path + "/"):
                return target + text[len(path) :]
        return text

    def argument(self, text: str) -> str:
        """Return an argument; the value of an option too."""
        if match := _OPTION.fullmatch(text):
            return match[1] + self.text(match[2])
        return self.text(text)

    def hidden(self, text: str) -> str | None:
        """Return a mount's path that a text names where it is not led elsewhere, or None."""
        if self.argument(text) != text:
            return None
        found = (path for path, _ in self.targets if _names(text, path))
        return next(found, None)


def of(container: pods.Container, volumes: Mapping[str, Path]) -> Paths:
    """Return where the mounts of a container are, given the folder or file of each volume."""
    targets: dict[str, str] = {}
    for mount in container.mounts:
        path = posixpath.normpath(mount.path)
        if mount.volume in volumes and path != "/":
            root = str(volumes[mount.volume])
            targets[path] = posixpath.join(root, mount.sub_path) if mount.sub_path else root
    return Paths(tuple(sorted(targets.items(), key=lambda pair: (-len(pair[0]), pair[0]))))


def told(container: pods.Container, volumes: Mapping[str, Path]) -> dict[str, str]:
    """Return the variables that say where each mounted volume is."""
    names = [mount.volume for mount in container.mounts if mount.volume in volumes]
    return {variables.of_volume(name): str(volumes[name]) for name in names}


def escapes(sub_path: str) -> bool:
    """Return whether a mount's subPath leads out of its volume."""
    return sub_path.startswith("/") or ".." in sub_path.split("/")


def led(paths: Paths, words: Sequence[str]) -> tuple[str, ...]:
    """Return a command with its paths led to the volumes."""
    return tuple(paths.argument(word) for word in words)


def _names(text: str, path: str) -> bool:
    """Return whether a path stands in a text as a whole, not as the part of a longer one."""
    return re.search(rf"(?<![\w./-]){re.escape(path)}(?![\w.-])", text) is not None
