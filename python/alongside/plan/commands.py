"""Say which program of this machine stands for an image, where there are no images."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.resources import lines, problems

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alongside.plan import pods
    from alongside.resources import texts

Words = tuple[str, ...]
ANNOTATION = "alongside.dev/command."
"""Before a container's name: its command where there are no images."""


@dataclass(frozen=True, slots=True)
class WellKnown:
    """What a public image runs; given words that name no flag and no file of it, it runs these."""

    program: Words
    alone: Words = ()
    """What it is told where nobody tells it anything."""
    files: Words = ()
    """How the names of files end that are for it."""

    def given(self, args: Words) -> Words:
        """Return the whole command for some arguments."""
        if not args:
            return (*self.program, *self.alone)
        if args[0] == self.program[0]:
            return (*self.program, *args[1:])
        is_for_it = args[0].startswith("-") or args[0].endswith(self.files or "\0")
        return (*self.program, *args) if is_for_it else args


DEFAULTS: Mapping[str, WellKnown] = {
    # As root it wants a name, be it root's: another may not be there in a user namespace.
    "memcached": WellKnown(("memcached", "-u", "root")),
    "redis": WellKnown(("redis-server",), files=(".conf",)),
    "valkey": WellKnown(("valkey-server",), files=(".conf",)),
    "nginx": WellKnown(("nginx",), alone=("-g", "daemon off;")),
    "python": WellKnown(("python3",)),
    "node": WellKnown(("node",), files=(".js", ".mjs", ".cjs")),
    "nutcracker": WellKnown(("nutcracker",)),
    "twemproxy": WellKnown(("nutcracker",)),
}
"""By the last part of an image's name."""

TAKEN_OVER: Mapping[str, str] = {"nutcracker": "nutcracker", "twemproxy": "nutcracker"}
"""Images whose program is ours under its old name: the program, by the last part of their names."""


@dataclass(frozen=True, slots=True)
class Commands:
    """What is known of images."""

    written: Mapping[str, Words]
    """By a user, for a whole name, for one without its tag, or for its last part."""
    ours: Mapping[str, Words]
    """Of our own images, by the last part of their names."""
    programs: Mapping[str, Words] = field(default_factory=dict)
    """Of what is taken over, by the program's old name."""

    def settled(self, container: pods.Container) -> pods.Container:
        """Return a container with what a user's file says of its image, so that it is compared."""
        if container.stand_in or container.command:
            return container
        name = _without_tag(container.image)
        for known in (container.image, name, name.rpartition("/")[2]):
            if known and known in self.written:
                return replace(container, stand_in=self.written[known])
        return container

    def words(self, _: pods.Pod, container: pods.Container) -> Words:
        """Return the whole command of a container.

        Raises:
            errors.UsageError: nothing says what runs, and what to do.
        """
        settled = self.settled(container)
        last = _without_tag(container.image).rpartition("/")[2]
        if settled.stand_in:
            return (*settled.stand_in, *container.args)
        if settled.command:
            return self._taken_over(last, (*settled.command, *container.args))
        if last in self.ours:
            return (*self.ours[last], *container.args)
        if last in DEFAULTS:
            return self._taken_over(last, DEFAULTS[last].given(container.args))
        raise errors.UsageError(_unknown(container, last))

    def _taken_over(self, image: str, words: Words) -> Words:
        """Return a command with our program in the place of its first word, where it is ours."""
        program = TAKEN_OVER.get(image)
        if program is None or words[0] != program:
            return words
        return (*self.programs.get(program, (program,)), *words[1:])


def _unknown(container: pods.Container, last: str) -> str:
    return (
        f'nothing says which program of this machine stands for "{container.image}"; write '
        f"command: [PROGRAM], the annotation {ANNOTATION}{container.name}: PROGRAM, or "
        f"{last or 'NAME'}: [PROGRAM] into a file for --images; with --engine docker the image "
        "itself runs"
    )


def _without_tag(image: str) -> str:
    """Return an image's name without its tag and digest; a registry's port is no tag."""
    name = image.partition("@")[0]
    before, _, last = name.rpartition("/")
    return f"{before}/{last.partition(':')[0]}" if before else last.partition(":")[0]


def read(source: texts.Source) -> dict[str, Words]:
    """Return what a user's file of images says: a command for each name.

    Raises:
        problems.ResourceError: every mistake in it.
    """
    found: list[problems.Problem] = []
    known: dict[str, Words] = {}
    for document in lines.documents(source.text, file=source.file):
        if not isinstance(document.value, dict):
            found.append(_mistake(document, (), "it is no list of names; write IMAGE: [PROGRAM]"))
            continue
        for name, value in document.value.items():
            words = _split(value)
            if not isinstance(name, str) or not words:
                reason = "it is no command; write [PROGRAM, ARGUMENT, ...] or one line of text"
                found.append(_mistake(document, (name,), reason))
            else:
                known[name] = words
    if found:
        raise problems.ResourceError(found)
    return known


def _split(value: object) -> Words:
    """Return the words of a command, none where it is no command."""
    if isinstance(value, str):
        return of_text(value)
    if isinstance(value, list) and all(isinstance(word, str) and word for word in value):
        return tuple(value)
    return ()


def of_text(text: str) -> Words:
    """Return a command's words, quoted as for a shell; none where a quote is not closed."""
    try:
        return tuple(shlex.split(text))
    except ValueError:
        return ()


def _mistake(document: lines.Document, path: problems.Path, reason: str) -> problems.Problem:
    line = document.line(path)
    return problems.Problem(document.file, line, "", problems.field_text(path), reason)
