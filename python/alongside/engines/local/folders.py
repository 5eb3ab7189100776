"""Name the files of a project: state that outlives it, and sockets that do not."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import environment as environments
from alongside.base import errors
from alongside.plan import ambassadors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alongside.plan import pods, shape

SOCKET_PATH_BYTES_MAX = 107
_SHORTEST_NAME_BYTES = 24
_DIGEST_LENGTH = 8
_APART = "~"
"""Stands in no name that a user may give."""


@dataclass(frozen=True, slots=True)
class Folders:
    """The two folders of a project."""

    state: Path
    runtime: Path

    @property
    def control(self) -> Path:
        """The supervisor's control socket."""
        return self.runtime / "control.sock"

    @property
    def journal(self) -> Path:
        """What is running, for whoever comes after a dead supervisor."""
        return self.state / "journal.json"

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it lives; says which process that is."""
        return self.state / "lock"

    @property
    def supervisor_log(self) -> Path:
        """What the supervisor itself writes; a process may well be named like it."""
        return self.state / "supervisor.log"

    def log(self, name: str) -> Path:
        """The output of a process."""
        return self.state / "logs" / f"{name}.log"

    def container_log(self, pod: pods.Pod, container: str) -> Path:
        """The output of a pod's container: the pod's own, where it has only that one."""
        return self.log(pod.name if len(pod.containers) == 1 else f"{pod.name}.{container}")

    def container_logs(self, pod: pods.Pod) -> dict[str, Path]:
        """The output of each container of a pod."""
        return {one.name: self.container_log(pod, one.name) for one in pod.containers}

    def logs_of(self, process: shape.Process) -> list[Path]:
        """All that a process of a plan writes."""
        if process.pod is None:
            return [self.log(process.name)]
        return list(self.container_logs(process.pod).values())

    @property
    def binaries(self) -> Path:
        """The versions of the data plane that something runs."""
        return self.state / "binaries"

    @property
    def volumes(self) -> Path:
        """The volumes of pods."""
        return self.state / "volumes"

    def pod(self, name: str) -> Path:
        """A pod's own files, for who runs it."""
        return self.state / "pods" / name

    def document(self, name: str, incarnation: int = 0) -> Path:
        """What an incarnation of a data-plane process reads when it starts, and follows."""
        return self.state / "documents" / f"{_of(name, incarnation)}.json"

    def admin(self, name: str, incarnation: int = 0) -> Path:
        """The admin socket of an incarnation; a name that is too long is hashed.

        Two incarnations run at once while one takes over from the other, so each has its own.
        """
        own = _of(name, incarnation)
        path = self.runtime / f"{own}.sock"
        if len(bytes(path)) > SOCKET_PATH_BYTES_MAX:
            digest = hashlib.sha256(own.encode()).hexdigest()[:16]
            path = self.runtime / f"{digest}.sock"
        return path

    @property
    def shared(self) -> Path:
        """What pods see of it: folders of sockets, each pod those that it needs."""
        return self.runtime / "p"

    def servers(self, pool: str) -> Path:
        """Where the servers of a cache of memcache or Redis listen; nothing else is there."""
        return _fitting(self.shared / pool, f"/{'x' * _DIGEST_LENGTH}.sock")

    def server(self, name: str, pool: str) -> Path:
        """Where a memcached or Redis of a plan listens, in all its incarnations."""
        path = self.servers(pool) / f"{name}.sock"
        if len(bytes(path)) > SOCKET_PATH_BYTES_MAX:
            path = path.with_name(f"{_digest(name)}.sock")
        return path

    def ambassador(self, pod: str) -> Path:
        """The folder of a pod's own ambassador: its document and its admin socket."""
        return _fitting(self.shared / f"{pod}{_APART}", f"/{ambassadors.ADMIN}")

    def tidy(self) -> None:
        """Remove what a dead supervisor left: sockets, documents, binaries and rooms.

        All of them must be dead. A room that is not empty is its runtime's to remove: what is
        mounted there must not be touched.
        """
        for path in (self.state / "pods").glob("*"):
            with contextlib.suppress(OSError):
                path.rmdir()
        shutil.rmtree(self.binaries, ignore_errors=True)
        documents = self.state / "documents"
        unfinished = documents.glob(".*.new")
        for path in (*self.runtime.glob("*.sock"), *documents.glob("*.json"), *unfinished):
            with contextlib.suppress(OSError):
                path.unlink()
        shutil.rmtree(self.shared, ignore_errors=True)

    def check(self) -> None:
        """Raise PermanentError where this user may not see what of the project is there."""
        for folder in (self.state, self.runtime):
            try:
                os.scandir(folder).close()
            except (FileNotFoundError, NotADirectoryError):
                continue  # nothing of it is there
            except OSError as error:
                reason = f"cannot look into {folder}: {error.strerror}"
                raise errors.PermanentError(f"{reason}; {self._remedy(folder)}") from error

    def lack(self) -> str:
        """Return why the folders could not be made or written, or nothing; nothing is made."""
        for path in (self.state.parent, self.runtime.parent):
            # Not `Path.exists`, which fails below a folder that this user may not enter.
            there = next(one for one in (path, *path.parents) if os.path.exists(one))
            if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
                reason = f"{path} cannot be made or written: {there} is not this user's to write"
                return f"{reason}; {self._remedy(path)}"
        return ""

    def make(self) -> None:
        """Create the folders, for this user alone; raises PermanentError where that fails."""
        inner = [self.state / name for name in ("logs", "documents", "pods", "volumes")]
        for folder in (self.state, self.runtime, *inner):
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                reason = f"cannot make {error.filename}: {error.strerror}"
                raise errors.PermanentError(f"{reason}; {self._remedy(folder)}") from error

    def _remedy(self, folder: Path) -> str:
        is_apart = not self.runtime.is_relative_to(self.state)
        if is_apart and folder.is_relative_to(self.runtime.parent):
            return "set XDG_RUNTIME_DIR to a folder of yours, or unset it"
        return "set HOME or XDG_STATE_HOME to a folder of yours"


