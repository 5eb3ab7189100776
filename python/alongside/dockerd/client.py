"""Ask an engine while the caller waits: for commands that end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from alongside.dockerd import address, answers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import httpx2

BASE = "http://engine"
"""What the request line is relative to; the socket is what is connected to."""
TIMEOUT_S = 10.0
CHUNK_BYTES = 2**20


class Client:
    """Questions to one engine, one after the other; a context that closes the connection."""

    def __init__(self, socket: Path, *, timeout_s: float = TIMEOUT_S) -> None:
        """Take the engine's socket, and how long it may be silent."""
        # Late: it takes as long to load as all the rest, and most commands need no engine.
        import ssl  # noqa: PLC0415

        import httpx2  # noqa: PLC0415

        self._socket = socket
        self._failure = httpx2.HTTPError
        no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        transport = httpx2.HTTPTransport(uds=str(socket), verify=no_tls)
        self._client: httpx2.Client = httpx2.Client(
            base_url=BASE, transport=transport, timeout=timeout_s, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, *, params: Mapping[str, str] | None = None) -> answers.Answer:
        """Return what the engine answers.

        Raises:
            answers.SilentError: it does not.
            answers.RefusedError: it says too much.
        """
        return self.ask("GET", path, params=params)

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        params: Mapping[str, str] | None = None,
    ) -> answers.Answer:
        """Send JSON, or nothing, and return what the engine answers.

        Raises:
            answers.SilentError: it does not.
            answers.RefusedError: it says too much.
        """
        try:
            with self._client.stream(method, path, json=body, params=params) as answer:
                return _whole(answer)
        except self._failure as error:
            raise silent(self._socket, error) from error

    def post(
        self, path: str, pieces: Iterator[bytes], *, params: Mapping[str, str] | None = None
    ) -> answers.Answer:
        """Send a body piece by piece, and return what the engine answers.

        Raises:
            answers.SilentError: it does not.
            answers.RefusedError: it says too much.
        """
        try:
            with self._client.stream("POST", path, content=pieces, params=params) as answer:
                return _whole(answer)
        except self._failure as error:
            raise silent(self._socket, error) from error

    def save(self, path: str, target: Path) -> int:
        """Write the body of an answer into a file, if its status is 200; return the status.

        Raises:
            answers.SilentError: the engine does not answer, or stops in the middle.
        """
        try:
            with self._client.stream("GET", path) as answer:
                if answer.status_code == 200:
                    with target.open("wb") as stream:
                        for piece in answer.iter_bytes(CHUNK_BYTES):
                            stream.write(piece)
        except self._failure as error:
            raise silent(self._socket, error) from error
        return int(answer.status_code)


def _whole(answer: httpx2.Response) -> answers.Answer:
    body = answers.Body(answer.status_code)
    for piece in answer.iter_bytes():
        body.take(piece)
    return body.answer()


def silent(socket: Path, error: Exception) -> answers.SilentError:
    """Return the error for an engine that does not answer, or not this user."""
    if remedy := address.refusal(socket):
        return answers.SilentError(
            f"this user may not use the engine at {socket}; {remedy}",
            retry_after_s=answers.RETRY_AFTER_S,
        )
    return answers.SilentError(
        f"no Docker engine answers at {socket}: {str(error) or type(error).__name__}; start one, "
        "or name another by DOCKER_HOST",
        retry_after_s=answers.RETRY_AFTER_S,
    )
