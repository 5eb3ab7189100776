"""Make a container's root: the host's own folders, and over them what is the container's.

The new root is a tmpfs in a mount namespace of its own, with each top-level folder of the host
bound in. A mount point that is not there is made on a tmpfs over the nearest folder that is; what
that folder holds is bound in again. So nothing is ever made in a folder of the host's.

Imported by scripts that start for each container, so it imports little itself.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

from alongside.engines.pods import beneath
from alongside.engines.runtimes.namespaces import kernel

if TYPE_CHECKING:
    from alongside.engines.runtimes.namespaces import orders

_OLD = "/.old"
_TEMPORARY = "/tmp"  # noqa: S108 - it is where the container's own one is mounted
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = (
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
)
_MADE = frozenset({"dev", "proc", "sys", "tmp"})
_SHUT = ("sys", "sysrq-trigger", "irq", "bus", "fs")
"""Of /proc: what changes the machine."""
_ROOT_OPTIONS = "mode=755,size=64m"
_FLAGS = {"nosuid": kernel.MS_NOSUID, "nodev": kernel.MS_NODEV, "noexec": kernel.MS_NOEXEC}
_PATH = os.O_PATH | os.O_CLOEXEC


class Root:
    """A container's root while it is made."""

    def __init__(self, order: orders.ContainerOrder) -> None:
        """Take what it is to be made from; `make` does it."""
        self._order = order
        self._ours: set[int] = set()
        """Devices that are a tmpfs of ours, in which anything may be made."""
        self._places: dict[str, bool] = {}
        """Bound folders, and whether mount points may be made in them."""

    def make(self) -> None:
        """Become the only user of it; the current folder is / then.

        Raises:
            OSError: what cannot be mounted or is not there.
        """
        kernel.unshare(kernel.CLONE_NEWNS)
        kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_SLAVE)
        order = self._order
        opened = [(mount, open_source(mount)) for mount in order["mounts"]]
        kept = [(path, os.open(path, _PATH)) for path in order["kept"]]
        scratch, shm = os.open(order["scratch"], _PATH), os.open(order["shm"], _PATH)
        stage = order["stage"]
        kernel.mount("alongside", stage, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, _ROOT_OPTIONS)
        self._ours.add(os.stat(stage).st_dev)
        for name in os.listdir("/"):
            if name not in _MADE:
                _show(f"/{name}", f"{stage}/{name}")
        for name in sorted(_MADE):
            os.mkdir(f"{stage}/{name}")
        self._mount_kernels(stage, shm)
        kernel.bind(_by(scratch), stage + _TEMPORARY)
        self._places[_TEMPORARY] = True
        os.mkdir(stage + _OLD)
        kernel.pivot_root(stage, stage + _OLD)
        os.chdir("/")
        for path, descriptor in sorted(kept):
            os.makedirs(path, exist_ok=True)
            kernel.bind(_by(descriptor), path)
            self._places[path] = False
        for mount, descriptor in sorted(opened, key=lambda one: one[0]["target"].count("/")):
            self._mount(mount, descriptor)
        self._ensure(order["directory"], is_folder=True)
        # Only now: nothing can be bound from a mount that is taken away.
        kernel.unmount(_OLD)
        os.rmdir(_OLD)
        self._shut()

    def _mount_kernels(self, stage: str, shm: int) -> None:
        """Mount /proc, /sys and /dev."""
        # While the old ones can be seen: user namespaces may mount no more than they see.
        if self._order["has_pids"]:
            flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
            kernel.mount("proc", f"{stage}/proc", "proc", flags)
        else:
            kernel.bind("/proc", f"{stage}/proc")
        try:
            kernel.mount("sysfs", f"{stage}/sys", "sysfs", kernel.MS_RDONLY | kernel.MS_NOSUID)
            with contextlib.suppress(OSError):
                kernel.bind("/sys/fs/cgroup", f"{stage}/sys/fs/cgroup")
        except OSError:
            # The host's network is not the user namespace's to show.
            kernel.bind("/sys", f"{stage}/sys")
        dev = f"{stage}/dev"
        kernel.mount("alongside", dev, "tmpfs", kernel.MS_NOSUID, "mode=755,size=64k")
        self._ours.add(os.stat(dev).st_dev)
        for name in _DEVICES:
            _show(f"/dev/{name}", f"{dev}/{name}")
        for name, target in _DEVICE_LINKS:
            os.symlink(target, f"{dev}/{name}")
        for name in ("pts", "shm", "mqueue"):
            os.mkdir(f"{dev}/{name}")
        options = "newinstance,ptmxmode=0666,mode=0620"
        kernel.mount("devpts", f"{dev}/pts", "devpts", kernel.MS_NOSUID, options)
        kernel.bind(_by(shm), f"{dev}/shm")
        with contextlib.suppress(OSError):
            kernel.mount("mqueue", f"{dev}/mqueue", "mqueue", kernel.MS_NOSUID)

    def _mount(self, mount: orders.MountOrder, descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        path = self._ensure(mount["target"], is_folder=is_folder)
        kernel.bind(_by(descriptor), path)
        self._places[path] = mount["is_own"]
        if mount["is_read_only"]:
            kernel.make_read_only(path)

    def _ensure(self, path: str, *, is_folder: bool) -> str:
        """Return where a path leads, after making it if nothing is there."""
        path = os.path.realpath(path)
        if os.path.exists(path):
            if os.path.isdir(path) != is_folder:
                kind, other = ("file", "folder") if is_folder else ("folder", "file")
                raise OSError(f"{path} is a {kind} of this machine, and a {other} is mounted there")
            return path
        nearest = os.path.dirname(path)
        while not os.path.exists(nearest):
            nearest = os.path.dirname(nearest)
        if not self._may_make_in(nearest):
            self._cover(nearest)
        os.makedirs(path if is_folder else os.path.dirname(path), exist_ok=True)
        if not is_folder:
            _touch(path)
        return path

    def _may_make_in(self, path: str) -> bool:
        if os.stat(path).st_dev in self._ours:
            return True
        while path not in self._places:
            if path == "/":
                return False
            path = os.path.dirname(path)
        return self._places[path]

    def _cover(self, path: str) -> None:
        """Mount a tmpfs over a folder, with all that it holds bound in again."""
        try:
            below = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            names = os.listdir(below)
        except OSError as error:
            raise OSError(f"no mount point can be made in {path}: {error.strerror}") from error
        found = os.fstat(below)
        options = f"mode={stat.S_IMODE(found.st_mode):o}"
        kernel.mount("alongside", path, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)
        with contextlib.suppress(OSError):  # an owner that this user namespace does not know
            os.chown(path, found.st_uid, found.st_gid)
        self._ours.add(os.stat(path).st_dev)
        for name in names:
            _show(f"{_by(below)}/{name}", f"{path}/{name}")
        os.close(below)

    def _shut(self) -> None:
        """Let nothing be written to what is the machine's, nor to the root where it is asked so."""
        for name in _SHUT:
            with contextlib.suppress(OSError):
                kernel.bind(f"/proc/{name}", f"/proc/{name}")
                kernel.make_read_only(f"/proc/{name}")
        for path, flags in _mounts():
            # Also what is mounted below: /proc/sys/fs/binfmt_misc says how programs are run.
            if path.startswith(("/proc/sys/", "/sys/")) or path == "/sys":
                with contextlib.suppress(OSError):
                    _lock(path, flags)
            elif self._order["is_read_only"] and not self._is_apart(path):
                _lock(path, flags)

    def _is_apart(self, path: str) -> bool:
        """Return whether a mount belongs to a volume, or to what is never read-only."""
        apart = ("/proc", "/dev", *(os.path.realpath(m["target"]) for m in self._order["mounts"]))
        return any(path == one or path.startswith(f"{one}/") for one in apart)


def open_source(mount: orders.MountOrder) -> int:
    """Return a descriptor of what is mounted; a sub-path that leads out of the volume is refused.

    Raises:
        OSError: it is not there, or outside.
    """
    return beneath.opened(mount["source"], mount["sub_path"], makes=mount["makes_sub_path"])


def _show(source: str, target: str) -> None:
    """Let an entry of the host's be seen at another place; what cannot be shown is empty there."""
    try:
        found = os.lstat(source)
    except OSError:
        return
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(source), target)
        return
    if stat.S_ISDIR(found.st_mode):
        os.mkdir(target)
    else:
        _touch(target)
    with contextlib.suppress(OSError):
        kernel.bind(source, target)


def _touch(path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def _by(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"


def _lock(path: str, flags: int) -> None:
    kernel.mount("none", path, flags=kernel.MS_BIND | kernel.MS_REMOUNT | kernel.MS_RDONLY | flags)


def _mounts() -> list[tuple[str, int]]:
    """Return each mount point of this namespace and the flags that a remount has to keep."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
        for line in stream:
            fields = line.split()
            path = fields[4].encode("utf-8", "surrogateescape").decode("unicode_escape")
            path = path.encode("latin-1").decode("utf-8", "surrogateescape")
            flags = 0
            for option in fields[5].split(","):
                flags |= _FLAGS.get(option, 0)
            found.append((path, flags))
    return found
