"""Give Services and pods addresses of their own on this machine's loopback network."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from alongside.plan import pods

SHARED = "127.0.0.1"
"""The address of all that has none of its own."""
_OWN_ADDRESS = "field:status.podIP"
_TRIES_MAX = 256


def of_pod(project: str, name: str) -> str:
    """Return the address of a pod that is told its own; equal for equal arguments."""
    return next(_candidates(project, f"pod/{name}"))


def address(pod: pods.Pod, project: str, *, has_loopbacks: bool) -> str:
    """Return where a pod listens as a process.

    Args:
        pod: it has an address of its own where a container is told it, and would listen there.
        project: as named by its user.
        has_loopbacks: whether this machine has more than one address.
    """
    is_told = any(map(_told, pod.containers))
    return of_pod(project, pod.name) if is_told and has_loopbacks else SHARED


def is_meant(pod: pods.Pod) -> bool:
    """Return whether a pod's words say that it listens at its own address, which it is told.

    They name the variable; a program that reads it by itself may do anything with it.
    """
    return any(
        re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)
        for container in pod.containers
        for name in _told(container)
        for text in (*container.command, *container.args, *_texts(container))
    )


def _told(container: pods.Container) -> list[str]:
    """Return the variables in which a container is told its pod's address."""
    return [one.name for one in container.variables if one.written == _OWN_ADDRESS]


def _texts(container: pods.Container) -> Iterator[str]:
    return (one.written for one in container.variables if one.written != _OWN_ADDRESS)


def of_services(project: str, names: Iterable[str], taken: Collection[str] = ()) -> dict[str, str]:
    """Return an address for each Service, no two equal.

    Args:
        project: as named by its user; another one's Services have others.
        names: of the Services; of two that would get one address the first does.
        taken: addresses that somebody has.
    """
    found: dict[str, str] = {}
    used = set(taken)
    for name in names:
        for address in _candidates(project, f"service/{name}"):
            if address not in used:
                used.add(address)
                found[name] = address
                break
    return found


def _candidates(project: str, name: str) -> Iterator[str]:
    """Yield addresses of 127.64.0.0/10, without those that end with 0 or 255."""
    for attempt in range(_TRIES_MAX):
        text = "\0".join((project, name, str(attempt)))
        first, second, third = hashlib.sha256(text.encode()).digest()[:3]
        yield f"127.{64 + first % 64}.{second}.{1 + third % 254}"
