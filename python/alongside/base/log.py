"""Write log lines: one JSON object a line on stderr, an event name and fields, secrets masked."""

from __future__ import annotations

import json
import re
import sys
import time
from typing import TYPE_CHECKING, Literal, TextIO

if TYPE_CHECKING:
    from alongside.base import clock

Level = Literal["debug", "info", "warning", "error"]
MASK = "***"
TEXT_LENGTH_MAX = 2048
"""Longer texts in a line are cut, so that one value cannot fill a disk."""

_RANK: dict[Level, int] = {"debug": 0, "info": 1, "warning": 2, "error": 3}
_SECRET_NAME = re.compile(
    r"passw|passphrase|secret|token|api_?key|private_?key|credential|cookie"
    r"|authorization",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(?<=://)([^/\s@:]*):[^/\s@]*(?=@)")


class Log:
    """A log of one component; `bind` makes one whose every line carries more fields."""

    def __init__(
        self,
        clock: clock.Clock,
        *,
        stream: TextIO | None = None,
        level: Level = "info",
        fields: dict[str, object] | None = None,
    ) -> None:
        """Take the clock for the `time` field and the stream (stderr) for the lines."""
        self._clock = clock
        self._stream = stream
        self._level: Level = level
        self._fields = dict(fields or {})

    def bind(self, **fields: object) -> Log:
        """Return a log whose lines also carry the given fields."""
        return Log(
            self._clock, stream=self._stream, level=self._level, fields={**self._fields, **fields}
        )

    def debug(self, event: str, **fields: object) -> None:
        """Write a line for those who look for a fault."""
        self._write("debug", event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Write a line about something that happened as it should."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Write a line about something that someone should look at."""
        self._write("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Write a line about something that failed."""
        self._write("error", event, fields)

    def _write(self, level: Level, event: str, fields: dict[str, object]) -> None:
        if _RANK[level] < _RANK[self._level]:
            return
        head = {"time": rfc3339(self._clock.wall_s()), "level": level, "event": event}
        body = masked({**self._fields, **fields})
        line = json.dumps({**head, **body}, ensure_ascii=False, default=str)
        stream = self._stream or sys.stderr
        try:
            stream.write(line + "\n")
            stream.flush()
        except (OSError, ValueError):
            return  # a log that nobody can read any more must not stop the work


def rfc3339(wall_s: float) -> str:
    """Return a moment as UTC text with milliseconds: `2026-11-23T22:41:28.123Z`."""
    whole_s, rest_ms = divmod(round(wall_s * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole_s)) + f".{rest_ms:03d}Z"


def masked(fields: dict[str, object]) -> dict[str, object]:
    """Return the fields with secrets replaced and long texts cut.

    A field is secret by its name (`password`, `token`, …) unless it has no value; a text loses the
    password of a URL in it. Nested dicts and lists are treated alike.
    """
    return {
        name: MASK if value is not None and _SECRET_NAME.search(name) else _masked_value(value)
        for name, value in fields.items()
    }


def _masked_value(value: object) -> object:
    if isinstance(value, str):
        text = _URL_PASSWORD.sub(rf"\1:{MASK}", value)
        return text if len(text) <= TEXT_LENGTH_MAX else text[:TEXT_LENGTH_MAX] + "…"
    if isinstance(value, dict):
        return masked({str(name): nested for name, nested in value.items()})
    if isinstance(value, list | tuple):
        return [_masked_value(nested) for nested in value]
    return value
