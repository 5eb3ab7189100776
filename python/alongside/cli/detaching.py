"""Start a supervisor that stays, before its order is known, and hand it that.

A supervisor takes longer to load than anything else of a small `up`: begun first, it does so while
the files are read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self, cast

from alongside.base import environment, errors
from alongside.engines.processes import logs, services
from alongside.server import leftovers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from alongside.server import orders

ANSWER_WAIT_S = 120.0
"""It may have large files to read, and to end first what a dead supervisor left."""
END_WAIT_S = 10.0
"""For one that closed its line without an answer."""
READ_BYTES = 1 << 16
LOG_LINES = 5
BUSY_RETRY_S = 0.05


class Detached:
    """A supervisor that has no order yet; leaving the block ends it if it got none."""

    def __init__(self, project: str, variables: environment.Environment) -> None:
        """Take whose supervisor it is to be, and its environment; nothing is started yet."""
        self._project = project
        self._variables = variables
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.dismiss()

    def dismiss(self) -> None:
        """End it, if it was begun and got no order."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()  # it does not touch anything before it has an order
        process.communicate()

    def begin(self) -> subprocess.Popen[bytes]:
        """Start it, in a session of its own, if that is not done yet."""
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, *services.SUPERVISOR, self._project],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # Where ours is closed, its first file would take its place.
                stderr=subprocess.DEVNULL if sys.stderr is None else None,
                env=dict(self._variables),
                cwd="/",
                start_new_session=True,
            )
        return self._process

    def give(self, order: orders.Order, log: Path) -> Ordered:
        """Give it the order, with the data plane's program; from then on it stays.

        Args:
            order: what is to run.
            log: where it writes from then on.
        """
        process, log_bytes = self.begin(), _size(log)
        with contextlib.suppress(BrokenPipeError), process.stdin or io.BytesIO() as line:
            line.write(json.dumps(order.to_json()).encode())
        self._process = None
        return Ordered(process, log, log_bytes)


@dataclasses.dataclass(frozen=True, slots=True)
class Ordered:
    """A supervisor that has its order, and is to answer."""

    process: subprocess.Popen[bytes]
    log: Path
    log_bytes: int
    """How long its log was before."""

    def answer(self) -> Mapping[str, object]:
        """Return what it makes of its order.

        Raises:
            leftovers.HasSupervisorError: another process has the project.
            errors.AlongsideError: the order is refused, or the supervisor does not start.
        """
        process = self.process
        content = _read(process, deadline_s=time.monotonic() + ANSWER_WAIT_S)
        if content is None:
            raise errors.PermanentError(
                f"the supervisor (pid {process.pid}) has not answered for {ANSWER_WAIT_S:.0f} s "
                f"and may still do what it was asked: see alongside status{self._told()}"
            )
        try:
            value = cast("Mapping[str, object]", json.loads(content))
        except ValueError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_WAIT_S)
            told = self._told()
            raise errors.PermanentError(f"the supervisor does not start{told}") from None
        if "changes" in value:
            process.returncode = 0  # it stays; keep Popen from warning that it was left
            return value
        process.wait()
        if value.get("is_busy"):
            raise leftovers.HasSupervisorError(str(value["problems"]), retry_after_s=BUSY_RETRY_S)
        # Late, because a supervisor is begun before we load what speaks HTTP.
        from alongside.server import client  # noqa: PLC0415

        raise client.refusal(value, "the supervisor gives no reason")

    def _told(self) -> str:
        """Return the end of its log, if it has written there."""
        if _size(self.log) == self.log_bytes:
            return ""
        end, _ = logs.read(self.log, None, lines=LOG_LINES)
        return f"; the end of {self.log}:\n{end.decode(errors='replace').rstrip()}"


def _size(log: Path) -> int:
    with contextlib.suppress(OSError):  # the supervisor says what is wrong with it
        return log.stat().st_size
    return 0


def _read(process: subprocess.Popen[bytes], *, deadline_s: float) -> bytes | None:
    """Return all that a process writes before it closes its stdout; None if that is too late."""
    content = b""
    with process.stdout or io.BytesIO() as line:
        while select.select([line], [], [], max(0.0, deadline_s - time.monotonic()))[0]:
            part = os.read(line.fileno(), READ_BYTES)
            if not part:
                return content
            content += part
    return None
