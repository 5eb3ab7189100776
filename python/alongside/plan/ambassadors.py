"""Put what spreads keys over servers into pods: an ambassador beside an application, or a router.

Where pods have a network of their own, the ambassador at this machine's localhost is not at theirs.
So a pod gets one: our data plane, as the first of its containers that stay. What it needs comes by
folders that it shares with this machine: the sockets of the servers, its document, its admin door.
Routers that everyone shares are pods there too, behind a Service with the cache's name.
"""

from __future__ import annotations

import json
import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

from alongside.plan import pods, shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from alongside.plan import places as shared

ANNOTATION = "alongside.dev/ambassador"
"""Of a pod: the caches that it asks at its localhost, separated by commas."""
CONTAINER = "ambassador"
ROUTER = "router"
"""What it is called where it is alone, for everyone."""
IMAGE = "alongside-dataplane"
DOCUMENT = "document.json"
ADMIN = "admin.sock"
HOSTS = {CONTAINER: "127.0.0.1", ROUTER: "0.0.0.0"}  # noqa: S104 - of a pod's own network
"""Where it listens, by what it is called."""
USUAL_PORTS = {"memcache": 11211, "redis": 6379}
"""Of what has an address of its own, where none is written."""
_ROOT = "/alongside"
_OWN = f"{_ROOT}/own"
"""Where it sees its own folder; of a cache's servers, at the same place by a number."""
_STARTUP_PERIOD_S = 0.1
_STARTUP_S_MAX = 60.0
_PERIOD_S = 10.0
_TIMEOUT_S = 2.0


def has_own(pod: pods.Pod, engine: shape.EngineName) -> bool:
    """Return whether a pod that asks a cache has a localhost of its own to ask it at."""
    return bool(pod.pools) and engine != "process" and not pod.uses_host_network


def named(text: str) -> list[str]:
    """Return the names in an annotation."""
    return [name.strip() for name in text.split(",")]


def added(pod: pods.Pod, places: shared.Places) -> pods.Pod:
    """Return a pod with an ambassador for the caches that it asks."""
    container = _container(CONTAINER, "sidecar", pod, places)
    return replace(
        pod,
        containers=(container, *pod.containers),
        volumes=(*pod.volumes, *_volumes(pod, places)),
    )


def alone(pod: pods.Pod, places: shared.Places) -> pods.Pod:
    """Return a pod in which nothing runs but what gives each command its server."""
    container = _container(ROUTER, "main", pod, places)
    return replace(pod, containers=(container,), volumes=_volumes(pod, places))


def _volumes(pod: pods.Pod, places: shared.Places) -> tuple[pods.Volume, ...]:
    folders = {CONTAINER: places.ambassador(pod.name)}
    folders |= {_volume(at): places.servers(name) for at, name in enumerate(pod.pools)}
    return tuple(
        pods.Volume(name, "host", path=str(folder), host_type="DirectoryOrCreate")
        for name, folder in folders.items()
    )


def _container(name: str, kind: pods.Kind, pod: pods.Pod, places: shared.Places) -> pods.Container:
    servers = [
        pods.Mount(_volume(at), _servers(at), is_read_only=True) for at in range(len(pod.pools))
    ]
    args = ("--document", f"{_OWN}/{DOCUMENT}")
    door = str(places.ambassador(pod.name) / ADMIN)
    look = pods.Look("admin", path=door, period_s=_PERIOD_S, timeout_s=_TIMEOUT_S)
    failures = int(_STARTUP_S_MAX / _STARTUP_PERIOD_S)
    return pods.Container(
        name,
        kind,
        IMAGE,
        args=args,
        mounts=(pods.Mount(CONTAINER, _OWN), *servers),
        startup=replace(look, period_s=_STARTUP_PERIOD_S, failures=failures),
        readiness=look,
        is_read_only=True,
        is_ours=True,
        written=json.dumps([*args, *pod.pools]),
    )


def taken(pod: pods.Pod) -> Iterator[str]:
    """Yield the names of containers and volumes of a pod that an ambassador would need."""
    needed = {CONTAINER, *map(_volume, range(len(pod.pools)))}
    for one in pod.containers:
        if one.name == CONTAINER:
            yield f'container "{CONTAINER}"'
    for volume in pod.volumes:
        if volume.name in needed:
            yield f'volume "{volume.name}"'


def inside(pod: pods.Pod, pool: str, addresses: Mapping[str, str]) -> dict[str, str]:
    """Return where servers of a cache are for a pod's ambassador, by their addresses here."""
    folder = _servers(pod.pools.index(pool))
    return {
        name: f"unix:{folder}/{posixpath.basename(address)}" for name, address in addresses.items()
    }


def admin() -> str:
    """Return where an ambassador has its admin door, as it sees it itself."""
    return f"{_OWN}/{ADMIN}"


def _volume(at: int) -> str:
    return f"{CONTAINER}-{at}"


def _servers(at: int) -> str:
    return f"{_ROOT}/{at}"
