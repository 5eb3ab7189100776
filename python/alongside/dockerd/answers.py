"""Hold what an engine answers, and read it without trusting its shape."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import cast

from alongside.base import errors

ANSWER_BYTES_MAX = 16 * 2**20
"""Of answers that are read whole; a list of some thousand containers is a few of them."""
MESSAGE_LENGTH_MAX = 1000
RETRY_AFTER_S = 1.0

Json = dict[str, object]


class SilentError(errors.TemporaryError):
    """Nothing answers at the engine's socket, or it stopped in the middle."""


class RefusedError(errors.PermanentError):
    """The engine answered that it does not do this, or cannot."""

    def __init__(self, message: str, *, status: int) -> None:
        """Take the engine's own words and its status."""
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a body."""

    status: int
    content: bytes

    def value(self) -> object:
        """Return the body as JSON; None where it is none."""
        try:
            value: object = json.loads(self.content)
        except (ValueError, RecursionError):
            return None
        return value

    def checked(self, what: str) -> Answer:
        """Return this answer where it says that something was done.

        Args:
            what: for the message: what was wanted.

        Raises:
            RefusedError: it does not; with the engine's words.
        """
        if self.status < 400:
            return self
        said = text(record(self.value()), "message") or self.content.decode(errors="replace")
        message = said.strip()[:MESSAGE_LENGTH_MAX] or f"status {self.status}"
        raise RefusedError(f"{what}: {message}", status=self.status)


def record(value: object, *names: str) -> Json:
    """Return the object that stands under a path of names; empty where there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return cast("Json", value) if isinstance(value, dict) else {}


def text(value: Json, name: str) -> str:
    """Return a text of an object; empty where there is none."""
    found = value.get(name)
    return found if isinstance(found, str) else ""


def whole(value: Json, name: str) -> int:
    """Return a whole number of an object; 0 where there is none."""
    found = value.get(name)
    return found if isinstance(found, int) else 0


def texts(value: Json, name: str) -> tuple[str, ...]:
    """Return the texts of a list in an object."""
    found = value.get(name)
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()


def records(value: object) -> list[Json]:
    """Return the objects of a list."""
    found = value if isinstance(value, list) else []
    return [cast("Json", one) for one in found if isinstance(one, dict)]


def told(content: bytes) -> str:
    """Return the error in a body of JSON lines, as loading and pulling answer; empty for none."""
    for line in content.splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and said.get("error"):
            return str(said["error"])
    return ""
