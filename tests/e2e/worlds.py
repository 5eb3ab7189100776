"""The real command as somebody else: root, a user, one without namespaces, root without rights.

In:    the words of a command; who runs it; the wheel, installed where everybody may look, since
       the checkout may be in a folder that only root may enter.
Out:   its exit code and output, in a home of its own that goes with the test.
Not:   anything where the tests do not run as root: they can become nobody else.
Next:  test_ways_in.py.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.contract import wheels
from tests.e2e import namespaced

DEADLINE_S = 60.0
PLACE = "/var/tmp"  # noqa: S108 - of folders with names of chance
USER = namespaced.USER
AS_USER = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups")
OWN_TUN = """
mount -t tmpfs none /dev/net && mknod /dev/net/tun c 10 200 && chmod 666 /dev/net/tun
exec "$@"
"""
"""Lets a user have a way out also where the device is root's alone."""
AS_BARE_ROOT = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
LOCKED = f"""
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
    os.setresgid({USER}, {USER}, {USER})
    os.setresuid({USER}, {USER}, {USER})
    os.execvp(sys.argv[1], sys.argv[1:])
os.read(outer[0], 1)
for name in ("uid_map", "gid_map"):
    with open(f"/proc/{{pid}}/{{name}}", "w") as ids:
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
        """Return the environment: nothing but what a new user has."""
        return {"PATH": self.path, "HOME": str(self.home), "LANG": "C.UTF-8", **more}

    def argv(self, *words: str) -> Sequence[str]:
        """Return the whole command line for words of `alongside`."""
        return (*self.before, str(installed().script("alongside")), *words)

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `alongside` by these words, to its end; the variables are added to a user's own."""
        return self.bare(*words, **self.variables(**variables))

    def bare(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `alongside` by these words, to its end; there are no other variables than these."""
        return subprocess.run(
            self.argv(*words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            env=variables,
            cwd=self.home,
            check=False,
        )


@functools.cache
def installed() -> wheels.Installed:
    """Return an installation that everybody may run; it is there until the tests end."""
    python = namespaced.python_of_everyone()
    assert python is not None
    folder = Path(tempfile.mkdtemp(dir=PLACE, prefix="alongside-installed-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    before = os.umask(0o022)
    try:
        return wheels.install(wheels.wheel(folder / "wheel"), folder / "env", python=python)
    finally:
        os.umask(before)


@contextlib.contextmanager
def world(name: str) -> Iterator[World]:
    """Give one of the worlds, with a home that its user owns.

    Args:
        name: root; user; outgoing, a user who may open the device of tunnels; locked, one who may
            make no user namespaces; bare, root without its rights.
    """
    python = str(installed().script("python"))
    # Short, since sockets lie below it.
    home = Path(tempfile.mkdtemp(dir=PLACE, prefix="aw-"))
    (home / "bin").mkdir()
    before: dict[str, tuple[str, ...]] = {
        "root": (),
        "user": AS_USER,
        "outgoing": ("unshare", "--mount", "/bin/sh", "-c", OWN_TUN, "sh", *AS_USER),
        "locked": (python, "-c", LOCKED),
        "bare": tuple(shutil.which(one) or one for one in AS_BARE_ROOT),
    }
    if name in {"user", "outgoing", "locked"}:
        os.chown(home, USER, USER)
    path = str(home / "bin") if name == "bare" else "/usr/local/bin:/usr/bin:/bin"
    try:
        yield World(before[name], python, home, path)
    finally:
        shutil.rmtree(home)
