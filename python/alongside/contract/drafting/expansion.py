"""Split and expand the words of a Dockerfile as a builder does: quotes, escapes, `${NAME:-else}`.

The rules are those of BuildKit's shell lexer, but for patterns (`${NAME#prefix}`): their result is
unknown, and said to be.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT_LENGTH_MAX = 16_384
"""Longer values are cut and count as unknown: each `ENV` may double the one above."""
DEPTH_MAX = 16

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]")
_BLANK = " \t\r\n\f\v"


@dataclasses.dataclass(frozen=True, slots=True)
class Word:
    """A word as it stands in a text, quotes included, and where it begins."""

    at: int
    raw: str


@dataclasses.dataclass(frozen=True, slots=True)
class Expansion:
    """What a word came to."""

    text: str
    names: tuple[str, ...]
    """The variables it uses, in their order."""
    is_known: bool
    """Whether the text is what a builder would make of it."""


def words(text: str, escape: str = "\\") -> list[Word]:
    """Return the words of a text, split at blanks outside quotes; never raises."""
    found: list[Word] = []
    at = 0
    while at < len(text):
        if text[at] in _BLANK:
            at += 1
            continue
        end = _word_end(text, at, escape)
        found.append(Word(at, text[at:end]))
        at = end
    return found


def expand(raw: str, lookup: Callable[[str], str | None], escape: str = "\\") -> Expansion:
    """Return a word without its quotes, its variables replaced; never raises.

    Args:
        raw: the word as it stands.
        lookup: returns a variable's value, None where it has none.
        escape: the character that takes the meaning from the next.
    """
    expander = _Expander(raw, lookup, escape)
    text = expander.run()
    return Expansion(text, tuple(dict.fromkeys(expander.names)), expander.is_known)


def _word_end(text: str, at: int, escape: str) -> int:
    quote = ""
    while at < len(text):
        letter = text[at]
        if letter == escape and quote != "'":
            at += 2
            continue
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in _BLANK:
            return at
        at += 1
    return len(text)


class _Expander:
    """One pass over one word; `at` is how far it came."""

    def __init__(self, raw: str, lookup: Callable[[str], str | None], escape: str) -> None:
        self._raw = raw[:TEXT_LENGTH_MAX]
        self._lookup = lookup
        self._escape = escape
        self._at = 0
        self._depth = 0
        self._grown = 0
        self.names: list[str] = []
        self.is_known = len(raw) <= TEXT_LENGTH_MAX

    def run(self) -> str:
        text = self._until("")
        if len(text) > TEXT_LENGTH_MAX:
            self.is_known = False
        return text[:TEXT_LENGTH_MAX]

    def _until(self, stop: str) -> str:
        """Return the text up to an unquoted `stop`, which is passed over."""
        parts: list[str] = []
        while self._at < len(self._raw):
            letter = self._raw[self._at]
            if stop and letter == stop:
                self._at += 1
                break
            parts.append(self._piece(letter))
        return "".join(parts)

    def _piece(self, letter: str) -> str:
        self._at += 1
        if letter == "'":
            return self._single()
        if letter == '"':
            return self._double()
        if letter == self._escape:
            return self._next()
        return self._dollar() if letter == "$" else letter

    def _next(self) -> str:
        self._at += 1
        return self._raw[self._at - 1 : self._at]

    def _single(self) -> str:
        end = self._raw.find("'", self._at)
        end = len(self._raw) if end < 0 else end
        text = self._raw[self._at : end]
        self._at = end + 1
        return text

    def _double(self) -> str:
        parts: list[str] = []
        while self._at < len(self._raw):
            letter = self._raw[self._at]
            self._at += 1
            if letter == '"':
                break
            if letter == self._escape and self._raw[self._at : self._at + 1] in {'"', "$", letter}:
                parts.append(self._next())
            else:
                parts.append(self._dollar() if letter == "$" else letter)
        return "".join(parts)

    def _dollar(self) -> str:
        is_braced = self._raw[self._at : self._at + 1] == "{"
        name = _NAME.match(self._raw, self._at + is_braced)
        if name is None or self._depth >= DEPTH_MAX:
            self.is_known = self.is_known and name is None
            return "$"
        self._at = name.end()
        self.names.append(name[0])
        value = self._bounded(self._lookup(name[0]))
        return self._braced(value) if is_braced else value or ""

    def _bounded(self, value: str | None) -> str | None:
        self._grown += len(value or "")
        if self._grown <= TEXT_LENGTH_MAX:
            return value
        self.is_known = False
        return ""

    def _braced(self, value: str | None) -> str:
        """Return what `${NAME` and the rest of it come to; the name is behind us."""
        is_empty_unset = self._raw[self._at : self._at + 1] == ":"
        self._at += is_empty_unset
        operator = self._raw[self._at : self._at + 1]
        self._at += 1
        if operator == "}":
            return value or ""
        self._depth += 1
        other = self._until("}")
        self._depth -= 1
        is_set = value is not None and not (is_empty_unset and value == "")
        match operator:
            case "-" | "=":
                return value or "" if is_set else other
            case "+":
                return other if is_set else ""
            case "?":
                self.is_known = self.is_known and is_set
                return value or ""
            case _:
                self.is_known = False
                return value or ""
