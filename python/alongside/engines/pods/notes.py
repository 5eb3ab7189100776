"""Say each thing that a machine does not give once, to people and to the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alongside.base import log

NOTES_MAX = 256
"""Kept; what comes later is only logged."""


class Notes:
    """What was said so far; equal texts are said once."""

    def __init__(self, log_: log.Log | None = None) -> None:
        """Take the log that gets each note as a warning."""
        self._log = log_
        self._said: dict[str, None] = {}

    def say(self, text: str) -> None:
        """Say a sentence, unless it was said before."""
        if text in self._said:
            return
        if len(self._said) < NOTES_MAX:
            self._said[text] = None
        if self._log is not None:
            self._log.warning("note", text=text)

    def all(self) -> list[str]:
        """Return what was said, in order."""
        return list(self._said)
