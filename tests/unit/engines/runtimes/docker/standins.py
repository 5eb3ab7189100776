"""An engine that answers a few questions, for tests of who asks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from alongside.base import clock, log
from alongside.dockerd import engine
from alongside.engines.runtimes.docker import project, setting

Answers = Callable[[str, str], tuple[int, object]]
"""What it answers to a method and a path."""


@contextlib.asynccontextmanager
async def serving(
    answers: Answers, bodies: list[object] | None = None
) -> AsyncIterator[engine.Engine]:
    """Yield an engine that answers so; what it is sent goes into `bodies`."""
    open_: set[asyncio.Task[None] | None] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_.add(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                sizes = [one for one in lines if one.lower().startswith("content-length:")]
                sent = await reader.readexactly(int(sizes[0].split(":")[1]) if sizes else 0)
                if sent and bodies is not None:
                    bodies.append(json.loads(sent))
                method, path, _ = lines[0].split()
                status, value = answers(method, path)
                body = b"" if value is None else json.dumps(value).encode()
                said = f"HTTP/1.1 {status} So\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(said.encode() + body)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    with tempfile.TemporaryDirectory(prefix="dc") as text:
        server = await asyncio.start_unix_server(answer, Path(text) / "socket")
        async with server:
            async with engine.Engine(Path(text) / "socket") as asked:
                yield asked
            await asyncio.wait({one for one in open_ if one is not None})


def project_in(folder: Path, asked: engine.Engine) -> project.Project:
    """Return a project of an engine."""
    time = clock.SystemClock()
    return project.Project(
        setting=setting.Setting("shop", folder, folder, folder / "none", asked.socket),
        clock=time,
        log=log.Log(time),
        asked=asked,
        image="sandbox:1",
        network="shop",
        is_reached=True,
        facts=(),
    )
