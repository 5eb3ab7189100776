"""Fake memcacheds that write down what each of them is asked.

In:    how many there are; which of them ends.
Out:   their addresses; every request line with the index of who got it.
Not:   storing anything: every key is a miss, every write is done.
Next:  nutcracker.py puts the live twemproxy before them.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Iterator
from pathlib import Path

DEADLINE_S = 30.0
ANSWERS = {
    b"get": b"END\r\n",
    b"gets": b"END\r\n",
    b"set": b"STORED\r\n",
    b"delete": b"DELETED\r\n",
    b"incr": b"1\r\n",
    b"touch": b"TOUCHED\r\n",
}
Seen = list[tuple[int, bytes]]


class Conversation(asyncio.Protocol):
    """One connection: whole lines in, the answer of each out; data blocks are empty lines."""

    def __init__(self, index: int, seen: Seen, open_: set[asyncio.BaseTransport]) -> None:
        self._index = index
        self._seen = seen
        self._open = open_
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        if self._transport is not None:
            self._open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """Write whole lines down, and answer them at once."""
        assert self._transport is not None
        *lines, self._rest = (self._rest + data).split(b"\r\n")
        asked = [line for line in lines if line]
        self._seen.extend((self._index, line) for line in asked)
        answers = b"".join(ANSWERS[line.split(b" ", 1)[0]] for line in asked)
        self._transport.write(answers)


class Backends:
    """So many fake servers on loopback, the last of them on a UNIX socket."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._seen: Seen = []
        self._servers: list[asyncio.Server] = []
        self._open: list[set[asyncio.BaseTransport]] = []
        self.addresses: list[str] = []

    async def listen(self, count: int, folder: Path) -> None:
        """Open the doors of `count` servers."""
        for index in range(count):
            self._open.append(set())
            talk = functools.partial(Conversation, index, self._seen, self._open[index])
            if index == count - 1:
                path = str(folder / "backend")
                server = await self._loop.create_unix_server(talk, path)
                self.addresses.append(path)
            else:
                server = await self._loop.create_server(talk, "127.0.0.1")
                self.addresses.append(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
            self._servers.append(server)

    def take(self) -> Seen:
        """Return what was seen since the last time, as (index, line), and forget it."""
        return asyncio.run_coroutine_threadsafe(self._take(), self._loop).result(DEADLINE_S)

    async def _take(self) -> Seen:
        taken = self._seen.copy()
        self._seen.clear()
        return taken

    def end(self, index: int) -> None:
        """End a server: its door and its connections are closed, for good."""
        asyncio.run_coroutine_threadsafe(self._end(index), self._loop).result(DEADLINE_S)

    async def _end(self, index: int) -> None:
        self._servers[index].close()
        for transport in list(self._open[index]):
            transport.close()


@contextlib.contextmanager
def running(count: int, folder: Path) -> Iterator[Backends]:
    """Run fake servers in a thread of their own, until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="backends")
    thread.start()
    backends = Backends(loop)
    try:
        asyncio.run_coroutine_threadsafe(backends.listen(count, folder), loop).result(DEADLINE_S)
        yield backends
    finally:
        for index in range(len(backends.addresses)):
            backends.end(index)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(DEADLINE_S)
        loop.close()
