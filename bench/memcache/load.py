"""Send commands: `load.c`, compiled where it is needed."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path

from bench.http import load, servers
from bench.memcache import cases

SOURCE = Path(__file__).with_name("load.c")


def compiled(folder: Path) -> Path:
    """Return the program, compiled into a folder.

    Raises:
        OSError: there is no compiler, or it refuses.
    """
    path = folder / "load"
    done = subprocess.run(
        ["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(path), str(SOURCE)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise OSError(f"cc does not compile {SOURCE.name}: {done.stderr[-500:]}")
    return path


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """The load of one case, on a list of cores as of `taskset`."""

    program: Path
    case: cases.Case
    cores: str

    def fill(self, port: int) -> None:
        """Set every key once.

        Raises:
            load.LoadError: a command failed.
        """
        report, _ = self._run(port, 0, depth=16)
        if report.requests != cases.KEYS:
            raise load.LoadError(f"only {report.requests} of {cases.KEYS} keys were set")

    def run(self, port: int, seconds: int) -> tuple[load.Figures, float]:
        """Return what the load reports after some seconds, and its own CPU time in seconds.

        Raises:
            load.LoadError: a command failed, or a key was missing.
        """
        return self._run(port, seconds, self.case.depth)

    def _run(self, port: int, seconds: int, depth: int) -> tuple[load.Figures, float]:
        case = self.case
        numbers = (case.connections, depth, seconds, case.get_percent, case.value_bytes)
        command = (
            *("taskset", "--cpu-list", self.cores, str(self.program), case.protocol),
            *(servers.HOST, str(port)),
            *(str(number) for number in (*numbers, cases.KEYS, case.keys_per_get)),
        )
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        with process:
            said = process.stdout.read() if process.stdout else ""
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise load.LoadError(f"the load ended with {process.returncode}: {said[-500:]}")
        return load.reported(said), usage.ru_utime + usage.ru_stime
