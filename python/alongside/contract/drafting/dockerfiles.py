"""Read a Dockerfile into its instructions, with lines and the comments above them.

Source:
    The Dockerfile reference of BuildKit: parser directives, continued lines, JSON forms, here
    documents. Why this is ours: docs/decisions/0006-dockerfiles.md.
"""

from __future__ import annotations

import bisect
import dataclasses
import json
import re
from typing import TYPE_CHECKING

from alongside.base import nearest, units
from alongside.contract.drafting import expansion

if TYPE_CHECKING:
    from collections.abc import Iterator

BYTES_MAX = 1024 * 1024
"""Longer files are refused before they are read."""
INSTRUCTIONS_MAX = 10_000
COMMENT_LENGTH_MAX = 1000

WORDS = (
    *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL"),
    *("MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
)
_WITH_JSON = frozenset({"ADD", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL", "VOLUME"})
_WITH_HEREDOCS = frozenset({"ADD", "COPY", "RUN"})
_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")
_FLAG = re.compile(r"--([A-Za-z][A-Za-z0-9-]*)(?:=(\S*))?(?:\s+|$)")
_HEREDOC = re.compile(r"[0-9]*<<(-?)([^<]+)")
_NOISE = re.compile(
    r"(?i:hadolint|shellcheck|checkov|trivy|nosec|renovate|vim:|todo\b|fixme\b)"
    rf"|(?:{'|'.join(WORDS)})\s|[A-Za-z]+=\S+$|\W*$"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a line."""

    line: int
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Piece:
    """One physical line of an instruction: where it begins in the text, and what it says above."""

    at: int
    line: int
    comment: str


@dataclasses.dataclass(frozen=True, slots=True)
class Heredoc:
    """A file that stands in the Dockerfile itself."""

    name: str
    content: str
    line: int
    """The first line of the content."""


@dataclasses.dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction; `text` is what follows the word and its flags, lines joined."""

    word: str
    line: int
    comment: str
    text: str
    flags: dict[str, str] = dataclasses.field(default_factory=dict)
    pieces: tuple[Piece, ...] = ()
    heredocs: tuple[Heredoc, ...] = ()

    def json(self) -> tuple[str, ...] | None:
        """Return the words of the JSON form; None where it is the shell's."""
        return _json_words(self.text) if self.word in _WITH_JSON else None

    def piece(self, at: int) -> Piece:
        """Return the physical line in which a place of the text stands."""
        after = bisect.bisect_right(self.pieces, at, key=lambda piece: piece.at)
        return self.pieces[after - 1] if after else Piece(0, self.line, self.comment)


@dataclasses.dataclass(frozen=True, slots=True)
class Dockerfile:
    """A whole file, and everything that a builder would refuse in it."""

    instructions: tuple[Instruction, ...]
    problems: tuple[Problem, ...]
    escape: str = "\\"


def parse(content: bytes) -> Dockerfile:
    """Return what a file says; never raises."""
    if len(content) > BYTES_MAX:
        return Dockerfile((), (Problem(1, f"is larger than {BYTES_MAX} bytes; is it one?"),))
    return _Reader(content.decode("utf-8", "replace").removeprefix("\ufeff")).read()


def trigger(instruction: Instruction) -> Instruction | None:
    """Return what an `ONBUILD` makes the image do that is built on this one; None if nothing."""
    head = re.match(r"([A-Za-z]+)\s+", instruction.text)
    if instruction.word != "ONBUILD" or head is None:
        return None
    pieces = tuple(
        dataclasses.replace(piece, at=max(0, piece.at - head.end())) for piece in instruction.pieces
    )
    rest = instruction.text[head.end() :]
    return _flagged(
        dataclasses.replace(instruction, word=head[1].upper(), text=rest, pieces=pieces)
    )


class _Reader:
    """Goes once over the lines; `at` is the next one."""

    def __init__(self, text: str) -> None:
        self._lines = [line.removesuffix("\r") for line in text.split("\n")]
        self._at = 0
        self._escape = "\\"
        self._problems: list[Problem] = []
        self._comments: list[str] = []

    def read(self) -> Dockerfile:
        self._directives()
        found: list[Instruction] = []
        while self._at < len(self._lines) and len(found) <= INSTRUCTIONS_MAX:
            line = self._lines[self._at].strip()
            if line == "" or line.startswith("#"):
                self._note(line)
                self._at += 1
                continue
            found.append(self._instruction())
        if len(found) > INSTRUCTIONS_MAX:
            self._complain(self._at, f"has more than {INSTRUCTIONS_MAX} instructions; is it one?")
        if not any(instruction.word == "FROM" for instruction in found):
            self._complain(1, "holds no FROM; every Dockerfile begins with one")
        return Dockerfile(tuple(found), tuple(self._problems), self._escape)

    def _complain(self, line: int, text: str) -> None:
        self._problems.append(Problem(line, text))

    def _note(self, line: str) -> None:
        if line == "":
            self._comments.clear()
        else:
            self._comments.append(line)

    def _directives(self) -> None:
        """Pass over `# escape=` and its like, which stand above everything else."""
        while self._at < len(self._lines):
            found = _DIRECTIVE.fullmatch(self._lines[self._at].strip())
            name = found[1].lower() if found else ""
            if found is None or name not in {"syntax", "escape", "check"}:
                return
            if name == "escape" and found[2] not in {"\\", "`"}:
                self._complain(self._at + 1, "escape: write ` or \\")
            elif name == "escape":
                self._escape = found[2]
            self._at += 1

    def _instruction(self) -> Instruction:
        first, comment = self._at + 1, _worded(self._comments)
        text, pieces = self._joined(comment)
        head = re.match(r"\S+", text)
        word = head[0].upper() if head else ""
        at = len(text) - len(text[len(word) :].lstrip())
        moved = tuple(dataclasses.replace(one, at=max(0, one.at - at)) for one in pieces)
        found = _flagged(Instruction(word, first, comment, text[at:].rstrip(), pieces=moved))
        self._check_word(found)
        inner = trigger(found) or found
        if inner.word in _WITH_HEREDOCS and inner.json() is None:
            found = dataclasses.replace(found, heredocs=tuple(self._heredocs(inner)))
        return found

    def _check_word(self, instruction: Instruction) -> None:
        if instruction.word not in WORDS:
            near = nearest.nearest(instruction.word, WORDS)
            hint = f"did you mean {near}?" if near else "write one of its instructions"
            shown = units.shown(instruction.word)
            self._complain(instruction.line, f"{shown} is no instruction; {hint}")
        elif instruction.text == "" and instruction.word not in {"CMD", "ENTRYPOINT"}:
            self._complain(instruction.line, f"{instruction.word} says nothing; complete it")
        elif instruction.word in {"ENV", "LABEL"}:
            self._check_pairs(instruction)

    def _check_pairs(self, instruction: Instruction) -> None:
        words = expansion.words(instruction.text, self._escape)
        is_old_form = "=" not in words[0].raw
        wrong = [word for word in words if "=" not in word.raw]
        if is_old_form and len(words) > 1:
            return
        for word in wrong:
            line = instruction.piece(word.at).line
            shown = units.shown(word.raw)
            self._complain(line, f"{instruction.word}: {shown} has no value; write NAME=value")

    def _joined(self, comment: str) -> tuple[str, list[Piece]]:
        """Return an instruction's lines as one, comments and empty lines between them left out."""
        text = ""
        pieces: list[Piece] = []
        self._comments.clear()
        parts: list[str] = []
        length = 0
        while self._at < len(self._lines):
            line = self._lines[self._at]
            self._at += 1
            bare = line.strip()
            if pieces and (bare == "" or bare.startswith("#")):
                self._note(bare)
                continue
            above = _worded(self._comments) if pieces else comment
            self._comments.clear()
            body, goes_on = self._continued(line if pieces else line.lstrip())
            pieces.append(Piece(length, self._at, above))
            parts.append(body)
            length += len(body)
            if not goes_on:
                break
        text = "".join(parts)
        self._comments.clear()
        return text, pieces

    def _continued(self, line: str) -> tuple[str, bool]:
        """Return a line without the escape at its end, and whether there was one."""
        body = line.rstrip(" \t")
        if not body.endswith(self._escape) or body.endswith(self._escape * 2):
            return line, False
        return body[: -len(self._escape)], True

    def _heredocs(self, instruction: Instruction) -> Iterator[Heredoc]:
        for word in expansion.words(instruction.text, self._escape):
            found = _HEREDOC.fullmatch(word.raw)
            if found is None:
                continue
            name = expansion.expand(found[2], lambda _: None, self._escape).text
            content: list[str] = []
            first = self._at + 1
            while self._at < len(self._lines):
                line = self._lines[self._at]
                line = line.lstrip("\t") if found[1] else line
                self._at += 1
                if line == name:
                    break
                content.append(line)
            else:
                self._complain(
                    instruction.line,
                    f"{units.shown(f'<<{name}')} has no end; write {name} on a line",
                )
            yield Heredoc(name, "\n".join(content), first)


def _flagged(instruction: Instruction) -> Instruction:
    """Return an instruction whose flags are taken off its text."""
    flags: dict[str, str] = {}
    at = 0
    while found := _FLAG.match(instruction.text, at):
        flags[found[1]] = found[2] or ""
        at = found.end()
    pieces = tuple(
        dataclasses.replace(piece, at=max(0, piece.at - at)) for piece in instruction.pieces
    )
    return dataclasses.replace(instruction, text=instruction.text[at:], flags=flags, pieces=pieces)


def _json_words(text: str) -> tuple[str, ...] | None:
    if not text.startswith("["):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        return None
    return tuple(found)


def json_words(text: str) -> tuple[str, ...] | None:
    """Return the words of a JSON form, as in `HEALTHCHECK CMD ["curl"]`; None where it is none."""
    return _json_words(text.strip())


def _worded(comments: list[str]) -> str:
    """Return comment lines as one text; marks of tools and what is commented out left out."""
    lines = [line.lstrip("#").strip() for line in comments]
    text = " ".join(line for line in lines if line and not _NOISE.match(line))
    return text[:COMMENT_LENGTH_MAX]
