"""Find the scripts that an image starts among the files that were copied into it."""

from __future__ import annotations

import dataclasses
import posixpath
import re
from typing import TYPE_CHECKING

from alongside.contract.drafting import images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from alongside.contract.drafting import dockerfiles

SCRIPTS_MAX = 8
DEPTH_MAX = 8
LOOKS_MAX = 20_000
"""How many files are looked for, so that stages which copy from each other come to an end."""
_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/")
_SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh"})
_SHELL = re.compile(r"#!\s*\S*(?:sh|env\s+(?:-\S+\s+)*\S*sh)\b")


@dataclasses.dataclass(frozen=True, slots=True)
class Copied:
    """One `COPY` or `ADD`."""

    sources: tuple[str, ...]
    target: str
    is_folder: bool
    heredocs: tuple[dockerfiles.Heredoc, ...]
    file: str
    is_foreign: bool
    """Whether it is taken from another image, so that nobody here knows it."""
    stage: Sequence[Copied]
    """What the stage had been given that it is taken from, where it is taken from one."""
    is_from_stage: bool


def scripts(
    commands: Sequence[images.Command],
    copied: Sequence[Copied],
    read: Callable[[str], str | None],
) -> tuple[images.Script, ...]:
    """Return the shell scripts that commands name, as far as they are known; shell forms too."""
    found: dict[str, images.Script] = {}
    search = _Search(read)
    for command in map(_as_shell, commands):
        if command.is_shell:
            name, _, line = command.place.rpartition(":")
            shell = images.Script(name, command.words[0], int(line))
            found.setdefault(command.place, shell)
        for path in _paths(command):
            script = search.find(path, copied)
            if script is not None and _is_shell(script):
                found.setdefault(script.name, script)
    return tuple(found.values())[:SCRIPTS_MAX]


def _as_shell(command: images.Command) -> images.Command:
    """Return `["sh", "-c", TEXT]` as what it is, a text for a shell; others as they are."""
    if (
        command.is_shell
        or posixpath.basename(command.words[0] if command.words else "") not in _SHELLS
    ):
        return command
    for at, word in enumerate(command.words[1:-1], start=1):
        if not word.startswith("-"):
            break
        if not word.startswith("--") and word.endswith("c"):
            return dataclasses.replace(command, words=(command.words[at + 1],), is_shell=True)
    return command


def _paths(command: images.Command) -> Iterator[str]:
    """Return the absolute paths that the words of a command may stand for."""
    words = command.words[0].split()[:SCRIPTS_MAX] if command.is_shell else command.words
    for word in words[:SCRIPTS_MAX]:
        if "/" in word:
            yield posixpath.normpath(posixpath.join("/", word))
        elif re.fullmatch(r"[\w.+-]{1,255}", word):
            yield from (posixpath.join(folder, word) for folder in _FOLDERS)


class _Search:
    """A search for files, with a limit on how often it looks."""

    def __init__(self, read: Callable[[str], str | None]) -> None:
        self._read = read
        self._looks = 0

    def find(self, path: str, copied: Sequence[Copied], depth: int = 0) -> images.Script | None:
        """Return the file at a path of the image; None where nobody knows it."""
        for copy in reversed(copied):
            self._looks += 1
            if depth > DEPTH_MAX or self._looks > LOOKS_MAX:
                return None
            is_below = path.startswith(copy.target.rstrip("/") + "/")
            script = self._in(copy, path, depth) if is_below or path == copy.target else None
            if script is not None:
                return script
        return None

    def _in(self, copy: Copied, path: str, depth: int) -> images.Script | None:
        inside = posixpath.relpath(path, copy.target)
        for heredoc in copy.heredocs:
            if inside in {".", heredoc.name}:
                return images.Script(copy.file, heredoc.content, heredoc.line)
        for candidate in _candidates(copy, inside):
            script = self._opened(candidate, copy, depth)
            if script is not None:
                return script
        return None

    def _opened(self, path: str, copy: Copied, depth: int) -> images.Script | None:
        self._looks += 1
        if copy.is_foreign or self._looks > LOOKS_MAX:
            return None
        if copy.is_from_stage:
            inner = posixpath.normpath(posixpath.join("/", path))
            return self.find(inner, copy.stage, depth + 1)
        name = posixpath.normpath(path).lstrip("/")
        text = self._read(name)
        return None if text is None else images.Script(name, text)


def _candidates(copy: Copied, inside: str) -> Iterator[str]:
    """Return the paths of the context that may have become a path below a target."""
    for source in copy.sources:
        if inside == "." or posixpath.basename(source.rstrip("/")) == inside:
            yield source
        elif "*" in posixpath.basename(source):
            yield posixpath.join(posixpath.dirname(source), posixpath.basename(inside))
        yield posixpath.join(source, inside)


def _is_shell(script: images.Script) -> bool:
    first = script.text.partition("\n")[0]
    return bool(_SHELL.match(first)) or (script.name.endswith(".sh") and not first.startswith("#!"))
