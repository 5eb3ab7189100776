"""Ask the Docker engine of this machine for the configuration of an image."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING

from alongside.base import errors, units
from alongside.dockerd import address, answers, client

if TYPE_CHECKING:
    from pathlib import Path

    from alongside.base import environment

TIMEOUT_S = 10.0


def configuration(name: str, variables: environment.Environment) -> object:
    """Return what the engine says of an image that it has, as JSON data.

    Args:
        name: as `nginx:1.29` or an ID; nothing is pulled.
        variables: `DOCKER_HOST` names the engine's socket, as for Docker's own command.

    Raises:
        errors.UsageError: there is no such image.
        errors.TemporaryError: no engine answers.
        errors.PeerError: its answer makes no sense.
    """
    socket = _socket(variables)
    if not socket.is_socket():
        raise _silent(name, socket)
    quoted = urllib.parse.quote(name, safe="/:@")
    try:
        with client.Client(socket, timeout_s=TIMEOUT_S) as asked:
            answer = asked.get(f"/images/{quoted}/json")
    except answers.SilentError as error:
        raise _silent(name, socket) from error
    if answer.status == 404:
        raise errors.UsageError(
            f"{units.shown(name)}: is no file, and the Docker engine has no such image; "
            f"`docker pull` it first"
        )
    return _read(name, answer)


def _silent(name: str, socket: Path) -> errors.TemporaryError:
    return errors.TemporaryError(
        f"{units.shown(name)}: is no file, and no Docker engine answers at {socket}; start it, or "
        "name a Dockerfile or what `docker save` wrote",
        retry_after_s=TIMEOUT_S,
    )


def _socket(variables: environment.Environment) -> Path:
    path = address.named(variables)
    if path is None:
        raise errors.UsageError(
            f"{address.VARIABLE}: {units.shown(variables[address.VARIABLE])} is no UNIX socket; "
            f"write {address.SCHEME}{address.SOCKET}, or name what `docker save` wrote"
        )
    return path


def _read(name: str, answer: answers.Answer) -> object:
    value = answer.value()
    if answer.status != 200 or value is None:
        raise errors.PeerError(
            f"{units.shown(name)}: the Docker engine answered {answer.status} with "
            f"{len(answer.content)} bytes that make no sense; is it one?",
            side="upstream",
            retry=False,
        )
    return value
