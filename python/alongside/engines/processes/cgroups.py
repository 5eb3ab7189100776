"""Limit CPU and memory of a container by a cgroup of its own, version 1 or 2, where permitted.

A process attaches itself before it becomes the container's program (`entering`), so that nothing
of it runs unlimited. Cgroups outlive who made them: where they were made is written down, and the
next one removes them.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alongside.base import clock

Controller = Literal["cpu", "memory", "freezer"]
CONTROLLERS: tuple[Controller, ...] = ("cpu", "memory")
"""Those that hold limits; the freezer stops what forks while it is killed."""
CPU_PERIOD_US = 100_000
CPU_QUOTA_US_MIN = 1_000
REMOVE_WAIT_S = 10.0
POLL_S = 0.02
FREEZE_LOOKS_MAX = 2_000
"""At whether all is frozen, which takes a millisecond."""
_FREEZER: Controller = "freezer"
_FILES: dict[Controller, tuple[str, str]] = {
    "cpu": ("cpu.cfs_quota_us", "cpu.max"),
    "memory": ("memory.limit_in_bytes", "memory.max"),
    "freezer": ("freezer.state", "cgroup.freeze"),
}
"""What a controller is used by, in version 1 and in version 2."""
_PROC = Path("/proc")
_ENTER = 'while [ "$1" != -- ]; do echo $$ > "$1" || exit 126; shift; done; shift; exec "$@"'
_TRIAL = "try"
_TRY = 'echo $$ > "$0"'
_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a container may use; None for all there is."""

    cpu_millis: int | None = None
    memory_bytes: int | None = None

    @property
    def controllers(self) -> tuple[Controller, ...]:
        """The controllers that hold them."""
        cpu: tuple[Controller, ...] = ("cpu",) if self.cpu_millis is not None else ()
        return (*cpu, "memory") if self.memory_bytes is not None else cpu


@dataclass(frozen=True, slots=True)
class Place:
    """Where groups of a controller can be made."""

    controller: Controller
    version: Literal[1, 2]
    parent: Path


def entering(entries: Sequence[Path], argv: Sequence[str]) -> tuple[str, ...]:
    """Return the words that enter cgroups and become a program; `argv` where there are none."""
    if not entries:
        return tuple(argv)
    return ("/bin/sh", "-c", _ENTER, "sh", *map(str, entries), "--", *argv)


@dataclass(frozen=True, slots=True)
class Group:
    """The cgroup of one container: a folder for each controller, or one for all."""

    places: tuple[Place, ...]
    name: str

    @property
    def folders(self) -> tuple[Path, ...]:
        """Its folders, none twice."""
        return tuple(dict.fromkeys(place.parent / self.name for place in self.places))

    @property
    def entries(self) -> tuple[Path, ...]:
        """The files into which a process writes its pid to be in it."""
        return tuple(folder / "cgroup.procs" for folder in self.folders)

    def out_of_memory(self) -> int:
        """Return how many of its processes the kernel killed for their memory."""
        for place in self.places:
            if place.controller == "memory":
                name = "memory.events" if place.version == 2 else "memory.oom_control"
                return _number(place.parent / self.name / name, "oom_kill")
        return 0

    def pids(self) -> set[int]:
        """Return the processes in it."""
        return {pid for folder in self.folders for pid in _pids(folder)}

    def kill(self) -> None:
        """Kill all that is in it; where it can be frozen, nothing forks away meanwhile."""
        for folder in reversed(self.folders):  # the freezer's is the last
            _kill(folder)

    async def remove(self, clock_: clock.Clock) -> bool:
        """Kill what is in it and take it away; return whether it is gone."""
        gone = [await _remove(folder, clock_) for folder in reversed(self.folders)]
        return all(gone)


