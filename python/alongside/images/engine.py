"""Bring images to and from a Docker engine on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.dockerd import address, answers, client

if TYPE_CHECKING:
    from pathlib import Path

    from alongside.base import environment

_TIMEOUT_S = 300.0
_CHUNK_BYTES = 1024 * 1024


def socket_of(variables: environment.Environment) -> Path:
    """Return where the engine listens.

    Raises:
        errors.UsageError: `DOCKER_HOST` names something else than a UNIX socket.
    """
    path = address.named(variables)
    if path is None:
        raise errors.UsageError(
            f'{address.VARIABLE}: "{variables.get(address.VARIABLE)}" is no UNIX socket; '
            "write unix:///PATH, or unset it"
        )
    return path


def load(socket: Path, archive: Path) -> None:
    """Load an image's archive into the engine.

    Raises:
        errors.AlongsideError: the engine does not answer, or refuses it.
    """
    with client.Client(socket, timeout_s=_TIMEOUT_S) as engine, archive.open("rb") as stream:
        pieces = iter(lambda: stream.read(_CHUNK_BYTES), b"")
        answer = engine.post("/images/load", pieces, params={"quiet": "1"})
    told = answers.told(answer.content)
    if answer.status != 200 or told:
        raise errors.PermanentError(f"the engine refuses {archive}: {told or answer.status}")


def save(socket: Path, name: str, path: Path) -> None:
    """Write an image of the engine as an archive.

    Raises:
        errors.UsageError: it has no image of that name.
        errors.AlongsideError: the engine does not answer.
    """
    with client.Client(socket, timeout_s=_TIMEOUT_S) as engine:
        if engine.save(f"/images/{name}/get", path) != 200:
            raise errors.UsageError(
                f'--base: the engine has no image "{name}"; pull it first, or name a file'
            )
