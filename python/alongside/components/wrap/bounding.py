"""Do a piece of work in a child process that may use only so much time and memory."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
from typing import TYPE_CHECKING

from alongside.base import errors

if TYPE_CHECKING:
    from collections.abc import Callable

MEMORY_BYTES_MAX = 512 * 1024 * 1024
"""What the work may take beyond what this process has already."""
ANSWER_BYTES_MAX = 64 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024


def run(work: Callable[[], object], *, timeout_s: float) -> object:
    """Return what some work returns, as JSON data carries it.

    Args:
        work: runs in a fork of this process; it must leave nothing behind but its answer.
        timeout_s: it is killed after that.

    Raises:
        errors.UsageError: it took too long, too much memory, or ended without an answer.
    """
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _answer(work, writer, timeout_s)
    os.close(writer)
    try:
        content = _read(reader, time.monotonic() + timeout_s)
    finally:
        os.close(reader)
        # A child that has answered or been given up has nothing left to do.
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if content is None:
        raise errors.UsageError("took too long; see whether a loop of a template ends")
    try:
        value: object = json.loads(content)
    except ValueError as error:
        raise errors.UsageError(
            f"took more than {MEMORY_BYTES_MAX // 2**20}Mi of memory; make the templates smaller"
        ) from error
    return value


def _answer(work: Callable[[], object], writer: int, timeout_s: float) -> None:
    """Do the work and end this process, whatever happens."""
    code = 1
    try:
        _limit(resource.RLIMIT_AS, _size_bytes() + MEMORY_BYTES_MAX)
        _limit(resource.RLIMIT_CPU, int(timeout_s) + 1)
        content = json.dumps(work()).encode()
        with open(writer, "wb") as stream:
            stream.write(content)
        code = 0
    finally:
        os._exit(code)


def _limit(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (soft, hard))


def _size_bytes() -> int:
    """Return the address space of this process; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as stream:
            return int(stream.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _read(reader: int, deadline_s: float) -> bytes | None:
    """Return everything up to the end; None where that does not come in time."""
    parts: list[bytes] = []
    length = 0
    while length <= ANSWER_BYTES_MAX:
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline_s - time.monotonic()))
        if not ready:
            return None
        part = os.read(reader, _CHUNK_BYTES)
        if not part:
            break
        parts.append(part)
        length += len(part)
    return b"".join(parts)