class Cgroups:
    """The cgroups of one project."""

    def __init__(self, home: str, record: Path, *, proc: Path = _PROC) -> None:
        """Take what names the project on this machine, and a file to write down where they are."""
        self._prefix = f"alongside-{hashlib.sha256(home.encode()).hexdigest()[:16]}-"
        self._record = record
        self._proc = proc

    @classmethod
    def of_project(cls, state: Path) -> Cgroups:
        """Return those of a project by the folder of its state."""
        return cls(str(state), state / "cgroups")

    @functools.cached_property
    def places(self) -> tuple[Place, ...]:
        """Where each controller can be used, as is tried once; none for what is not permitted."""
        return tuple(self._found(f"{self._prefix}{_TRIAL}{os.getpid()}"))

    def missing(self, limits: Limits) -> tuple[Controller, ...]:
        """Return the controllers that limits would need and this machine does not permit."""
        have = {place.controller for place in self.places}
        return tuple(one for one in limits.controllers if one not in have)

    def create(self, name: str, limits: Limits, *, is_whole: bool = False) -> Group | None:
        """Make the cgroup of a container, its limits set; None where nothing is to be held.

        Args:
            name: unique in the project.
            limits: what is `missing` is left out.
            is_whole: whether it is wanted for its end too, without limits.

        Raises:
            OSError: it cannot be made; nothing is left.
        """
        places = tuple(one for one in self.places if one.controller in limits.controllers)
        # A process is in one cgroup of version 2, which can be killed whole anyway.
        if is_whole and not any(one.version == 2 for one in places):
            places += tuple(one for one in self.places if one.controller == "freezer")
        if not places:
            return None
        group = Group(places, self._prefix + hashlib.sha256(name.encode()).hexdigest()[:16])
        self._write_down(*(place.parent for place in places))
        try:
            for folder in group.folders:
                with contextlib.suppress(FileExistsError):  # of one that was just removed in vain
                    os.mkdir(folder)
            for place in places:
                _limit(place.parent / group.name, place, limits)
        except OSError:
            for folder in group.folders:
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
            raise
        return group

    async def sweep(self, clock_: clock.Clock) -> int:
        """End and remove all of the project; return how many containers had one."""
        with contextlib.suppress(OSError):
            found = [
                folder
                for parent in map(Path, self._record.read_text().splitlines())
                if parent.is_dir()
                for folder in parent.iterdir()
                if folder.name.startswith(self._prefix)
            ]
            for folder in found:
                _kill(folder)
            gone = [await _remove(folder, clock_) for folder in found]
            if all(gone):
                self._record.unlink(missing_ok=True)
            return sum(not one.name.startswith(self._prefix + _TRIAL) for one in found)
        return 0

    def _found(self, trial: str) -> Iterator[Place]:
        """Yield where each controller may be used, as is tried with a cgroup of a name."""
        own = _own(self._proc)
        known: set[Controller] = set()
        for mount in _mounts(self._proc):
            for controller in (*CONTROLLERS, _FREEZER):
                if controller in known or not mount.may_have(controller):
                    continue
                below = own.get(controller if mount.version == 1 else "")
                parents = () if below is None else mount.ancestry(below)
                tried = (Place(controller, mount.version, parent) for parent in parents)
                place = next((one for one in tried if self._is_usable(one, trial)), None)
                if place is not None:
                    known.add(controller)
                    yield place

    def _is_usable(self, place: Place, trial: str) -> bool:
        """Return whether a cgroup can be made there, has the controller, and can be entered."""
        if place.version == 2 and not _is_enabled(place):
            return False
        folder = place.parent / trial
        try:
            if os.access(place.parent, os.W_OK):  # who is killed meanwhile leaves it there
                self._write_down(place.parent)
            os.mkdir(folder)
        except OSError:
            return False
        limit = _FILES[place.controller][place.version - 1]
        try:
            if not os.access(folder / limit, os.W_OK):
                return False
            words = ["/bin/sh", "-c", _TRY, str(folder / "cgroup.procs")]
            tried = subprocess.run(  # noqa: S603 - words of ours
                words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
            )
            return tried.returncode == 0
        finally:
            with contextlib.suppress(OSError):
                os.rmdir(folder)

    def _write_down(self, *parents: Path) -> None:
        known: list[str] = []
        with contextlib.suppress(OSError):
            known = self._record.read_text().splitlines()
        new = [str(parent) for parent in parents if str(parent) not in known]
        if new:
            with self._record.open("a") as stream:
                stream.writelines(f"{line}\n" for line in dict.fromkeys(new))


