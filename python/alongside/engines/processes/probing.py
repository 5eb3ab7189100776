"""Look whether a process can be used: by HTTP, a connection, a command, its door or protocol."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.engines.processes import groups, spawning

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from alongside.base import clock
    from alongside.plan import shape

FIRST_PERIOD_S = 0.05
"""Until the first success probes come this soon, then twice as late each time up to the period."""
STATUS_LINE_BYTES_MAX = 4096
_QUESTIONS: Mapping[str, tuple[bytes, bytes]] = {
    "memcache": (b"version\r\n", b"VERSION "),
    "redis": (b"PING\r\n", b"+PONG"),
}
"""What a server is asked, and how the answer of one that can be used begins."""


async def is_good(probe: shape.Probe, program: spawning.Program, door: Path) -> bool:
    """Return the result of one look; a look that takes longer than its limit has failed.

    Args:
        probe: how to look.
        program: the process's own, for the folder and environment of a command.
        door: the process's admin socket, or a server's own.
    """
    try:
        async with asyncio.timeout(probe.timeout_s):
            match probe.way:
                case "http":
                    return await _http(probe)
                case "tcp":
                    return await _tcp(probe)
                case "exec":
                    return await _exec(probe, program)
                case "admin":
                    return await admin(door)
                case "memcache" | "redis":
                    return await _server(door, *_QUESTIONS[probe.way])
    except (TimeoutError, OSError, ValueError, errors.AlongsideError):
        return False


async def watch(
    probe: shape.Probe,
    look: Callable[[], asyncio.Future[bool]],
    clock_: clock.Clock,
    report: Callable[[bool], None],
) -> None:
    """Look again and again, reporting True and False as the probe's thresholds say; never ends."""
    await clock_.sleep(probe.delay_s)
    period_s, good, bad, was_good = FIRST_PERIOD_S, 0, 0, False
    while True:
        is_ok = await look()
        good, bad = (good + 1, 0) if is_ok else (0, bad + 1)
        was_good = was_good or is_ok
        if good == probe.successes:
            report(True)
        elif bad == probe.failures:
            report(False)
        await clock_.sleep(probe.period_s if was_good else min(period_s, probe.period_s))
        period_s = min(period_s * 2, probe.period_s)


async def _http(probe: shape.Probe) -> bool:
    host, _, port = probe.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=STATUS_LINE_BYTES_MAX)
    status = await _status(reader, writer, probe.address, probe.path)
    return 200 <= status < 400


async def admin(door: Path) -> bool:
    """Return whether a data plane says at its admin socket that it is ready.

    It is asked without a client library, which would cost ten times as much, each period, at rest.

    Raises:
        OSError: nobody answers there.
    """
    reader, writer = await asyncio.open_unix_connection(door, limit=STATUS_LINE_BYTES_MAX)
    return await _status(reader, writer, "admin", "/readyz") == 200


async def _server(socket: Path, question: bytes, answer: bytes) -> bool:
    reader, writer = await asyncio.open_unix_connection(socket, limit=STATUS_LINE_BYTES_MAX)
    try:
        writer.write(question)
        return (await reader.readline()).startswith(answer)
    finally:
        writer.close()


async def _status(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, path: str
) -> int:
    """Return the status of a GET, 0 where the answer is no HTTP; the connection is closed."""
    try:
        head = (
            f"GET {path} HTTP/1.1\r\nhost: {host}\r\n"
            "user-agent: alongside-probe\r\naccept: */*\r\nconnection: close\r\n\r\n"
        )
        writer.write(head.encode())
        await writer.drain()
        words = (await reader.readline()).split(None, 2)
        is_http = len(words) >= 2 and words[0].startswith(b"HTTP/1.")
        return int(words[1]) if is_http else 0
    finally:
        writer.close()


async def _tcp(probe: shape.Probe) -> bool:
    host, _, port = probe.address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.close()
    return True


async def _exec(probe: shape.Probe, program: spawning.Program) -> bool:
    log = Path(os.devnull)
    pid = spawning.spawn(replace(program, argv=probe.command, log=log, sockets=()))
    try:
        return await exit_code(pid) == 0
    finally:
        groups.send_group(pid, signal.SIGKILL)
        groups.reap(pid)
        groups.release(pid)


async def exit_code(pid: int) -> int:
    """Return the exit code of a child that is its group's leader, or minus its signal."""
    await ended(pid)
    code = groups.reap(pid)
    return code if code is not None else -1


async def ended(pid: int) -> None:
    """Return when a child of ours has ended; it is left to be reaped."""
    descriptor = os.pidfd_open(pid)
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    try:
        loop.add_reader(descriptor, done.set)
        await done.wait()
    finally:
        with contextlib.suppress(OSError):
            loop.remove_reader(descriptor)
        os.close(descriptor)
