"""Read what the kernel knows: who used which core for how long, and what machine this is."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
import re
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True, slots=True)
class Core:
    """The time of one core since the start of the machine, in seconds."""

    idle_s: float
    stolen_s: float


def core(number: int) -> Core:
    """Return the times of a core; `idle_s` counts waiting for a disk too.

    Idle time is exact where the tick is off on idle cores; the kinds of busy time are sampled
    by the tick and would be biased.
    """
    found = re.search(rf"^cpu{number} (.*)$", (PROC / "stat").read_text(), flags=re.M)
    if found is None:
        raise ProcessLookupError(f"/proc/stat has no core {number}")
    ticks = [int(word) for word in found[1].split()]
    return Core((ticks[3] + ticks[4]) * TICK_S, ticks[7] * TICK_S)


def family(roots: Iterable[int]) -> set[int]:
    """Return process ids with those of all their descendants."""
    parents: dict[int, int] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                # The second field is a name in brackets that may hold anything.
                rest = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(entry.name)] = int(rest[1])
    members = set(roots)
    while more := {child for child, parent in parents.items() if parent in members} - members:
        members |= more
    return members


def cpu_s(processes: Iterable[int]) -> float:
    """Return the CPU time of all threads of processes so far, to the nanosecond.

    A process that has ended counts nothing: nginx's cache loader ends by itself after a minute.
    """
    total_ns = 0
    for process in processes:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for task in (PROC / str(process) / "task").iterdir():
                total_ns += int((task / "schedstat").read_text().split()[0])
    return total_ns / 1e9


def pair() -> tuple[int, int]:
    """Return a core for the servers under measurement and one for origins and load.

    Raises:
        OSError: this process may use only one core.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise OSError("one core is not enough: servers and load would take turns; allow two")
    return cores[0], cores[1]


def kind() -> str:
    """Return what machine this is, without naming it: processor, cores, kernel."""
    text = (PROC / "cpuinfo").read_text()
    found = re.search(r"^model name\s*: (.*)$", text, flags=re.M)
    model = found[1].strip() if found else platform.machine()
    kernel = re.match(r"[\d.]*\d", platform.release())
    version = kernel[0] if kernel else platform.release()
    return f"{os.cpu_count()} cores of {model}, {platform.system()} {version}"
