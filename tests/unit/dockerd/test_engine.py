"""A question to an engine may be given up at any moment, and nothing is said of it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from alongside.dockerd import answers, engine

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
WAIT_S = 10.0


@contextlib.contextmanager
def listening() -> Iterator[tuple[Path, socket.socket]]:
    """Have a socket where a test is the engine itself."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as bound:
        path = Path(folder, "engine.sock")
        bound.bind(str(path))
        bound.listen()
        bound.setblocking(False)
        yield path, bound


async def asked(bound: socket.socket) -> socket.socket:
    """Return the connection of a question that has come."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(WAIT_S):
        connection, _ = await loop.sock_accept(bound)
        await loop.sock_recv(connection, 2**16)
    return connection


def test_an_answer_in_the_moment_in_which_nobody_waits_any_more_is_no_fault() -> None:
    faults: list[object] = []

    async def body(path: Path, bound: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: faults.append(context))
        async with engine.Engine(path) as own:
            asking = asyncio.create_task(own.ask("GET", "/info"))
            with await asked(bound) as connection:
                await asyncio.sleep(0)
                connection.send(ANSWER)
                # Before the loop looks at its sockets: it finds the answer after this.
                loop.call_soon(asking.cancel)
                with pytest.raises(asyncio.CancelledError):
                    await asking
            asking = asyncio.create_task(own.ask("GET", "/info"))
            with await asked(bound) as connection:
                connection.send(ANSWER)
                assert (await asking).value() == {}

    with listening() as (path, bound):
        asyncio.run(body(path, bound))
    assert faults == []


def test_an_engine_that_closes_or_says_nothing_is_silent() -> None:
    async def body(path: Path, bound: socket.socket) -> None:
        async with engine.Engine(path) as own:
            asking = asyncio.create_task(own.ask("GET", "/info"))
            (await asked(bound)).close()
            with pytest.raises(answers.SilentError):
                await asking
            with pytest.raises(answers.SilentError):
                await own.ask("GET", "/info", timeout_s=0.05)
        async with engine.Engine(path.with_name("none")) as own:
            with pytest.raises(answers.SilentError, match="DOCKER_HOST"):
                await own.ask("GET", "/info")

    with listening() as (path, bound):
        asyncio.run(body(path, bound))
