"""Connect to an engine's socket on an event loop, for the HTTP client.

The client's own way (anyio's streams of UNIX sockets) tells the loop of a fault when an answer
arrives in the very moment in which somebody gives its question up: its reader sets the result of
a future that was cancelled. asyncio's streams hold what arrives until somebody reads it.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import httpcore2

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator


class Stream(httpcore2.AsyncNetworkStream):
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take both ends of what was connected."""
        self._reader = reader
        self._writer = writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """Return what has come, nothing at the end."""
        with _mapped(httpcore2.ReadTimeout, httpcore2.ReadError):
            async with asyncio.timeout(timeout):
                return await self._reader.read(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Send all of it."""
        with _mapped(httpcore2.WriteTimeout, httpcore2.WriteError):
            self._writer.write(buffer)
            async with asyncio.timeout(timeout):
                await self._writer.drain()

    async def aclose(self) -> None:
        """Close it."""
        self._writer.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore2.AsyncNetworkStream:
        """Refuse: an engine's socket is of this machine."""
        raise httpcore2.ConnectError("no TLS on a UNIX socket")

    def get_extra_info(self, info: str) -> object:
        """Return whether the engine has closed it, which is all that is asked of an idle one."""
        return self._reader.at_eof() if info == "is_readable" else None


class Backend(httpcore2.AsyncNetworkBackend):
    """Connections to UNIX sockets."""

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[object] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect."""
        with _mapped(httpcore2.ConnectTimeout, httpcore2.ConnectError):
            async with asyncio.timeout(timeout):
                return Stream(*await asyncio.open_unix_connection(path))

    async def sleep(self, seconds: float) -> None:
        """Wait, as retries do, of which there are none."""
        await asyncio.sleep(seconds)  # noqa: TID251 - the client's own pause


@contextlib.contextmanager
def _mapped(late: type[Exception], failed: type[Exception]) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except OSError as error:
        raise failed(str(error)) from error