def _limit(folder: Path, place: Place, limits: Limits) -> None:
    if place.controller == "cpu" and limits.cpu_millis is not None:
        quota_us = max(CPU_QUOTA_US_MIN, limits.cpu_millis * CPU_PERIOD_US // 1000)
        if place.version == 2:
            _write(folder / "cpu.max", f"{quota_us} {CPU_PERIOD_US}")
        else:
            _write(folder / "cpu.cfs_period_us", str(CPU_PERIOD_US))
            _write(folder / "cpu.cfs_quota_us", str(quota_us))
    if place.controller == "memory" and limits.memory_bytes is not None:
        swap, whole = "memory.swap.max", "0"
        if place.version == 2:
            _write(folder / "memory.max", str(limits.memory_bytes))
            with contextlib.suppress(OSError):
                _write(folder / "memory.oom.group", "1")
        else:
            _write(folder / "memory.limit_in_bytes", str(limits.memory_bytes))
            swap, whole = "memory.memsw.limit_in_bytes", str(limits.memory_bytes)
        with contextlib.suppress(OSError):  # a kernel without an account of swap
            _write(folder / swap, whole)


@dataclass(frozen=True, slots=True)
class _Mount:
    version: Literal[1, 2]
    root: str
    point: Path
    controllers: frozenset[str]

    def may_have(self, controller: Controller) -> bool:
        """Return whether a controller may be there; in version 2 each cgroup says it."""
        return self.version == 2 or controller in self.controllers

    def ancestry(self, cgroup: str) -> Iterator[Path]:
        """Yield the folders of a cgroup and of those that it is in, as far as they are seen."""
        inside = os.path.relpath(cgroup, self.root)
        folder = self.point
        if not inside.startswith(".."):
            folder = Path(os.path.normpath(self.point / inside))
        while True:
            yield folder
            if folder == self.point:
                return
            folder = folder.parent


def _mounts(proc: Path) -> list[_Mount]:
    found = []
    with contextlib.suppress(OSError):
        for line in (proc / "self/mountinfo").read_text(errors="surrogateescape").splitlines():
            words = line.split()
            kind, options = words[words.index("-") + 1], words[-1]
            if kind in {"cgroup", "cgroup2"}:
                version: Literal[1, 2] = 1 if kind == "cgroup" else 2
                point = Path(_ESCAPED.sub(lambda match: chr(int(match[1], 8)), words[4]))
                found.append(_Mount(version, words[3], point, frozenset(options.split(","))))
    return sorted(found, key=lambda mount: mount.version)


def _own(proc: Path) -> dict[str, str]:
    """Return the cgroup of this process for each controller, of version 2 under no name."""
    found: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in (proc / "self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            found.update(dict.fromkeys(controllers.split(","), path))
    return found


def _is_enabled(place: Place) -> bool:
    """Return whether cgroups there have a controller of version 2, switched on where allowed."""
    if place.controller == _FREEZER:
        return True  # each cgroup of version 2 has it
    control = place.parent / "cgroup.subtree_control"
    try:
        if place.controller not in (place.parent / "cgroup.controllers").read_text().split():
            return False
        if place.controller not in control.read_text().split():
            _write(control, f"+{place.controller}")
    except OSError:
        return False
    return True


async def _remove(folder: Path, clock_: clock.Clock) -> bool:
    deadline_s = clock_.monotonic_s() + REMOVE_WAIT_S
    while not _emptied(folder):
        if clock_.monotonic_s() >= deadline_s:
            return False
        await clock_.sleep(POLL_S)
    return True


def _emptied(folder: Path) -> bool:
    """Kill what is in a cgroup and those below, and remove them; return whether they are gone."""
    for inner, _, _ in os.walk(folder, topdown=False):
        _kill(Path(inner))
        with contextlib.suppress(OSError):
            os.rmdir(inner)
    return not folder.exists()


def _kill(folder: Path) -> None:
    """Kill all that is in a cgroup: at once, or frozen, or, where neither can be, one by one."""
    with contextlib.suppress(OSError):
        _write(folder / "cgroup.kill", "1")
        return
    is_frozen = _freeze(folder)
    for pid in _pids(folder):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    if is_frozen:
        with contextlib.suppress(OSError):
            _write(folder / "freezer.state", "THAWED")


def _freeze(folder: Path) -> bool:
    """Stop all that is in a cgroup of version 1; return whether it has to be thawed."""
    state = folder / "freezer.state"
    try:
        _write(state, "FROZEN")
        for _ in range(FREEZE_LOOKS_MAX):
            if state.read_text().strip() == "FROZEN":
                break
    except OSError:
        return False
    return True


def _pids(folder: Path) -> list[int]:
    try:
        every = [int(line) for line in (folder / "cgroup.procs").read_text().split()]
    except OSError:
        return []
    return [pid for pid in every if pid]  # 0 is one whose id we cannot see, and would be us


def _number(path: Path, name: str) -> int:
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            words = line.split()
            if len(words) == 2 and words[0] == name:
                return int(words[1])
    return 0


def _write(path: Path, text: str) -> None:
    """Write to a file of a cgroup; raises OSError as the kernel says."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
