"""Ask an engine on an event loop: many questions at one time, and streams that stay open."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from typing import TYPE_CHECKING, Self

import httpcore2
import httpx2

from alongside.dockerd import answers, client, streams

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

TIMEOUT_S = 120.0
"""For an answer: starting fifty containers at once takes a small machine a while."""
TURNS = 2 * (os.cpu_count() or 1)
"""What is heavy for an engine is asked of it this often at one time.

Fifty starts at once take it a fifth more of the processors than four at a time, as their rules of
the firewall wait for each other; and it may lose count of a network's members.
"""
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
KEPT_S_MAX = 5.0
"""How long a connection is kept for the next question."""


class Engine:
    """One engine, by its socket; all methods belong to one event loop."""

    def __init__(self, socket: Path) -> None:
        """Take the engine's socket; nothing is asked yet."""
        self.socket = socket
        self.turns = asyncio.Semaphore(TURNS)
        """Held by who asks for what is heavy: a start or a removal of a container."""
        self._client = _client(socket)
        # Each container has a connection that waits for its end and one for its output. They are
        # apart, since for each question a pool looks at all of its connections.
        self._waiting = _client(socket)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
        await self._waiting.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        params: Mapping[str, str] | None = None,
        timeout_s: float | None = TIMEOUT_S,
    ) -> answers.Answer:
        """Return what the engine answers.

        Args:
            method: of HTTP.
            path: without a version: the engine then speaks its own.
            body: sent as JSON; None for none.
            params: of the query.
            timeout_s: how long it may take; None for ever, as waiting for an end does.

        Raises:
            answers.SilentError: it does not answer.
            answers.RefusedError: it says too much.
        """
        asked = self._client if timeout_s is not None else self._waiting
        try:
            async with asked.stream(
                method, path, json=body, params=params, timeout=timeout_s
            ) as answer:
                return await _whole(answer)
        except httpx2.HTTPError as error:
            raise client.silent(self.socket, error) from error

    async def send(
        self, path: str, content: bytes, *, params: Mapping[str, str] | None = None
    ) -> answers.Answer:
        """Post an archive, and return what the engine answers.

        Raises:
            answers.SilentError: it does not answer.
            answers.RefusedError: it says too much.
        """
        headers = {"content-type": "application/x-tar"}
        try:
            async with self._client.stream(
                "POST", path, content=content, params=params, headers=headers
            ) as answer:
                return await _whole(answer)
        except httpx2.HTTPError as error:
            raise client.silent(self.socket, error) from error

    @contextlib.asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        params: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Stream]:
        """Yield an answer whose body is read as it comes, for as long as it comes.

        Raises:
            answers.SilentError: the engine does not answer, or stops in the middle.
        """
        timeout = httpx2.Timeout(TIMEOUT_S, read=None)
        try:
            async with self._waiting.stream(
                method, path, json=body, params=params, timeout=timeout
            ) as answer:
                yield Stream(answer)
        except httpx2.HTTPError as error:
            raise client.silent(self.socket, error) from error


class Stream:
    """The answer to a question whose body is read as it comes."""

    def __init__(self, answer: httpx2.Response) -> None:
        """Take the answer, of which only the head has been read."""
        self._answer = answer

    @property
    def status(self) -> int:
        """The status."""
        return int(self._answer.status_code)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes."""
        async for piece in self._answer.aiter_raw():
            yield piece

    async def whole(self) -> answers.Answer:
        """Return all of it, for an answer that says no."""
        return await _whole(self._answer)


def _client(socket: Path) -> httpx2.AsyncClient:
    """Return a client with any number of connections; few are kept for the next question."""
    transport = httpx2.AsyncHTTPTransport(uds=str(socket), verify=_NO_TLS)
    transport._pool = httpcore2.AsyncConnectionPool(
        uds=str(socket),
        max_connections=None,
        max_keepalive_connections=8,
        keepalive_expiry=KEPT_S_MAX,
        network_backend=streams.Backend(),
    )
    return httpx2.AsyncClient(
        base_url=client.BASE, transport=transport, timeout=TIMEOUT_S, trust_env=False
    )


async def _whole(answer: httpx2.Response) -> answers.Answer:
    body = answers.Body(answer.status_code)
    async for piece in answer.aiter_bytes():
        body.take(piece)
    return body.answer()
