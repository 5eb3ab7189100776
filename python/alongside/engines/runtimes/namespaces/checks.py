"""Say before anything starts why pods cannot run in namespaces here, and what is not held."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.engines.runtimes.namespaces import containers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from alongside.engines.processes import cgroups
    from alongside.engines.runtimes.namespaces import setting
    from alongside.plan import pods

PODS_MAX = 1000
"""A bridge takes 1,023 links, some of which are the hub's own."""


def problems(wanted: Sequence[pods.Pod], setting_: setting.Setting) -> list[str]:
    """Return why pods cannot run, as `place: path: what; remedy`."""
    found: dict[str, None] = {}
    if len(wanted) > PODS_MAX:
        more = f"{len(wanted)} pods are more than a project's network takes ({PODS_MAX})"
        found[f"{more}; use several projects"] = None
    for pod in wanted:
        for container in pod.containers:
            for problem in _problems(pod, container, setting_):
                found[f"{pod.place or pod.name}: {container.name}: {problem}"] = None
    found.update(dict.fromkeys(_shared_ports(wanted)))
    return list(found)


def lacks(pod: pods.Pod, limits: cgroups.Cgroups) -> Iterator[str]:
    """Yield what of a pod is not held here, for people."""
    for container in pod.containers:
        missing = limits.missing(containers.limits(container))
        if missing:
            yield (
                f"{pod.owner or pod.name}: {container.name}: its limits of {' and '.join(missing)} "
                "are not held: this user may not make cgroups; run as root, or under a delegated "
                "cgroup (systemd-run --user --scope -p Delegate=yes)"
            )


def _problems(pod: pods.Pod, container: pods.Container, setting_: setting.Setting) -> Iterator[str]:
    try:
        words = setting_.words(pod, container)
    except errors.UsageError as error:
        yield str(error)
        return
    if not words:
        yield "command: it has none; write command: [PROGRAM]"
        return
    yield from _command(pod, container, words[0], setting_)
    for mount in container.mounts:
        if not os.path.isabs(mount.path) or os.path.normpath(mount.path) == "/":
            yield f"mountPath: {mount.path!r} is no place for a volume; write a folder's path"
        if ".." in mount.sub_path.split("/") or os.path.isabs(mount.sub_path):
            yield f"subPath: {mount.sub_path!r} leads out of the volume; write one below it"


def _command(
    pod: pods.Pod, container: pods.Container, name: str, setting_: setting.Setting
) -> Iterator[str]:
    if "$(" in name or any(_is_below(name, mount.path) for mount in container.mounts):
        return
    if "/" not in name:
        path = _own_path(container, setting_.environment)
        if shutil.which(name, path=path) is None:
            yield f"command: there is no {name} in {path}; install it, or correct the name or PATH"
        return
    whole = os.path.join(container.directory or pod.folder or "/", name)
    kept = containers.kept(pod, container)
    if containers.is_temporary(os.path.realpath(whole)) and not any(
        _is_below(os.path.realpath(whole), one) for one in kept
    ):
        yield f"command: {name} is below /tmp, which is the container's own; move it elsewhere"
    elif not os.access(whole, os.X_OK) or os.path.isdir(whole):
        yield f"command: {whole} is no program that can be run; correct the path or its mode"


def _own_path(container: pods.Container, environment: Mapping[str, str]) -> str:
    written = [one.value for one in container.variables if one.name == "PATH"]
    return written[-1] if written else containers.search_path(environment)


def _shared_ports(wanted: Sequence[pods.Pod]) -> Iterator[str]:
    owners: dict[tuple[str, int], str] = {}
    for pod in wanted:
        for container in pod.containers:
            for port in container.ports:
                if port.host_port is None:
                    continue
                owner = f"{pod.place or pod.name}: {container.name}"
                key = (port.host_ip, port.host_port)
                if key in owners:
                    yield (
                        f"{owner}: hostPort: {port.host_port} is wanted by {owners[key]} too; "
                        "choose another one, or use a Service"
                    )
                owners.setdefault(key, owner)


def _is_below(path: str, folder: str) -> bool:
    folder = folder.rstrip("/")
    return path == folder or path.startswith(f"{folder}/")
