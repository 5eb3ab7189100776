"""Write down which namespaces are a project's, so that who comes after finds all that is in them.

A namespace's number is another's when it is gone, and the machine's own were ours never. So what
was written counts in the same boot only, and where somebody of ours is still in it: the process
that holds it, or one that carries the pod's marks. Newer kernels (6.18) also number namespaces so
that no other ever gets the number: by that one is ours whoever is left in it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import errors, files
from alongside.engines.processes import groups
from alongside.engines.runtimes.namespaces import members

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BYTES_MAX = 1 << 16
_BOOT = Path("/proc/sys/kernel/random/boot_id")
KINDS: tuple[members.Kind, ...] = ("mnt", "ipc", "net", "uts", "pid")


@dataclass(frozen=True, slots=True)
class Record:
    """The namespaces of one pod."""

    mark: str
    """That its processes carry."""
    holder: groups.Identity
    """The process that they were made for."""
    ids: Mapping[members.Kind, members.Id]
    serials: Mapping[members.Kind, int] = field(default_factory=dict)
    """Of those, where the kernel has such a number."""


class Records:
    """The namespaces of one project's pods, a file for each pod."""

    def __init__(self, home: Path, *, boot: Path = _BOOT) -> None:
        """Take the project's state folder, and what says which boot of the machine this is."""
        self._home = str(home)
        self._folder = home / "namespaces"
        self._boot = boot

    def add(self, record: Record) -> None:
        """Write a pod's namespaces down, before anything of a user's runs in them.

        Raises:
            OSError: it cannot be written.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        value = {
            "boot": self._this_boot(),
            "mark": record.mark,
            "holder": [record.holder.pid, record.holder.started],
            "ids": {kind: list(one) for kind, one in record.ids.items()},
            "serials": dict(record.serials),
        }
        self._path(record.holder).write_text(json.dumps(value))

    def drop(self, holder: groups.Identity) -> None:
        """Forget a pod's namespaces, when nothing is in them."""
        self._path(holder).unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget all of them."""
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                path.unlink()
            self._folder.rmdir()

    def read(self) -> list[Record]:
        """Return what was written down in this boot."""
        found: list[Record] = []
        with contextlib.suppress(OSError):
            for path in sorted(self._folder.iterdir()):
                with contextlib.suppress(ValueError, TypeError, KeyError, errors.UsageError):
                    value = json.loads(files.read_if_exists(path, bytes_max=BYTES_MAX) or b"{}")
                    if value["boot"] == self._this_boot():
                        found.append(_record(value))
        return found

    @contextlib.contextmanager
    def held(self) -> Iterator[dict[members.Kind, set[members.Id]]]:
        """Give those namespaces that are provably ours; none becomes another's meanwhile.

        Those of the machine and of this process are not, whatever is written: all that is in them
        would be killed.
        """
        ours: dict[members.Kind, set[members.Id]] = defaultdict(set)
        with contextlib.ExitStack() as stack:
            for record in self.read():
                for kind, wanted in record.ids.items():
                    if wanted in _strangers(kind):
                        continue
                    descriptor = self._proven(record, kind, wanted)
                    if descriptor is not None:
                        stack.callback(os.close, descriptor)
                        ours[kind].add(wanted)
            yield ours

    def _proven(self, record: Record, kind: members.Kind, wanted: members.Id) -> int | None:
        """Return a descriptor of a pod's namespace, where it is certainly the pod's."""
        for pid in self._inside(record):
            descriptor = members.hold(pid, kind, wanted)
            if descriptor is not None:
                return descriptor
        if kind not in record.serials:
            return None
        for one in members.inside({wanted}, kind):
            descriptor = members.hold(one.identity.pid, kind, wanted)
            if descriptor is not None:
                if members.serial(descriptor) == record.serials[kind]:
                    return descriptor
                os.close(descriptor)
        return None

    def _inside(self, record: Record) -> list[int]:
        """Return who of ours may be in a pod's namespaces: its holder, else what has its marks."""
        if groups.is_alive(record.holder):
            return [record.holder.pid]
        marked = members.carrying(self._home, record.mark, below=True)
        return [one.identity.pid for one in marked]

    def _this_boot(self) -> str:
        return self._boot.read_text().strip()

    def _path(self, holder: groups.Identity) -> Path:
        return self._folder / f"{holder.pid}-{holder.started}.json"


def _strangers(kind: members.Kind) -> set[members.Id | None]:
    return {members.of_process(pid, kind) for pid in (1, os.getpid())}


def _record(value: dict[str, object]) -> Record:
    """Return what a file says; raises ValueError, TypeError or KeyError where it says nothing."""
    holder, ids = value["holder"], value["ids"]
    if not isinstance(holder, list) or not isinstance(ids, dict):
        raise TypeError("no record of namespaces")
    pid, started = holder
    found: dict[members.Kind, members.Id] = {}
    for kind in KINDS:
        if kind in ids:
            device, number = ids[kind]
            found[kind] = members.Id((int(device), int(number)))
    told = value.get("serials", {})
    if not isinstance(told, dict):
        raise TypeError("no numbers of namespaces")
    serials = {kind: int(told[kind]) for kind in KINDS if kind in told}
    return Record(str(value["mark"]), groups.Identity(int(pid), int(started)), found, serials)
