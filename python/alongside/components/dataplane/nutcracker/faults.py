"""Gather the mistakes of a file, each with its line and its remedy."""

from __future__ import annotations

from alongside.base import errors

FAULTS_MAX = 100
"""So many are told; who has more mends these first."""


class Faults:
    """The mistakes of one file, in the order in which they were found."""

    def __init__(self, file: str) -> None:
        """Take the file's name, as its user gave it."""
        self.file = file
        self._told: dict[str, None] = {}
        self._untold = 0

    def add(self, line: int, what: str, remedy: str) -> None:
        """Note a mistake.

        Args:
            line: where it stands, from 1.
            what: what is wrong, with the value, unless that is a secret.
            remedy: what to write instead.
        """
        if len(self._told) < FAULTS_MAX:
            self._told[f"{self.file}:{line}: {what}; {remedy}"] = None
        else:
            self._untold += 1

    def raise_any(self) -> None:
        """Do nothing where no mistake was found.

        Raises:
            errors.UsageError: all that were found.
        """
        if not self._told:
            return
        more = [f"{self.file}: {self._untold} more mistakes"] if self._untold else []
        raise errors.UsageError(*self._told, *more)
