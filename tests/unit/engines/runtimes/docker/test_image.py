"""Why an image could not be pulled."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path

import pytest

from alongside.base import clock, errors
from alongside.dockerd import engine
from alongside.engines.runtimes.docker import image

WORD = b'{"status": "Waiting"}\n'


@pytest.mark.parametrize(
    ("whole_s", "silent_s", "why"),
    [(0.2, 60.0, "it was not there within 200ms"), (60.0, 0.2, "its registry says nothing more")],
)
def test_a_pull_that_is_given_up_says_which_time_was_over(
    monkeypatch: pytest.MonkeyPatch, whole_s: float, silent_s: float, why: str
) -> None:
    open_ = list[asyncio.Task[None] | None]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_.append(asyncio.current_task())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while silent_s > whole_s and not writer.is_closing():
                writer.write(b"%x\r\n%s\r\n" % (len(WORD), WORD))
                await writer.drain()
                await asyncio.sleep(0.01)
            await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def main(socket: Path) -> None:
        server = await asyncio.start_unix_server(answer, socket)
        async with server:
            async with engine.Engine(socket) as asked:
                with pytest.raises(errors.PermanentError, match=why):
                    await image.fetch(asked, "far:1", clock.SystemClock(), lambda _: None)
            await asyncio.wait([one for one in open_ if one is not None])

    monkeypatch.setattr(image, "PULL_S_MAX", whole_s)
    monkeypatch.setattr(image, "PULL_SILENT_S_MAX", silent_s)
    with tempfile.TemporaryDirectory(prefix="dc") as text:
        asyncio.run(main(Path(text) / "socket"))
