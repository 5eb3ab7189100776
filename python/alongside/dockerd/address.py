"""Find the socket at which an engine of this machine listens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "DOCKER_HOST"
SOCKET = "/var/run/docker.sock"
SCHEME = "unix://"


def named(variables: Mapping[str, str]) -> Path | None:
    """Return the socket that `DOCKER_HOST` names, or Docker's usual one; None for any other way."""
    value = variables.get(VARIABLE) or f"{SCHEME}{SOCKET}"
    if not value.startswith(f"{SCHEME}/"):
        return None
    return Path(value.removeprefix(SCHEME))


def candidates(variables: Mapping[str, str]) -> tuple[Path, ...]:
    """Return where engines usually listen, Docker's before Podman's, a user's after the system's.

    Where `DOCKER_HOST` is set, nothing else is looked at.
    """
    if variables.get(VARIABLE):
        one = named(variables)
        return (one,) if one is not None else ()
    found = [Path(SOCKET)]
    if runtime := variables.get("XDG_RUNTIME_DIR"):
        found.append(Path(runtime, "docker.sock"))
    if home := variables.get("HOME"):
        found.append(Path(home, ".docker", "run", "docker.sock"))
    found.append(Path("/run/podman/podman.sock"))
    if runtime:
        found.append(Path(runtime, "podman", "podman.sock"))
    return tuple(found)


def found(variables: Mapping[str, str]) -> Path | None:
    """Return the first of the candidates that is a socket, or None."""
    return next((path for path in candidates(variables) if _is_socket(path)), None)


def _is_socket(path: Path) -> bool:
    try:
        return path.is_socket()
    except OSError:  # a folder that this user may not look into
        return False
