"""Say what a container of a plan is started with: its order to the script that starts it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from alongside.base import errors
from alongside.engines.pods import dns, users
from alongside.engines.processes import cgroups
from alongside.plan import variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from alongside.engines.pods import runtime
    from alongside.engines.runtimes.namespaces import orders, setting
    from alongside.plan import pods

TEMPORARY = "/tmp"  # noqa: S108 - each container has its own
_CAPABILITIES = (
    "CHOWN DAC_OVERRIDE FSETID FOWNER NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE "
    "SYS_CHROOT KILL AUDIT_WRITE"
)
CAPABILITIES = frozenset(_CAPABILITIES.split())
"""What containers have in Kubernetes by default, but for MKNOD: devices are those of the root."""
_SYSTEM = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where servers are, which ordinary users have not in their PATH."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a container comes to be."""

    address: str
    """The pod's."""
    host: str
    """This machine's, as the pod sees it."""
    links: Mapping[str, str]
    """Variables that say where Services are."""
    marks: Mapping[str, str]
    ordinary: tuple[int, int] | None
    """User and group of an ordinary user, whose containers are in a user namespace."""


def order(
    container: pods.Container, room: runtime.Room, setting_: setting.Setting, place: Place
) -> orders.ContainerOrder:
    """Return the order that starts a container.

    Raises:
        errors.UsageError: nothing says what runs.
        errors.PermanentError: its folder is not there.
    """
    pod = room.pod
    # A volume stands at its mount's path here, and the variable that names it says so.
    told = {variables.of_volume(one.volume): one.path for one in reversed(container.mounts)}
    told |= place.links if pod.links_services else {}
    filled = variables.filled(container, address=place.address, host=place.host, given=told)
    words = list(setting_.words(pod, filled))
    if not words:
        raise errors.PermanentError(f"{container.name}: it has no command")
    environment = {**setting_.environment, "PATH": search_path(setting_.environment)}
    environment |= {"HOSTNAME": dns.hostname(pod), **told}
    environment |= {one.name: one.value for one in filled.variables}
    environment |= place.marks
    directory = container.directory or pod.folder or "/"
    return {
        "task": "container",
        "words": words,
        "environment": environment,
        "directory": directory,
        "stage": str(room.folder / "stage"),
        "scratch": str(room.folder / "tmp" / container.name),
        "kept": kept(pod, container),
        "shm": str(room.folder / "shm"),
        "has_pids": pod.shares_pids,
        "mounts": [*_own_files(container, pod, room.folder), *_volumes(container, room)],
        "is_read_only": container.is_read_only,
        **_identity(container, place),
        "has_mapping": place.ordinary is not None,
        "capabilities": capabilities(container),
    }


class _Identity(TypedDict):
    user: int | None
    group: int | None


def _identity(container: pods.Container, place: Place) -> _Identity:
    """Return as whom a container runs: as the ordinary user whose it is, unless it says more.

    Many servers refuse to run as root, or to be told to change to somebody who is not there.
    """
    is_silent = container.user is None and container.group is None
    if place.ordinary is not None and is_silent and not container.added_capabilities:
        return {"user": place.ordinary[0], "group": place.ordinary[1]}
    group = container.group
    if group is None and container.user:
        group = users.group_of(container.user)
    return {"user": container.user, "group": group}


def limits(container: pods.Container) -> cgroups.Limits:
    """Return what a container may use."""
    return cgroups.Limits(container.cpu_millis, container.memory_bytes)


def capabilities(container: pods.Container) -> list[str]:
    """Return the capabilities that root has in a container, without CAP_."""
    added = {one.upper().removeprefix("CAP_") for one in container.added_capabilities}
    return sorted(CAPABILITIES | added)


def search_path(environment: Mapping[str, str]) -> str:
    """Return where a command is looked for."""
    folders = environment.get("PATH", os.defpath).split(":")
    return ":".join([*folders, *(one for one in _SYSTEM if one not in folders)])


def kept(pod: pods.Pod, container: pods.Container) -> list[str]:
    """Return the folders below /tmp that a container sees though its /tmp is its own.

    Its pod's file stands there, or it starts there, and a path that a user wrote stays true.
    """
    wanted = {os.path.realpath(one) for one in (pod.folder, container.directory) if one}
    below = {one for one in wanted if is_temporary(one) and os.path.isdir(one)}
    return sorted(one for one in below if not any(one.startswith(f"{other}/") for other in below))


def is_temporary(path: str) -> bool:
    """Return whether a path is /tmp or below it."""
    return path == TEMPORARY or path.startswith(f"{TEMPORARY}/")


def _own_files(
    container: pods.Container, pod: pods.Pod, folder: Path
) -> Iterator[orders.MountOrder]:
    """Yield the files of the network that are the pod's own."""
    mine = ("hosts",) if pod.uses_host_network else ("hosts", "hostname", "resolv.conf")
    mounted = {os.path.normpath(one.path) for one in container.mounts}
    for name in mine:
        if f"/etc/{name}" not in mounted:
            yield _mount(str(folder / name), f"/etc/{name}")


def _volumes(container: pods.Container, room: runtime.Room) -> Iterator[orders.MountOrder]:
    kinds = {volume.name: volume.kind for volume in room.pod.volumes}
    for one in container.mounts:
        kind = kinds[one.volume]
        made = _mount(str(room.volumes[one.volume]), os.path.normpath(one.path))
        made["sub_path"] = one.sub_path
        made["makes_sub_path"] = kind != "files"
        # Published files are read-only in Kubernetes too.
        made["is_read_only"] = one.is_read_only or kind == "files"
        made["is_own"] = kind in {"empty", "memory"} and not one.is_read_only
        yield made


def _mount(source: str, target: str) -> orders.MountOrder:
    return {
        "source": source,
        "sub_path": "",
        "makes_sub_path": False,
        "target": target,
        "is_read_only": False,
        "is_own": False,
    }
