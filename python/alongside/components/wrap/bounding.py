"""Do a piece of work in a child process that may use only so much time and memory."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
from typing import TYPE_CHECKING, NoReturn, TypedDict, cast

from alongside.base import errors

if TYPE_CHECKING:
    from collections.abc import Callable

MEMORY_BYTES_MAX = 512 * 1024 * 1024
"""What the work may take beyond what this process has already."""
ANSWER_BYTES_MAX = 64 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_PR_SET_PDEATHSIG = 1
_TOO_LARGE = f"took more than {MEMORY_BYTES_MAX // 2**20}Mi of memory; make the templates smaller"
_TOO_LONG = "took too long; see whether a loop of a template ends"
_FAULT_LENGTH_MAX = 300


class _Answer(TypedDict):
    """What comes out of the child: what the work returned, or else why it did not."""

    value: object
    fault: str


def run(work: Callable[[], object], *, timeout_s: float) -> object:
    """Return what some work returns, as JSON data carries it.

    Args:
        work: runs in a fork of this process; it must leave nothing behind but its answer.
        timeout_s: it is killed after that.

    Raises:
        errors.UsageError: it took too long, too much memory, or failed; with what it said.
    """
    parent = os.getpid()
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _answer(work, writer, timeout_s, parent)
    os.close(writer)
    is_over = False
    try:
        content = _read(reader, time.monotonic() + timeout_s)
        is_over = content is not None and len(content) <= ANSWER_BYTES_MAX
    finally:
        os.close(reader)
        if not is_over:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if content is None:
        raise errors.UsageError(_TOO_LONG)
    return _value(content, os.waitstatus_to_exitcode(status))


def _value(content: bytes, code: int) -> object:
    """Return the answer of a child that has ended, or raise why there is none."""
    if code == -signal.SIGXCPU:
        raise errors.UsageError(_TOO_LONG)
    if code == -signal.SIGKILL or len(content) > ANSWER_BYTES_MAX:
        raise errors.UsageError(_TOO_LARGE)
    if code != 0:
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else "ended with no answer"
        raise errors.UsageError(f"{how}; make the templates simpler")
    answer = cast("_Answer", json.loads(content))
    if answer["fault"]:
        raise errors.UsageError(answer["fault"])
    return answer["value"]


def _answer(work: Callable[[], object], writer: int, timeout_s: float, parent: int) -> NoReturn:
    """Do the work and end this process, whatever happens."""
    code = 1
    try:
        _end_with(parent)
        content = _done(work, timeout_s)
        with open(writer, "wb") as stream:
            stream.write(content)
        code = 0
    finally:
        os._exit(code)


def _done(work: Callable[[], object], timeout_s: float) -> bytes:
    """Do the work within its limits; return the answer."""
    try:
        _limit(resource.RLIMIT_AS, _size_bytes() + MEMORY_BYTES_MAX)
        _limit(resource.RLIMIT_CPU, int(timeout_s) + 1)
        return json.dumps(_Answer(value=work(), fault="")).encode()
    except MemoryError:
        fault = _TOO_LARGE
    except Exception as error:  # another process has to say it, whatever it is
        told = " ".join(f"{type(error).__name__}: {error}".split())[:_FAULT_LENGTH_MAX]
        fault = f"failed with {told}; correct it"
    return json.dumps(_Answer(value=None, fault=fault)).encode()


def _end_with(parent: int) -> None:
    """Let the system kill this process when its parent ends, whatever ends that."""
    # Late, because nothing else needs it.
    import ctypes  # noqa: PLC0415

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


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
