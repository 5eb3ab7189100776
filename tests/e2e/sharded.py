"""The example of a sharded memcache, copied, with ports that nobody has, and its commands.

In:    an engine to run it with; `docker` brings one of its own.
Out:   what lines of its README print; answers of its application; containers, and their ends.
Not:   any retry: each answer that is not good is kept.
Next:  test_sharded_example.py.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests import ports
from tests.e2e import docker, fleets, steady

from alongside.engines.local import folders
from alongside.server import client

NAME = "sharded-memcache"
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / NAME
USERS = 50
"""Of each client of a load."""


class Example:
    """The example's folder, and the lines of its README."""

    def __init__(self, base: Path, engine: str, own: docker.Engine | None = None) -> None:
        self.base = base
        self.folder = base / NAME
        self.engine = engine
        self.own = own
        shutil.copytree(EXAMPLE, self.folder)
        mine = {port: ports.free_port() for port in ("11211", "8000")}
        self.port, self.cache_port = mine["8000"], mine["11211"]
        for path in (*self.folder.glob("*.yaml"), self.folder / "README.md"):
            text = path.read_text()
            for port, own_port in mine.items():
                text = text.replace(port, str(own_port))
            path.write_text(text.replace(" --detach", f" --detach --engine {engine}"))

    def variables(self) -> dict[str, str]:
        """Return the environment of a command."""
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "XDG_STATE_HOME": f"{self.base}/s",
            "XDG_RUNTIME_DIR": f"{self.base}/r",
            **({"DOCKER_HOST": self.own.host} if self.own is not None else {}),
        }

    def run(self, line: str, *, may_fail: bool = False) -> str:
        """Run a line of a shell with our command on its path; return what it prints."""
        ran = subprocess.run(
            ["bash", "-ec", line],
            cwd=self.folder,
            env=self.variables(),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert may_fail or ran.returncode == 0, f"{line}: {ran.stdout}{ran.stderr}"
        return ran.stdout

    def block(self, number: int) -> list[str]:
        """Return the lines of a block of commands of the README."""
        text = (self.folder / "README.md").read_text()
        blocks: list[str] = re.findall(r"```\n(.*?)```", text, flags=re.DOTALL)
        return blocks[number].splitlines()

    def change(self, old: str, new: str) -> None:
        """Replace a text in the files."""
        for path in self.folder.glob("*.yaml"):
            path.write_text(path.read_text().replace(old, new))

    def status(self) -> dict[str, object]:
        """Return what `status --json` prints."""
        # By the command's own client: a new Python for each look takes most of a test's time.
        return dict(client.Client(folders.of_project(NAME, self.variables())).status())

    def pool(self) -> dict[str, object]:
        """Return what is said of the cache."""
        listed = self.status()["pools"]
        assert isinstance(listed, list)
        return dict(listed[0])

    def process(self, name: str) -> dict[str, object]:
        """Return what is said of a process or pod."""
        listed = self.status()["processes"]
        assert isinstance(listed, list)
        return dict(next(one for one in listed if one["name"] == name))

    def container(self, pod: str, name: str) -> dict[str, object]:
        """Return what is said of a container of a pod."""
        listed = self.process(pod)["containers"]
        assert isinstance(listed, list)
        return dict(next(one for one in listed if one["name"] == name))

    def kill(self, identity: object) -> None:
        """End a container at once, by the id that `status` gives."""
        if self.own is None:
            os.kill(int(str(identity)), signal.SIGKILL)
        else:
            ran = self.own.docker("kill", "--signal", "KILL", str(identity))
            assert ran.returncode == 0, ran.stderr

    def ask(self, target: str) -> tuple[int, object]:
        """Return status and body of an answer of the application's."""
        status, body = fleets.get(f"127.0.0.1:{self.port}", target)
        return status, json.loads(body)


class Load(steady.Crowd):
    """Clients of the application; each answer but a good one is kept."""

    def __init__(self, example: Example) -> None:
        self.example = example
        self.failed: list[str] = []
        super().__init__(*(functools.partial(self._run, at) for at in range(steady.WORKERS)))

    def _run(self, at: int) -> None:
        while not self.is_over.is_set():
            try:
                status, body = self.example.ask(f"/visit/u{at}-{self.counts[at] % USERS}")
                if status != 200:
                    self.failed.append(f"{status} {body}")
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(f"{type(error).__name__}: {error}")
            self.counts[at] += 1


@contextlib.contextmanager
def example(engine: str) -> Iterator[Example]:
    """Give the example for an engine; all of it is ended."""
    with contextlib.ExitStack() as stack:
        own = None
        if engine == "docker":
            own = stack.enter_context(docker.daemon()).own
            own.take_base("python")
        made = Example(stack.enter_context(fleets.short_folder()), engine, own)
        try:
            yield made
        finally:
            made.run("alongside down", may_fail=True)