def of_project(project: str, environment: Mapping[str, str]) -> Folders:
    """Return a project's folders; nothing is created.

    A relative XDG variable is ignored, as the XDG base directory specification says.

    Raises:
        errors.UsageError: the runtime folder's path leaves no room for the name of a socket.
    """
    state = state_of(project, environment)
    runtime_home = _absolute(environment.get("XDG_RUNTIME_DIR"))
    runtime = state / "run"
    if runtime_home:
        runtime = Path(runtime_home).absolute() / "alongside" / project
    room = SOCKET_PATH_BYTES_MAX - len(bytes(runtime)) - 1
    if room < _SHORTEST_NAME_BYTES:
        raise errors.UsageError(
            f"{runtime} is too long for sockets, which have at most {SOCKET_PATH_BYTES_MAX} bytes; "
            "set XDG_RUNTIME_DIR to a shorter folder, or use a shorter --project"
        )
    return Folders(state, runtime)


def state_of(project: str, environment: Mapping[str, str]) -> Path:
    """Return the folder of what outlives a project; nothing is created."""
    told = _absolute(environment.get("XDG_STATE_HOME"))
    state_home = Path(told) if told else environments.home(environment) / ".local" / "state"
    return state_home.absolute() / "alongside" / project


def _of(name: str, incarnation: int) -> str:
    return f"{name}{_APART}{incarnation}" if incarnation else name


def _fitting(folder: Path, longest: str) -> Path:
    """Return a folder of sockets, hashed where its own name leaves them too little room."""
    is_short = len(bytes(folder)) + len(longest) <= SOCKET_PATH_BYTES_MAX
    return folder if is_short else folder.with_name(_digest(folder.name))


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_LENGTH]


def _absolute(path: str | None) -> str | None:
    return path if path is not None and Path(path).is_absolute() else None
