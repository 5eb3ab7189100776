"""Say what everything of a project is called in an engine, and what a pod's hosts says."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from alongside.engines.pods import dns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from alongside.plan import pods

_LABEL = "dev.alongside"
PROJECT = f"{_LABEL}.project"
HOME = f"{_LABEL}.home"
"""The project's state folder: two users may have projects of one name."""
POD = f"{_LABEL}.pod"
CONTAINER = f"{_LABEL}.container"
"""Of a pod's containers; its sandbox has none."""
SERVICE = f"{_LABEL}.service"
"""Of a balancer."""
CONTENT = f"{_LABEL}.content"
"""Of our image: what it was made from."""
_NAME_LENGTH_MAX = 200
_OTHER = re.compile(r"[^a-zA-Z0-9_.-]+")


def labels(project: str, home: Path, **more: str) -> dict[str, str]:
    """Return the labels of something of a project.

    Args:
        project: its name, for people.
        home: its state folder, by which it is found.
        more: `pod`, `container` and `service`, where it is of one.
    """
    keys = {"pod": POD, "container": CONTAINER, "service": SERVICE}
    return {PROJECT: project, HOME: str(home), **{keys[key]: one for key, one in more.items()}}


def network(project: str, home: Path) -> str:
    """Return the name of a project's network."""
    return _name("alongside", project, _short(home))


def container(project: str, home: Path, *parts: str) -> str:
    """Return the name of a container: its part, and whose it is."""
    return _name("alongside", project, _short(home), *parts)


def hosts(
    pod: pods.Pod, address: str, others: Mapping[str, tuple[str, ...]], *, machine: str = ""
) -> Iterator[str]:
    """Yield the lines of a pod's /etc/hosts.

    Args:
        pod: whose it is.
        address: its own.
        others: the addresses of each Service, by its name: its balancer's or, of a headless one,
            those of the pods that are ready. A resolver asks this file before DNS.
        machine: what the machine has in its own, of a pod on the machine's network.
    """
    yield "# Written by alongside; Services and hostAliases stand in it."
    if machine:
        yield from machine.splitlines()
    else:
        yield "127.0.0.1 localhost"
        yield "::1 localhost ip6-localhost ip6-loopback"
    if not pod.uses_host_network:
        yield " ".join((address, *dns.of_pod(pod), dns.hostname(pod)))
    for alias, called in pod.aliases:
        yield " ".join((alias, *called))
    for name, addresses in others.items():
        for one in addresses:
            yield " ".join((one, *dns.of_service(name)))


def _name(*parts: str) -> str:
    text = ".".join(_OTHER.sub("-", part) for part in parts if part)
    return text[:_NAME_LENGTH_MAX]


def _short(home: Path) -> str:
    return hashlib.sha256(str(home).encode()).hexdigest()[:8]
