"""Write a text of a contract so that it can do nothing but be read."""

from __future__ import annotations

NOTHING = "nothing"
"""What stands where a text is empty."""
_WIDTH_MAX = 400
"""Longer texts of a contract are cut where people read them."""


def plain(text: str) -> str:
    """Return a text of a contract as one printable line of bounded length."""
    line = " ".join(text.split())
    return _printable(line if len(line) <= _WIDTH_MAX else line[:_WIDTH_MAX] + "…")


def whole_line(text: str) -> str:
    """Return a text of a contract as one printable line, all of it; `nothing` where it is empty."""
    return _printable(" ".join(text.split())) or NOTHING


def _printable(text: str) -> str:
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
