"""A memcached or Redis can be used when it answers by its protocol at its own socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from alongside.engines.processes import probing, spawning
from alongside.plan import shape


async def look(path: Path, way: str, answer: bytes | None) -> tuple[bool, list[bytes]]:
    """Return the result of one look at a server that gives an answer, and what it was asked."""
    asked: list[bytes] = []
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        if answer:
            writer.write(answer)
        elif answer is None:
            await reader.read()  # it hangs until the look has given up
        writer.close()
        await writer.wait_closed()
        over.set()

    probe = shape.Probe("redis" if way == "redis" else "memcache", timeout_s=0.2)
    program = spawning.Program((), {}, None, path)
    async with await asyncio.start_unix_server(serve, path):
        is_good = await probing.is_good(probe, program, path)
        await over.wait()
    return is_good, asked


@pytest.mark.parametrize(
    ("way", "answer", "expected"),
    [
        ("memcache", b"VERSION 1.6.18\r\n", True),
        ("memcache", b"ERROR\r\n", False),
        ("memcache", b"", False),
        ("memcache", None, False),
        ("redis", b"+PONG\r\n", True),
        ("redis", b"-LOADING Redis is loading the dataset in memory\r\n", False),
        ("redis", b"-NOAUTH Authentication required.\r\n", False),
    ],
)
def test_a_server_is_asked_by_its_protocol(
    tmp_path: Path, way: str, answer: bytes | None, expected: bool
) -> None:
    is_good, asked = asyncio.run(look(tmp_path / "s.sock", way, answer))
    assert is_good is expected
    assert asked == [b"version\r\n" if way == "memcache" else b"PING\r\n"]


def test_where_nobody_listens_nothing_can_be_used(tmp_path: Path) -> None:
    probe, program = shape.Probe("memcache"), spawning.Program((), {}, None, tmp_path)
    assert not asyncio.run(probing.is_good(probe, program, tmp_path / "s.sock"))
