"""Have each engine that this machine allows, and see what one leaves behind.

In:    Debian's packages; root.
Out:   a world for an engine; what of it is still there.
Not:   the behaviours.
Next:  test_conformance.py.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from tests.conformance import world, writing
from tests.e2e import docker

NAMES = ("process", "namespaces", "docker")


class Worlds:
    """The worlds of a run, each made when it is first asked for."""

    def __init__(
        self,
        stack: contextlib.ExitStack,
        folder: Path,
        behaviours: tuple[world.Behaviour, ...],
    ) -> None:
        self._stack = stack
        self._folder = folder
        self._behaviours = behaviours
        self._worlds: dict[str, world.World] = {}
        self._before: dict[str, set[str]] = {}

    def of(self, engine: str) -> world.World:
        """Return the world of an engine; skips the test where this machine has none."""
        if engine not in self._worlds:
            variables = self._allowed(engine)
            self._before[engine] = _traces()
            folder = self._folder / engine[:2]
            folder.mkdir()
            home = {"XDG_STATE_HOME": f"{folder}/s", "XDG_RUNTIME_DIR": f"{folder}/r"}
            made = world.World(engine, folder, self._behaviours, {**home, **variables})
            self._stack.callback(made.run, "down", "--project", world.PROJECT, check=False)
            self._worlds[engine] = made
        return self._worlds[engine]

    def _allowed(self, engine: str) -> dict[str, str]:
        """Return the variables by which an engine is found."""
        if engine == "namespaces" and os.geteuid() != 0:
            pytest.skip("waits for root")
        if engine != "docker":
            return {}
        if shutil.which("dockerd", path="/usr/sbin:/usr/bin") is None or os.geteuid() != 0:
            pytest.skip("waits for dockerd: apt-get install -y docker.io")
        # The last of the engines: from here on this thread is in the network of its own.
        started = self._stack.enter_context(docker.daemon()).own
        host = {"DOCKER_HOST": started.host}
        with docker.base().open("rb") as stream:
            subprocess.run(
                ["docker", "import", "-", writing.IMAGE],
                stdin=stream,
                env={**os.environ, **host},
                check=True,
                capture_output=True,
            )
        return host

    def left(self, engine: str) -> list[str]:
        """Return what an engine's world left on this machine."""
        state = self._folder / engine[:2] / "s" / "alongside" / world.PROJECT
        files = [str(path) for path in (state / "pods").rglob("*")] if state.exists() else []
        return sorted(_traces() - self._before[engine]) + files


def _traces() -> set[str]:
    """Return the mounts, network devices, namespaces and cgroups that are ours by their names."""
    found = {
        f"mount {line.split()[1]}"
        for line in Path("/proc/self/mounts").read_text().splitlines()
        if "alongside" in line or f" {tempfile.gettempdir()}/cf" in line
    }
    found |= {f"link {path.name}" for path in Path("/sys/class/net").iterdir()}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        controller = line.split(":")[1]
        root = Path("/sys/fs/cgroup") / controller
        # Others' may go while we look, which this way is no error.
        for folder, names, _ in os.walk(root):
            ours = [name for name in names if name.startswith("alongside")]
            found |= {f"cgroup {folder}/{name}" for name in ours}
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if b"ALONGSIDE_CHILD=" + world.PROJECT.encode() in path.read_bytes():
                found.add(f"process {path.parent.name}")
    return found
