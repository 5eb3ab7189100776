"""See what of a project is on this machine: files, mounts, links, namespaces, processes.

In:    a project's state folder; a Docker engine, where it has one.
Out:   what is there by its kind and name, so that a difference is what was left.
Not:   taking it away.
Next:  engines.py.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from tests.e2e import docker

PROC = Path("/proc")
KINDS = ("net", "mnt", "ipc", "uts", "pid", "user", "cgroup")
_STARTED = 19
"""Where a process's start stands among what follows its name in /proc/PID/stat."""


def traces(home: Path, engine: docker.Engine | None = None) -> set[str]:
    """Return what is ours by its name, and all links, addresses and things of a Docker engine.

    Other projects of this machine may come and go meanwhile.
    """
    named = f"alongside-{hashlib.sha256(str(home).encode()).hexdigest()[:16]}-"
    found = {
        f"mount {line.split()[1]}"
        for line in Path("/proc/self/mounts").read_text().splitlines()
        if f"{home}/" in line
    }
    # Not /sys/class/net, which tells of the network in which it was mounted.
    devices = Path("/proc/thread-self/net/dev").read_text().splitlines()[2:]
    found |= {f"link {line.partition(':')[0].strip()}" for line in devices}
    rows = [line.split() for line in docker.run("ip", "-oneline", "address").splitlines()]
    found |= {f"address {row[1]} {row[3]}" for row in rows}
    found |= {f"memory {path}" for path in Path("/dev/shm").glob("alongside*")}  # noqa: S108
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        controller = line.split(":")[1]
        root = Path("/sys/fs/cgroup") / controller
        # Others' may go while we look, which this way is no error.
        for folder, names, _ in os.walk(root):
            ours = [name for name in names if name.startswith(named)]
            found |= {f"cgroup {folder}/{name}" for name in ours}
    found |= {f"process {path.name}" for path in _marked(home)}
    if engine is not None:
        found |= set(docker.things(engine))
    return found


class Namespaces:
    """The namespaces that a project's processes are in, and who is still in one of them."""

    def __init__(self, home: Path) -> None:
        """Note them while the project is up; those of this process are none of them."""
        own = set(_namespaces(PROC / "self"))
        self._noted = {one for path in _marked(home) for one in _namespaces(path) if one not in own}
        now_s = float((PROC / "uptime").read_text().split()[0])
        self._noted_at = int(now_s * os.sysconf("SC_CLK_TCK"))

    def __len__(self) -> int:
        return len(self._noted)

    def left(self) -> set[str]:
        """Return who holds one of them: by being in it, by a descriptor, or by a mount.

        The system gives a number again once it is free, so that who came later does not count,
        nor what this process is in, which may have entered a network of its own meanwhile.
        """
        found = set[str]()
        for path in PROC.glob("[0-9]*"):
            is_self = path.name == str(os.getpid())
            with contextlib.suppress(OSError, IndexError, ValueError):
                if _started(path) > self._noted_at:
                    continue
                held = (*(() if is_self else _namespaces(path)), *_opened(path))
                found |= {f"{one} of {_who(path)}" for one in held if one in self._noted}
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            row = line.split()
            if row[3] in self._noted:
                found.add(f"{row[3]} at {row[4]}")
        return found


def _started(path: Path) -> int:
    return int((path / "stat").read_text().rpartition(")")[2].split()[_STARTED])


def _who(path: Path) -> str:
    words = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return f"process {path.name} ({words.strip() or 'a zombie'})"


def _marked(home: Path) -> Iterator[Path]:
    mark = f"ALONGSIDE_CHILD_HOME={home}".encode()
    for path in PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (path / "environ").read_bytes().split(b"\0"):
                yield path


def _namespaces(path: Path) -> Iterator[str]:
    for kind in KINDS:
        with contextlib.suppress(OSError):
            yield str((path / "ns" / kind).readlink())


def _opened(path: Path) -> Iterator[str]:
    for descriptor in (path / "fd").iterdir():
        with contextlib.suppress(OSError):
            yield str(descriptor.readlink())
