"""Start a supervisor that stays, before its order is known, and hand it that.

A supervisor takes longer to load than anything else of a small `up`: begun first, it does so while
the files are read.
"""

from __future__ import annotations

import contextlib
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
from alongside.server import client, leftovers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from alongside.server import orders

ANSWER_WAIT_S = 60.0
"""It may have to end first what a dead one left."""
READ_BYTES = 1 << 16
LOG_LINES = 5
BUSY_RETRY_S = 0.05


class Coming:
    """A supervisor that has no order yet; leaving the block ends it if it got none."""

    def __init__(self, project: str, variables: environment.Environment) -> None:
        """Take whose supervisor it is to be, and its environment; nothing is started yet."""
        self._project = project
        self._variables = variables
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
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
                env=dict(self._variables),
                cwd="/",
                start_new_session=True,
            )
        return self._process

    def take(self, order: orders.Order, log: Path) -> Mapping[str, object]:
        """Give it the order and return what it makes of that; from then on it stays.

        Args:
            order: with the data plane's program.
            log: where it writes from then on; the folder is there.

        Raises:
            leftovers.HasSupervisorError: another process has the project.
            errors.AlongsideError: the order is refused, or the supervisor does not start.
        """
        process, self._process = self.begin(), None
        with contextlib.suppress(BrokenPipeError), process.stdin or io.BytesIO() as line:
            line.write(json.dumps(order.to_json()).encode())
        value = _answer(process, log)
        if "changes" in value:
            process.returncode = 0  # it stays; keep Popen from warning that it was left
            return value
        process.wait()
        if value.get("is_busy"):
            raise leftovers.HasSupervisorError(str(value["problems"]), retry_after_s=BUSY_RETRY_S)
        raise client.refusal(value, "the supervisor gives no reason")


def _answer(process: subprocess.Popen[bytes], log: Path) -> Mapping[str, object]:
    content = _read(process, deadline_s=time.monotonic() + ANSWER_WAIT_S)
    try:
        return cast("Mapping[str, object]", json.loads(content))
    except ValueError:
        end = b""
        with contextlib.suppress(FileNotFoundError):  # it writes there only when it has its order
            end, _ = logs.read(log, None, lines=LOG_LINES)
        raise errors.PermanentError(
            f"the supervisor does not start; what it said is above, or at the end of {log}:\n"
            + end.decode(errors="replace").rstrip()
        ) from None


def _read(process: subprocess.Popen[bytes], *, deadline_s: float) -> bytes:
    """Return all that a process writes before it closes its stdout."""
    content = b""
    with process.stdout or io.BytesIO() as line:
        while select.select([line], [], [], max(0.0, deadline_s - time.monotonic()))[0]:
            part = os.read(line.fileno(), READ_BYTES)
            if not part:
                break
            content += part
    return content
