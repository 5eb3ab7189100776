"""Copy what a container writes into a file, line by line as it comes, each line once."""

from __future__ import annotations

import datetime
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.dockerd import answers, frames

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from alongside.base import clock
    from alongside.dockerd import engine

AGAIN_S = 0.2
AGAIN_S_MAX = 2.0
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) ?")
_ENDS = b"\n"


@dataclass(slots=True)
class Position:
    """How far the output of a container has been read: engines stamp each entry with a time."""

    stamp: bytes = b""
    """Of the last entry."""
    count: int = 0
    """Entries with that stamp."""
    _skipped: int = field(default=0, init=False)

    def again(self) -> None:
        """Begin a new reading, which starts with entries of the last stamp."""
        self._skipped = 0

    def content(self, entry: bytes) -> bytes:
        """Return what an entry says, empty where it was read before."""
        found = _STAMP.match(entry)
        if found is None:
            return entry
        stamp = found[1]
        if self.stamp and stamp == self.stamp and self._skipped < self.count:
            self._skipped += 1
            return b""
        if stamp == self.stamp:
            self.count += 1
            self._skipped += 1
        else:
            self.stamp, self.count, self._skipped = stamp, 1, 1
        return entry[found.end() :]


async def follow(
    asked: engine.Engine, identity: str, path: Path, clock_: clock.Clock, *, is_terminal: bool
) -> None:
    """Append a container's output to a file until it has ended and all was read.

    Where the engine goes away it is asked again from there; where the container is gone, or the
    file cannot be written, nothing more is to be copied.
    """
    position = Position()
    wait_s = AGAIN_S
    while True:
        try:
            split = Lines() if is_terminal else frames.Frames()
            if await _read(asked, identity, path, position, split):
                # What comes as it ends may miss a stream that follows.
                position.again()
                split = Lines() if is_terminal else frames.Frames()
                await _copy(asked, identity, path, position, split, follows=False)
                return
            wait_s = AGAIN_S
        except answers.SilentError:
            wait_s = min(wait_s * 2, AGAIN_S_MAX)
        except (errors.AlongsideError, OSError):
            return
        await clock_.sleep(wait_s)
        position.again()


async def _read(
    asked: engine.Engine, identity: str, path: Path, position: Position, split: Split
) -> bool:
    """Read to the end of one stream; return whether there is no more to come."""
    if not await _copy(asked, identity, path, position, split, follows=True):
        return True
    answer = await asked.ask("GET", f"/containers/{identity}/json")
    state = answers.record(answer.value(), "State")
    return answer.status >= 400 or state.get("Running") is not True


async def _copy(
    asked: engine.Engine,
    identity: str,
    path: Path,
    position: Position,
    split: Split,
    *,
    follows: bool,
) -> bool:
    """Append what comes to a file; return whether the engine told anything."""
    params = {"follow": str(int(follows)), "stdout": "1", "stderr": "1", "timestamps": "1"}
    if position.stamp:
        params["since"] = seconds(position.stamp)
    logs = f"/containers/{identity}/logs"
    async with asked.stream("GET", logs, params=params) as stream:
        if stream.status >= 400:
            return False
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            async for piece in stream.pieces():
                told = b"".join(position.content(entry) for entry in split.feed(piece))
                if told:
                    os.write(descriptor, told)
        finally:
            os.close(descriptor)
    return True


def seconds(stamp: bytes) -> str:
    """Return an entry's time as engines want to be asked: seconds since 1970, nanoseconds."""
    text = stamp.decode()
    whole, rest = text[:19], text[19:].removesuffix("Z")
    fraction, sign, zone = rest.partition("+" if "+" in rest else "-")
    moment = datetime.datetime.fromisoformat(f"{whole}{sign}{zone}" if sign else f"{whole}+00:00")
    return f"{int(moment.timestamp())}.{fraction.removeprefix('.'):0<9}"


LINE_BYTES_MAX = 16 * 1024
"""A longer piece without an end is written as it is, as the engine does with its own."""


class Lines:
    """The stream of a container with a terminal, which has no frames."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        self._rest = b""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield each line that is complete now, with its end."""
        *lines, self._rest = (self._rest + piece).split(_ENDS)
        for line in lines:
            yield line + _ENDS
        if len(self._rest) >= LINE_BYTES_MAX:
            whole, self._rest = self._rest, b""
            yield whole


Split = frames.Frames | Lines
