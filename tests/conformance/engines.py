"""Have each engine that this machine allows, and see what one leaves behind.

In:    Debian's packages; root.
Out:   a world for an engine; what of it is still there.
Not:   the behaviours.
Next:  test_conformance.py.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.conformance import leavings, world, writing
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
        self._namespaces: dict[str, leavings.Namespaces] = {}
        self.docker: docker.Engine | None = None
        """The Docker engine, where there is one."""

    def of(self, engine: str) -> world.World:
        """Return the world of an engine; skips the test where this machine has none."""
        if engine not in self._worlds:
            variables = self._allowed(engine)
            self._before[engine] = self._traces(engine)
            folder = self._folder / engine[:2]
            folder.mkdir()
            home = {"XDG_STATE_HOME": f"{folder}/s", "XDG_RUNTIME_DIR": f"{folder}/r"}
            made = world.World(engine, folder, self._behaviours, {**home, **variables})
            made.before_down = functools.partial(self._note, engine)
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
        self.docker = started = self._stack.enter_context(docker.daemon()).own
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
        """Return what an engine's world left on this machine, and in the Docker engine."""
        state = self._state(engine)
        files = [str(path) for path in (state / "pods").rglob("*")] if state.exists() else []
        traces = self._traces(engine) - self._before[engine]
        return sorted(traces | self._namespaces[engine].left()) + files

    def _state(self, engine: str) -> Path:
        return self._folder / engine[:2] / "s" / "alongside" / world.PROJECT

    def _traces(self, engine: str) -> set[str]:
        return leavings.traces(self._state(engine), self.docker if engine == "docker" else None)

    def _note(self, engine: str) -> None:
        """Note what namespaces the pods have, while they have them."""
        noted = leavings.Namespaces(self._state(engine))
        assert engine != "namespaces" or len(noted) > 0, "no namespaces of a pod are seen"
        self._namespaces[engine] = noted
