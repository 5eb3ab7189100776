"""Bring images to and from a Docker engine on this machine, by its API on a UNIX socket."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

from alongside.base import errors

if TYPE_CHECKING:
    from alongside.base import environment

VARIABLE = "DOCKER_HOST"
SOCKET = "/var/run/docker.sock"
_SCHEME = "unix://"
_TIMEOUT_S = 300.0
_CHUNK_BYTES = 1024 * 1024
_ANSWER_BYTES_MAX = 1024 * 1024
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def socket_of(variables: environment.Environment) -> Path:
    """Return where the engine listens.

    Raises:
        errors.UsageError: `DOCKER_HOST` names something else than a UNIX socket.
    """
    named = variables.get(VARIABLE) or f"{_SCHEME}{SOCKET}"
    if not named.startswith(f"{_SCHEME}/"):
        raise errors.UsageError(
            f'{VARIABLE}: "{named}" is no UNIX socket; write unix:///PATH, or unset it'
        )
    return Path(named.removeprefix(_SCHEME))


def load(socket: Path, archive: Path) -> None:
    """Load an image's archive into the engine.

    Raises:
        errors.AlongsideError: the engine does not answer, or refuses it.
    """
    with _client(socket) as client, archive.open("rb") as stream:
        pieces = iter(lambda: stream.read(_CHUNK_BYTES), b"")
        try:
            answer = client.post("/images/load", content=pieces, params={"quiet": "1"})
        except httpx2.HTTPError as error:
            raise _silent(socket, error) from error
        told = _told(answer.text)
    if answer.status_code != 200 or told:
        raise errors.PermanentError(f"the engine refuses {archive}: {told or answer.status_code}")


def save(socket: Path, name: str, path: Path) -> None:
    """Write an image of the engine as an archive.

    Raises:
        errors.UsageError: it has no image of that name.
        errors.AlongsideError: the engine does not answer.
    """
    with _client(socket) as client:
        try:
            with client.stream("GET", f"/images/{name}/get") as answer:
                if answer.status_code != 200:
                    raise errors.UsageError(
                        f'--base: the engine has no image "{name}"; pull it first, or name a file'
                    )
                with path.open("wb") as stream:
                    for piece in answer.iter_bytes(_CHUNK_BYTES):
                        stream.write(piece)
        except httpx2.HTTPError as error:
            raise _silent(socket, error) from error


def _client(socket: Path) -> httpx2.Client:
    transport = httpx2.HTTPTransport(uds=str(socket), verify=_NO_TLS)
    return httpx2.Client(base_url="http://docker", transport=transport, timeout=_TIMEOUT_S)


def _silent(socket: Path, error: Exception) -> errors.TemporaryError:
    return errors.TemporaryError(
        f"no Docker engine answers at {socket}: {error}; start one, or name another by {VARIABLE}",
        retry_after_s=1.0,
    )


def _told(text: str) -> str:
    """Return the error in a stream of JSON lines, empty where there is none."""
    for line in text[:_ANSWER_BYTES_MAX].splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and said.get("error"):
            return str(said["error"])
    return ""
