"""Work out, without starting anything, how a container is started beside everything else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.engines.pods import dns, users
from alongside.engines.processes import groups
from alongside.engines.runtimes.host import packages, rewriting
from alongside.plan import variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from alongside.plan import pods

Words = Callable[["pods.Pod", "pods.Container"], tuple[str, ...]]
"""The whole command of a container, as its image's default or its own words say; `$(…)` of what
only a runtime knows stands in it as written.

Raises:
    errors.UsageError: nothing says what runs.
"""
ROOT = 0
_PASSED = ("LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID")
_CAPABLE = "setpriv"
_ROOM = "--engine namespaces or docker"


@dataclass(frozen=True, slots=True)
class Given:
    """What containers are given besides what their pod says."""

    environment: Mapping[str, str]
    """The user's, below all else."""
    links: Mapping[str, str]
    """Where Services are."""
    volumes: Mapping[str, Path]
    address: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """A container as it is started."""

    argv: tuple[str, ...]
    environment: dict[str, str]
    directory: str | None
    paths: rewriting.Paths
    as_user: tuple[str, ...]
    """Words before a command that is to run as the container's user."""
    led: tuple[str, ...]
    """Mounts' paths that were led elsewhere in its words, variables or folder."""
    hidden: tuple[str, ...]
    """Mounts' paths that stand within its words, where they cannot be led."""

    def inside(self, command: Sequence[str]) -> tuple[str, ...]:
        """Return the words that start a command inside, as its user."""
        return (*self.as_user, *rewriting.led(self.paths, command))


def prepare(pod: pods.Pod, container: pods.Container, words: Words, given: Given) -> Prepared:
    """Return how a container is started.

    Raises:
        errors.UsageError: nothing says what runs.
    """
    paths = rewriting.of(container, given.volumes)
    told = rewriting.told(container, given.volumes)
    links = given.links if pod.links_services else {}
    whole = replace(container, command=words(pod, container), args=())
    filled = variables.filled(
        whole,
        address=given.address,
        host=given.address,
        given={**links, **told},
    )
    written = {one.name: one.value for one in filled.variables}
    environment = {
        **given.environment,
        **links,
        "HOSTNAME": dns.hostname(pod),
        **told,
        **{name: paths.text(value) for name, value in written.items()},
    }
    for name in (*_PASSED, groups.MARK, groups.HOME_MARK):
        environment.pop(name, None)
    directory = container.directory or pod.folder
    texts = [*filled.command, *written.values(), directory]
    argv = rewriting.led(paths, filled.command)
    changed = zip(texts, [*argv, *map(paths.text, (*written.values(), directory))], strict=True)
    return Prepared(
        argv,
        environment,
        paths.text(directory) or None,
        paths,
        user_words(container),
        led=tuple(dict.fromkeys(was for was, now in changed if was != now)),
        hidden=tuple(dict.fromkeys(filter(None, map(paths.hidden, filled.command)))),
    )


def user_words(container: pods.Container) -> tuple[str, ...]:
    """Return the words that make a command run as the container's user; none for our own."""
    user, group = container.user, container.group
    if os.geteuid() != ROOT or (user in {None, ROOT} and group in {None, ROOT}):
        return ()
    user = ROOT if user is None else user
    group = users.group_of(user) if group is None else group
    return (_CAPABLE, f"--reuid={user}", f"--regid={group}", "--clear-groups", "--")


def problems(pod: pods.Pod, words: Words, given: Given) -> Iterator[str]:
    """Yield why containers of a pod cannot start: `place: path: what; remedy`."""
    for container in pod.containers:
        where = f"{pod.place or pod.name}: containers.{container.name}"
        yield from _user_problems(container, where, given)
        for mount in container.mounts:
            if rewriting.escapes(mount.sub_path):
                why = "leads out of the volume; write a path below it"
                yield f"{where}.volumeMounts: subPath {mount.sub_path!r} {why}"
        try:
            prepared = prepare(pod, container, words, given)
        except errors.UsageError as error:
            yield from (f"{where}: {why}" for why in error.problems)
            continue
        yield from _word_problems(container, prepared, where)


def _word_problems(container: pods.Container, prepared: Prepared, where: str) -> Iterator[str]:
    directory, argv = prepared.directory or "", prepared.argv
    is_made = any(directory == path or directory.startswith(path + "/")
                  for _, path in prepared.paths.targets)  # fmt: skip
    if directory and not is_made and not os.path.isdir(directory):
        yield f"{where}.workingDir: {directory} is no folder of this machine; create it"
    if not argv or not argv[0]:
        yield f"{where}.command: it is empty; write command: [PROGRAM]"
        return
    command = argv[0]
    is_in_volume = any(command.startswith(path + "/") for _, path in prepared.paths.targets)
    is_unknown = "$(" in command or (is_made and "/" in command and not command.startswith("/"))
    if is_in_volume or is_unknown:
        return  # an init container may put it there
    if why := packages.missing(command, prepared.environment, directory):
        yield f"{where}.{'command' if container.command else 'image'}: {why}"


def _user_problems(container: pods.Container, where: str, given: Given) -> Iterator[str]:
    path = f"{where}.securityContext"
    own = {"runAsUser": os.geteuid(), "runAsGroup": os.getegid()}
    asked = {"runAsUser": container.user, "runAsGroup": container.group}
    others = {name: number for name, number in asked.items() if number not in {None, own[name]}}
    if not others:
        return
    if os.geteuid() != ROOT:
        for name, number in others.items():
            yield (
                f"{path}.{name}: {number} is not yours ({own[name]}), and only root may change it; "
                f"run as root, take it out, or {_ROOM}"
            )
        return
    if shutil.which(_CAPABLE, path=given.environment.get("PATH", os.defpath)) is None:
        yield f"{path}: {_CAPABLE} is not on the PATH of this machine; apt-get install util-linux"
    if container.user in {None, ROOT}:
        return
    for mount in container.mounts:
        place = given.volumes.get(mount.volume)
        if place is not None and (barred := _barred(place, container)) is not None:
            yield (
                f"{path}.runAsUser: user {container.user} may not enter {barred}, where its volume "
                f'"{mount.volume}" is; take it out, or {_ROOM}'
            )
            return


def _barred(place: Path, container: pods.Container) -> Path | None:
    """Return the outermost folder above a place that a container's user may not enter."""
    for folder in reversed(place.parents):
        try:
            found = os.stat(folder)
        except OSError:
            return None  # not made yet: as it will be, it is entered
        is_owner, is_member = found.st_uid == container.user, found.st_gid == container.group
        needed = 0o100 if is_owner else 0o010 if is_member else 0o001
        if not found.st_mode & needed:
            return folder
    return None
