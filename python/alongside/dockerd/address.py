"""Find the socket at which an engine of this machine listens."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
    """Return the first of the candidates that is a socket, or None.

    Those that this user may not use count only where there is no other: an ordinary user's own
    engine often runs beside the machine's.
    """
    there = [path for path in candidates(variables) if _is_socket(path)]
    return next((path for path in there if not refusal(path)), there[0] if there else None)


def refusal(path: Path) -> str:
    """Return what to do where this user may not use a socket that is there; else nothing."""
    if not _is_socket(path) or os.access(path, os.R_OK | os.W_OK):
        return ""
    seen = path.stat()
    group = _named(lambda: grp.getgrgid(seen.st_gid).gr_name, seen.st_gid)
    if seen.st_gid == 0 or not seen.st_mode & stat.S_IWGRP:
        owner = _named(lambda: pwd.getpwuid(seen.st_uid).pw_name, seen.st_uid)
        return f"run as its owner, {owner}, or start an engine of your own"
    user = _named(lambda: pwd.getpwuid(os.geteuid()).pw_name, os.geteuid())
    return f"as root: usermod --append --groups {group} {user}; then log in again"


def _named(look: Callable[[], str], number: int) -> str:
    try:
        return look()
    except KeyError:  # a number that the machine has no name for
        return str(number)


def _is_socket(path: Path) -> bool:
    try:
        return path.is_socket()
    except OSError:  # a folder that this user may not look into
        return False
