"""Start the scripts that enter namespaces, and hear how that went."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.engines.processes import ending, groups, probing, spawning
from alongside.engines.runtimes.namespaces import entering, orders

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_ROOT = Path(__file__).resolve().parents[4]
"""The folder from which our package is imported."""
_SCRIPT = (
    "import sys; sys.path.insert(0, sys.argv[1]); from {room} import {name}; {name}.main({of})"
)
_ROOM = "alongside.engines.runtimes.namespaces"
LAUNCH_S_MAX = 30.0
"""Until a script has become its program; a busy machine needs a second."""


def script(name: str, *, takes_arguments: bool = False) -> tuple[str, ...]:
    """Return the words that run a module of this room quickly: no site, no user's variables."""
    of = "sys.argv[2:]" if takes_arguments else ""
    code = _SCRIPT.format(room=_ROOM, name=name, of=of)
    return (sys.executable, "-I", "-S", "-c", code, str(_ROOT))


def marks_of(marks: ending.Marks) -> dict[str, str]:
    """Return the variables by which a process is found again."""
    return {groups.MARK: marks.name, groups.HOME_MARK: marks.home}


class Launch:
    """One start of a script, until it has become what it was told to."""

    def __init__(
        self,
        order: orders.Order,
        namespaces: Mapping[str, int],
        marks: ending.Marks,
        log: Path,
    ) -> None:
        """Take what it is told, what it enters, and how what comes of it is found again."""
        self._order = order
        self._namespaces = namespaces
        self._marks = marks
        self._log = log

    async def run(self, *, before: Callable[[int], None] | None = None) -> int:
        """Return the pid of the program, a child of ours, its session's and group's leader.

        Args:
            before: called with the script's pid while it waits for its order.

        Raises:
            errors.PermanentError: it could not; nothing of it is left.
        """
        ours, theirs = socket.socketpair()
        with ours:
            ours.setblocking(False)
            pids: list[int] = []
            try:
                with theirs:
                    pids.append(self._spawn(theirs))
                if before is not None:
                    before(pids[0])
                async with asyncio.timeout(LAUNCH_S_MAX):
                    return await self._converse(ours, pids)
            except BaseException as error:
                await asyncio.shield(_end(pids))
                if isinstance(error, TimeoutError | OSError):
                    raise errors.PermanentError(f"it did not start: {error}") from error
                raise

    def _spawn(self, theirs: socket.socket) -> int:
        kinds = [kind for kind in entering.KINDS if kind in self._namespaces]
        first = spawning.FIRST_DESCRIPTOR + 1
        given = [f"{kind}={first + at}" for at, kind in enumerate(kinds)]
        passed = [("channel", theirs.fileno())]
        passed += [(kind, self._namespaces[kind]) for kind in kinds]
        return spawning.spawn(
            spawning.Program(
                (*script("entering", takes_arguments=True), *given),
                marks_of(self._marks),
                directory=None,
                log=self._log,
                sockets=tuple(passed),
            )
        )

    async def _converse(self, ours: socket.socket, pids: list[int]) -> int:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(ours, json.dumps(self._order).encode() + b"\n")
        heard, is_starting = b"", False
        while part := await loop.sock_recv(ours, 1 << 16):
            *lines, heard = (heard + part).split(b"\n")
            for line in lines:
                answer: orders.Answer = json.loads(line)
                if "error" in answer:
                    raise errors.PermanentError(answer["error"])
                if "pid" in answer:
                    groups.hold(answer["pid"])
                    pids.append(answer["pid"])
                    await loop.sock_sendall(ours, b"go\n")
                is_starting = is_starting or "starting" in answer
        if not is_starting:
            raise errors.PermanentError("it was ended while it started")
        if len(pids) > 1:
            await probing.exit_code(pids[0])
            groups.release(pids[0])
        return pids[-1]


async def _end(pids: Sequence[int]) -> None:
    """Kill scripts that have started nothing yet."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        await probing.exit_code(pid)
        groups.release(pid)
