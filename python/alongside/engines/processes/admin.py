"""Talk to a data-plane process through its admin socket."""

from __future__ import annotations

import contextlib
import json
import ssl
from typing import TYPE_CHECKING

import httpx2

from alongside.base import errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

TIMEOUT_S = 5.0
ANSWER_BYTES_MAX = 8 * 2**20
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Given to the client only so that it does not load certificates for a UNIX socket."""


class Admin:
    """The admin door of one data-plane process; it need not be there yet."""

    def __init__(self, path: Path, *, timeout_s: float = TIMEOUT_S) -> None:
        """Take the path of its UNIX socket."""
        self._path = path
        self._timeout_s = timeout_s

    async def put_document(self, document: bytes) -> None:
        """Put a document in force; returns when it is.

        Raises:
            errors.TemporaryError: the process does not answer.
            errors.PeerError: it refuses the document; its reasons are in the message.
        """
        status, body = await self._ask("PUT", "/document", content=document)
        if status != 200:
            raise _refused("the document", status, body)

    async def snapshot(self) -> Mapping[str, object]:
        """Return the document in force."""
        return await self._get_object("/snapshot", ())

    async def explain(self, parameters: Sequence[tuple[str, str]]) -> Mapping[str, object]:
        """Return where a request goes and why."""
        return await self._get_object("/explain", parameters)

    async def purge(self, cache: str | None, url: str) -> int:
        """Remove a URL's answers; return how many there were."""
        content = json.dumps({"cache": cache, "url": url}).encode()
        status, body = await self._ask("POST", "/purge", content=content)
        if status != 200:
            raise _refused("to purge", status, body)
        purged = _object(body).get("purged")
        return purged if isinstance(purged, int) else 0

    async def serve(self) -> None:
        """Let in who connects, after standing by; nothing changes where it serves already."""
        status, body = await self._ask("POST", "/serve")
        if status != 200:
            raise _refused("to serve", status, body)

    async def metrics(self) -> str:
        """Return its metrics in Prometheus' text format."""
        status, body = await self._ask("GET", "/metrics")
        if status != 200:
            raise _refused("its metrics", status, body)
        return body.decode(errors="replace")

    async def _get_object(
        self, path: str, parameters: Sequence[tuple[str, str]]
    ) -> Mapping[str, object]:
        status, body = await self._ask("GET", path, parameters=parameters)
        if status != 200:
            raise _refused(path, status, body)
        return _object(body)

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        parameters: Sequence[tuple[str, str]] = (),
    ) -> tuple[int, bytes]:
        transport = httpx2.AsyncHTTPTransport(uds=str(self._path), verify=_NO_TLS)
        headers = {"content-type": "application/json"} if content is not None else {}
        try:
            async with httpx2.AsyncClient(
                transport=transport,
                base_url="http://admin",
                timeout=self._timeout_s,
                trust_env=False,
            ) as client:
                answer = await client.request(
                    method, path, content=content, params=list(parameters), headers=headers
                )
                return answer.status_code, answer.content[:ANSWER_BYTES_MAX]
        except (httpx2.HTTPError, OSError) as error:
            raise errors.TemporaryError(
                f"{self._path.name} does not answer: {error}", retry_after_s=0.2
            ) from error


def _object(body: bytes) -> Mapping[str, object]:
    try:
        value = json.loads(body)
    except ValueError as error:
        raise errors.PeerError("an admin answer is no JSON", side="upstream", retry=True) from error
    return value if isinstance(value, dict) else {"answer": value}


def _refused(what: str, status: int, body: bytes) -> errors.PeerError:
    text = body.decode(errors="replace").strip()
    with contextlib.suppress(ValueError):
        told = json.loads(text)
        if isinstance(told, dict) and isinstance(told.get("error"), str):
            text = told["error"]
    return errors.PeerError(
        f"the data plane refuses {what}: {status} {text[:1000]}", side="upstream", retry=False
    )
