"""Hold what an engine answers, and read it without trusting its shape."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from alongside.base import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER_BYTES_MAX = 16 * 2**20
"""Of answers that are read whole; a list of some thousand containers is a few of them."""
LINE_BYTES_MAX = 2**16
"""Of JSON lines; a longer one is passed over."""
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


class Body:
    """The body of an answer while it comes, which has a limit."""

    def __init__(self, status: int) -> None:
        """Begin with nothing read."""
        self._status = status
        self._content = bytearray()

    def take(self, piece: bytes) -> None:
        """Take what came.

        Raises:
            RefusedError: it is too much.
        """
        self._content += piece
        if len(self._content) > ANSWER_BYTES_MAX:
            raise RefusedError(
                f"the engine's answer is longer than {ANSWER_BYTES_MAX} bytes; remove containers "
                "and images that nobody uses (`docker system prune`)",
                status=self._status,
            )

    def answer(self) -> Answer:
        """Return the answer, of which all has come."""
        return Answer(self._status, bytes(self._content))


class Lines:
    """A body of JSON lines while it comes, of which no line is held that is too long."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        self._rest = b""
        self._is_skipping = False

    def feed(self, piece: bytes) -> Iterator[Json]:
        """Yield each line that is complete now and an object."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            is_whole = not self._is_skipping and len(line) <= LINE_BYTES_MAX
            self._is_skipping = False
            if is_whole and (found := record(Answer(0, line).value())):
                yield found
        if len(self._rest) > LINE_BYTES_MAX:
            self._rest, self._is_skipping = b"", True


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
