"""The real command as somebody else: root, a user, one without namespaces, root without rights.

In:    the words of a command; who runs it.
Out:   its exit code and output, in a home of its own that goes with the test.
Not:   anything where the tests do not run as root: they can become nobody else.
Next:  test_ways_in.py.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.e2e import namespaced

ROOT = Path(__file__).parents[2]
DEADLINE_S = 60.0
NOBODY = 65534
AS_USER = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
AS_BARE_ROOT = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
LOCKED = """
import os, sys
from alongside.engines.runtimes.namespaces import kernel
outer, inner = os.pipe(), os.pipe()
pid = os.fork()
if pid == 0:
    kernel.unshare(kernel.CLONE_NEWUSER)
    os.write(outer[1], b".")
    os.read(inner[0], 1)
    with open("/proc/sys/user/max_user_namespaces", "w") as limit:
        limit.write("0")
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    os.execvp(sys.argv[1], sys.argv[1:])
os.read(outer[0], 1)
for name in ("uid_map", "gid_map"):
    with open(f"/proc/{pid}/{name}", "w") as ids:
        ids.write("0 0 100000")
os.write(inner[1], b".")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
"""Becomes a user for whom user namespaces are used up: the limit counts for those within."""


@dataclass(frozen=True)
class World:
    """Who runs commands, and where."""

    before: tuple[str, ...]
    python: str
    home: Path
    path: str

    def variables(self, **more: str) -> dict[str, str]:
        """Return the environment: nothing but what a new user has, and where our code is."""
        packages = [one for one in sys.path if one.endswith("-packages")]
        places = (str(ROOT / "python"), str(ROOT), *packages)
        return {
            "PATH": self.path,
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join(places),
            "PYTHONDONTWRITEBYTECODE": "1",
            "ALONGSIDE_DATAPLANE": str(namespaced.BINARY),
            **more,
        }

    def argv(self, *words: str) -> Sequence[str]:
        """Return the whole command line for words of `alongside`."""
        return (*self.before, self.python, "-m", "alongside", *words)

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `alongside` by these words, to its end."""
        return subprocess.run(
            self.argv(*words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            env=self.variables(**variables),
            cwd=self.home,
            check=False,
        )


@contextlib.contextmanager
def world(name: str) -> Iterator[World]:
    """Give one of the worlds, with a home that its user owns: root, user, locked or bare."""
    python = namespaced.python_of_everyone()
    assert python is not None
    home = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="alongside-world-"))
    (home / "bin").mkdir()
    before: dict[str, tuple[str, ...]] = {
        "root": (),
        "user": AS_USER,
        "locked": (python, "-c", LOCKED),
        "bare": tuple(shutil.which(one) or one for one in AS_BARE_ROOT),
    }
    if name in {"user", "locked"}:
        os.chown(home, NOBODY, NOBODY)
    path = str(home / "bin") if name == "bare" else "/usr/local/bin:/usr/bin:/bin"
    try:
        yield World(before[name], python, home, path)
    finally:
        shutil.rmtree(home)
