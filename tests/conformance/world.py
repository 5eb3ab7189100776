"""Bring all behaviours' pods up at once on one engine, and see what became of them.

In:    an engine's name, the behaviours.
Out:   lines that containers left, the status, logs; phases: alone, up, changed, down.
Not:   judging (behaviours).
Next:  test_conformance.py.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import yaml
from tests import ports

from alongside.engines.local import folders
from alongside.server import client

if TYPE_CHECKING:
    from tests.conformance.values import Value

Phase = Literal["alone", "up", "changed", "down"]
PHASES: tuple[Phase, ...] = ("alone", "up", "changed", "down")
"""`alone` is before all others, for what ends everything; its pods are not in the later ones."""
WAIT_S = 60.0
COMMAND_S = 300.0
BEGIN_S = 240.0
"""A Docker engine takes a third of a second for each container, on a machine with nothing to do."""
PROJECT = "conformance"


@dataclass(frozen=True)
class Behaviour:
    """One promise: the resources that show it, and how to see that it holds."""

    name: str
    resources: Callable[[World], list[Value]]
    check: Callable[[World], None]
    phase: Phase = "up"
    changed: Callable[[World], list[Value]] | None = None
    """The resources from the second `up` on; None for the same."""
    engines: tuple[str, ...] = ("process", "namespaces", "docker")
    is_ready: bool = True
    """Whether its pods are meant to become ready."""


@dataclass
class World:
    """One project on one engine."""

    engine: str
    folder: Path
    behaviours: tuple[Behaviour, ...]
    variables: Mapping[str, str]
    phase: Phase | None = None
    before_down: Callable[[], None] | None = None
    """Called when all is up for the last time."""
    _ports: dict[str, int] = field(default_factory=dict)
    _broken: str = ""

    @property
    def lines_folder(self) -> str:
        """The folder of lines on this machine."""
        path = self.folder / "lines"
        path.mkdir(exist_ok=True)
        path.chmod(0o777)
        return str(path)

    def port(self, key: str) -> int:
        """Return a port of this world that was free when it was first asked for."""
        if key not in self._ports:
            self._ports[key] = ports.free_port()
        return self._ports[key]

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of ours."""
        ran = subprocess.run(
            [sys.executable, "-m", "alongside", *words],
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            env={**os.environ, **self.variables},
            cwd=self.folder,
            check=False,
        )
        assert not check or ran.returncode == 0, (
            f"{words}: {ran.returncode}\n{ran.stdout}{ran.stderr}"
        )
        return ran

    def up(self, phase: Phase) -> None:
        """Bring the resources of a phase's behaviours up, without waiting until all is ready."""
        documents: list[Value] = []
        for one in self.behaviours:
            if self.engine in one.engines and (one.phase == "alone") == (phase == "alone"):
                is_changed = phase == "changed"
                make = one.changed if is_changed and one.changed is not None else one.resources
                documents += make(self)
        path = self.folder / "conformance.yaml"
        path.write_text(yaml.safe_dump_all(documents))
        words = ["up", str(path), "--detach", "--engine", self.engine, "--project", PROJECT]
        ran = self.run(*words, "--ready-timeout", "1s", check=False)
        assert ran.returncode in {0, 1}, f"{ran.stdout}{ran.stderr}"
        assert "does not start" not in ran.stderr, ran.stderr
        self.until("all pods have begun", self._has_begun, wait_s=BEGIN_S)

    def _has_begun(self) -> bool:
        every = self.status()["processes"]
        return all(one["phase"] not in {"Pending", None} for one in every)

    def reach(self, phase: Phase) -> None:
        """Go on to a phase, through those before it; one that failed fails for all."""
        assert not self._broken, self._broken
        while self.phase is None or PHASES.index(self.phase) < PHASES.index(phase):
            following = PHASES[0 if self.phase is None else PHASES.index(self.phase) + 1]
            try:
                if following == "down":
                    if self.before_down is not None:
                        self.before_down()
                    self.run("down", "--project", PROJECT)
                else:
                    self.up(following)
            except BaseException as error:
                self._broken = f"could not get to {following}: {error}"
                raise
            self.phase = following

    def lines(self, pod: str) -> list[str]:
        """Return the lines that the containers of a pod left."""
        path = Path(self.lines_folder) / pod
        return path.read_text().splitlines() if path.exists() else []

    def until(self, what: str, holds: Callable[[], object], *, wait_s: float = WAIT_S) -> None:
        """Wait until something holds; fails with what was awaited."""
        deadline_s = time.monotonic() + wait_s
        while not holds():
            assert time.monotonic() < deadline_s, f"not within {wait_s:g} s: {what}"
            time.sleep(0.05)

    def until_line(self, pod: str, line: str) -> None:
        """Wait until a pod left a line."""
        self.until(f"{pod}: {line!r}, it left {self.lines(pod)}", lambda: line in self.lines(pod))

    def status(self) -> Value:
        """Return the project's status."""
        # By the command's own client: a new Python for each look would take most of the time.
        places = folders.of_project(PROJECT, {**os.environ, **self.variables})
        return dict(client.Client(places).status())

    def pod(self, name: str) -> Value:
        """Return the status of a pod, an empty one where there is none."""
        return next((one for one in self.status()["processes"] if one["name"] == name), {})

    def container(self, pod: str, name: str) -> Value:
        """Return the status of a container, an empty one where there is none."""
        every = self.pod(pod).get("containers", [])
        return next((one for one in every if one["name"] == name), {})

    def kill(self, pod: str, name: str) -> None:
        """Send SIGKILL to the program of a container."""
        number = self.container(pod, name)["id"]
        if self.engine == "docker":
            self._docker("kill", "--signal", "KILL", str(number))
        else:
            os.kill(int(number), signal.SIGKILL)

    def kill_surroundings(self, pod: str) -> None:
        """Send SIGKILL to what holds a pod's network: its sandbox, or the process called pause."""
        if self.engine == "docker":
            shown = '{{.ID}} {{.Label "dev.alongside.container"}}'
            filters = ("--filter", f"label=dev.alongside.pod={pod}")
            held = self._docker("ps", *filters, "--format", shown).splitlines()
            [sandbox] = [line.strip() for line in held if len(line.split()) == 1]
            self._docker("kill", "--signal", "KILL", sandbox)
        else:
            os.kill(self._pause(pod), signal.SIGKILL)

    def kill_all(self, pod: str) -> None:
        """Send SIGKILL to all that a pod is, its surroundings and what its programs left too."""
        if self.engine == "docker":
            filters = ("--filter", f"label=dev.alongside.pod={pod}")
            held = self._docker("ps", "--quiet", *filters).split()
            # One that ended with another is killed in vain.
            self._docker("kill", "--signal", "KILL", *held, check=False)
            return
        names = (f"{PROJECT}/{pod}/", f"{PROJECT}/pod/{pod}/")
        for pid, mark in self._marked():
            if f"{mark}/".startswith(names):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _pause(self, pod: str) -> int:
        """Return the process that carries the mark of a pod and of none of its containers."""
        [pause] = [pid for pid, mark in self._marked() if mark == f"{PROJECT}/pod/{pod}"]
        return pause

    def _marked(self) -> list[tuple[int, str]]:
        """Return the processes of the project, each with its mark."""
        name, home = b"ALONGSIDE_CHILD=", f"ALONGSIDE_CHILD_HOME={self.folder}/".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                carried = path.read_bytes().split(b"\0")
                if any(one.startswith(home) for one in carried):
                    marks = [one[len(name) :].decode() for one in carried if one.startswith(name)]
                    found += [(int(path.parent.name), mark) for mark in marks]
        return found

    def _docker(self, *words: str, check: bool = True) -> str:
        variables = {**os.environ, **self.variables}
        return subprocess.run(
            ["docker", *words], env=variables, check=check, capture_output=True, text=True
        ).stdout

    def address(self, service: str, port: int) -> tuple[str, int]:
        """Return where this machine reaches a Service's port."""
        found = self.status()["services"][service][str(port)]
        host, _, number = found.rpartition(":")
        return host, int(number)

    def ask(self, address: tuple[str, int]) -> str:
        """Return what a server says that speaks first, or nothing where it does not answer."""
        try:
            with socket.create_connection(address, timeout=5) as connection:
                return connection.makefile().readline().strip()
        except OSError:
            return ""
