"""Run a command in a container, and end it with all that it started when it takes too long."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.dockerd import answers, frames

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alongside.base import clock
    from alongside.dockerd import engine

MARK = "ALONGSIDE_EXEC"
"""Stands in the environment of a command, and so of all that it starts: how it is found again."""
ENDED_S_MAX = 5.0
TOLD_BYTES_MAX = 4096
_LOOK_S = 0.05
_PROC = Path("/proc")
_NOT_STARTED = "exec failed"
# For engines whose processes this machine does not see: the container's own shell, if it has one.
_KILL = (
    "for found in /proc/[0-9]*; do "
    'if grep -q "$0" "$found/environ" 2>/dev/null && [ "${found#/proc/}" != "$$" ]; '
    'then kill -9 "${found#/proc/}"; fi; done'
)


async def run(
    asked: engine.Engine,
    identity: str,
    command: Sequence[str],
    clock_: clock.Clock,
    *,
    timeout_s: float,
) -> int:
    """Return the exit code of a command run in a container as its user, with its variables.

    Raises:
        TimeoutError: it took longer, and was killed.
        errors.AlongsideError: it cannot be started, or the engine does not answer.
    """
    mark = f"{MARK}={secrets.token_hex(8)}"
    ran = ""
    try:
        async with asyncio.timeout(timeout_s):
            ran = await _made(asked, identity, command, mark)
            told = await _output(asked, ran)
            return await _code(asked, ran, told, clock_)
    except TimeoutError:
        await _kill(asked, identity, ran, mark, clock_)
        raise
    except asyncio.CancelledError:
        # Nobody waits for the result any more; the command must not stay.
        await asyncio.shield(_kill(asked, identity, ran, mark, clock_))
        raise


async def _made(asked: engine.Engine, identity: str, command: Sequence[str], mark: str) -> str:
    body = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True, "Env": [mark]}
    answer = await asked.ask("POST", f"/containers/{identity}/exec", body=body)
    what = f'"{command[0]}" cannot be run'
    return answers.text(answers.record(answer.checked(what).value()), "Id")


async def _output(asked: engine.Engine, ran: str) -> str:
    """Start a command and read its output to the end; return its beginning."""
    body = {"Detach": False, "Tty": False}
    told, split = b"", frames.Frames()
    async with asked.stream("POST", f"/exec/{ran}/start", body=body) as stream:
        if stream.status >= 400:
            (await stream.whole()).checked("the command cannot be run")
        async for piece in stream.pieces():
            told = (told + b"".join(split.feed(piece)))[:TOLD_BYTES_MAX]
    return told.decode(errors="replace")


async def _code(asked: engine.Engine, ran: str, told: str, clock_: clock.Clock) -> int:
    """Return a command's exit code, which the engine knows a moment after its output's end."""
    while True:
        found = await _state(asked, ran)
        code = found.get("ExitCode")
        if found.get("Running") is not True and isinstance(code, int):
            if code in {126, 127} and _NOT_STARTED in told:
                raise errors.PermanentError(told.strip())
            return code
        await clock_.sleep(_LOOK_S)


async def _state(asked: engine.Engine, ran: str) -> answers.Json:
    answer = await asked.ask("GET", f"/exec/{ran}/json")
    return answers.record(answer.checked("the command is gone").value())


async def _kill(
    asked: engine.Engine, identity: str, ran: str, mark: str, clock_: clock.Clock
) -> None:
    """End what carries a mark, as well as this machine allows, and wait until it is gone."""
    if not ran:
        return
    until_s = clock_.monotonic_s() + ENDED_S_MAX
    with suppress(errors.AlongsideError):
        while clock_.monotonic_s() < until_s:
            if not _kill_here(mark):
                await _kill_inside(asked, identity, mark)
            found = await _state(asked, ran)
            if found.get("Running") is not True and isinstance(found.get("ExitCode"), int):
                return
            await clock_.sleep(_LOOK_S)


def _kill_here(mark: str) -> bool:
    """Kill what carries a mark, if this machine sees the container's processes and we may."""
    found = list(_marked(mark))
    for pid in found:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    return bool(found)


def _marked(mark: str) -> Iterator[int]:
    if sys.platform != "linux":
        return
    wanted = mark.encode()
    for path in _PROC.iterdir():
        if path.name.isdecimal():
            with suppress(OSError):
                if wanted in (path / "environ").read_bytes().split(b"\0"):
                    yield int(path.name)


async def _kill_inside(asked: engine.Engine, identity: str, mark: str) -> None:
    """Have the container's own shell kill what carries a mark; without one, nothing is killed."""
    body = {"Cmd": ["/bin/sh", "-c", _KILL, mark], "User": "0"}
    answer = await asked.ask("POST", f"/containers/{identity}/exec", body=body)
    if answer.status < 400:
        ran = answers.text(answers.record(answer.value()), "Id")
        await asked.ask("POST", f"/exec/{ran}/start", body={"Detach": True})
