"""What is asked of an engine, and how much at one time."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from alongside.dockerd import engine
from alongside.engines.runtimes.docker import containers

COUNT = 5 * engine.TURNS
ENOUGH_S = 0.02


class Standin:
    """Answers every question after a moment, and counts how many were open at one time."""

    def __init__(self) -> None:
        self.open = 0
        self.open_max = 0
        self.answered = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.open += 1
                self.open_max = max(self.open_max, self.open)
                await asyncio.sleep(ENOUGH_S)  # so that others come meanwhile
                self.open -= 1
                self.answered += 1
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@pytest.mark.parametrize("heavy", [containers.start, containers.remove])
def test_asks_for_few_heavy_things_at_one_time(
    heavy: Callable[[engine.Engine, str], Awaitable[None]],
) -> None:
    async def main(socket: Path) -> Standin:
        standin = Standin()
        server = await asyncio.start_unix_server(standin.answer, socket)
        async with server, engine.Engine(socket) as asked:
            await asyncio.gather(*(heavy(asked, f"c{at}") for at in range(COUNT)))
        return standin

    with tempfile.TemporaryDirectory(prefix="dc") as text:
        seen = asyncio.run(main(Path(text) / "socket"))
    assert seen.answered == COUNT
    assert 1 < seen.open_max <= engine.TURNS
