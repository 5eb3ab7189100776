"""Ask the Docker engine of this machine for the configuration of an image."""

from __future__ import annotations

import json
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import errors, units

if TYPE_CHECKING:
    from alongside.base import environment

SOCKET = "/var/run/docker.sock"
VARIABLE = "DOCKER_HOST"
TIMEOUT_S = 10.0
ANSWER_BYTES_MAX = 4 * 1024 * 1024


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
    path = _socket(variables)
    if not Path(path).is_socket():
        raise _silent(name, path)
    # Late: it takes as long to load as all the rest, and files need none of it.
    import ssl  # noqa: PLC0415

    import httpx2  # noqa: PLC0415

    quoted = urllib.parse.quote(name, safe="/:@")
    no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    transport = httpx2.HTTPTransport(uds=path, verify=no_tls)
    try:
        with (
            httpx2.Client(transport=transport, timeout=TIMEOUT_S, trust_env=False) as client,
            client.stream("GET", f"http://engine/images/{quoted}/json") as answer,
        ):
            content = b""
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > ANSWER_BYTES_MAX:
                    break
    except (httpx2.HTTPError, OSError) as error:
        raise _silent(name, path) from error
    if answer.status_code == 404:
        raise errors.UsageError(
            f"{units.shown(name)}: is no file, and the Docker engine has no such image; "
            f"`docker pull` it first"
        )
    return _read(name, answer.status_code, content)


def _silent(name: str, path: str) -> errors.TemporaryError:
    return errors.TemporaryError(
        f"{units.shown(name)}: is no file, and no Docker engine answers at {path}; start it, or "
        "name a Dockerfile or what `docker save` wrote",
        retry_after_s=TIMEOUT_S,
    )


def _socket(variables: environment.Environment) -> str:
    host = variables.get(VARIABLE, "")
    scheme, _, path = host.partition("://")
    if host and scheme != "unix":
        raise errors.UsageError(
            f"{VARIABLE}: {units.shown(host)} is no UNIX socket; write unix://{SOCKET}, "
            "or name what `docker save` wrote"
        )
    return path or SOCKET


def _read(name: str, status: int, content: bytes) -> object:
    try:
        value: object = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if status != 200 or value is None:
        raise errors.PeerError(
            f"{units.shown(name)}: the Docker engine answered {status} with "
            f"{len(content)} bytes that make no sense; is it one?",
            side="upstream",
            retry=False,
        )
    return value
