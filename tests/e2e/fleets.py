"""A project run by the real command, in folders of its own, ended whatever happens.

In:    resource files as text.
Out:   exit codes, status, answers over HTTP.
Not:   any process left behind: the fixture checks.
Next:  test_up.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests import ports

from alongside.base import environment, errors
from alongside.components.dataplane import launch
from alongside.engines.local import folders
from alongside.engines.processes import groups
from alongside.server import client

DEADLINE_S = 60.0
ORIGIN = """\
import http.server, os
asked = []
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = (os.environ.get("WORD", "") + self.path).encode()
        if self.path == "/asked":
            body = str(len(asked)).encode()
        else:
            asked.append(self.path)
        self.send_response(200)
        self.send_header("cache-control", "max-age=600")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
CACHE = """\
apiVersion: alongside.dev/v1alpha1
kind: ShardedCache
metadata: {name: photos}
spec:
  protocol: http
"""
POD = """\
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 5
  containers:
  - name: app
    command: ["{python}", origin.py]
    env: [{{name: PORT, value: "{port}"}}, {{name: WORD, value: "{word}"}}]
    ports: [{{containerPort: {port}}}]
    readinessProbe: {{tcpSocket: {{port: {port}}}, periodSeconds: 1}}
"""


def cache(**spec: object) -> str:
    """Return the part of a file that asks for the cache `photos`, with fields of its spec."""
    return CACHE + "".join(f"  {field}: {value}\n" for field, value in spec.items())


def service(name: str, port: int) -> str:
    """Return an origin of the same file."""
    return f"{{service: {name}, port: {port}}}"


def pod(name: str, port: int, *, word: str = "") -> str:
    """Return the part of a file that runs an origin, which says a word before each path."""
    return POD.format(name=name, port=port, word=word, python=sys.executable)


def until(what: str, condition: Callable[[], bool], *, deadline_s: float = DEADLINE_S) -> None:
    """Return when a condition holds; fail when it does not in time."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        time.sleep(0.02)


@dataclasses.dataclass(frozen=True, slots=True)
class Fleet:
    """One project; `base` is a short path, since sockets lie in it."""

    base: Path
    port: int
    extra: tuple[tuple[str, str], ...] = ()
    """More variables of the commands."""

    @property
    def home(self) -> str:
        """The state folder, which marks the project's processes."""
        return str(self.base / "state" / "alongside" / "photos")

    def write(
        self, *, shards: int = 3, word: str = "", name: str = "photos.yaml", more: str = ""
    ) -> Path:
        """Write a good file and its origin, the cache with more fields; return the file's path."""
        folder = self.base / "photos"
        folder.mkdir(exist_ok=True)
        (folder / "origin.py").write_text(ORIGIN)
        text = cache(origin=service("app", self.port), shards=shards, memory="16Mi")
        text += pod("app", self.port, word=word)
        path = folder / name
        path.write_text(
            text.replace("memory: 16Mi", f"memory: 16Mi\n  {more}" if more else "memory: 16Mi")
        )
        return path

    def variables(self) -> dict[str, str]:
        """Return the environment of a command."""
        return {
            **os.environ,
            "XDG_STATE_HOME": str(self.base / "state"),
            "XDG_RUNTIME_DIR": str(self.base / "run"),
            **dict(self.extra),
        }

    def start(self, *words: str, folder: str = "photos") -> subprocess.Popen[str]:
        """Start a command in the project's folder, or in another."""
        return subprocess.Popen(
            [sys.executable, "-m", "alongside", *words],
            cwd=self.base / folder,
            env=self.variables(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run_elsewhere(self, *words: str) -> tuple[int, str, str]:
        """Run a command in a folder that is no project's."""
        (self.base / "elsewhere").mkdir(exist_ok=True)
        return self.run(*words, folder="elsewhere")

    def run(
        self, *words: str, folder: str = "photos", deadline_s: float = DEADLINE_S
    ) -> tuple[int, str, str]:
        """Run a command to its end; return exit code, stdout and stderr."""
        process = self.start(*words, folder=folder)
        try:
            out, err = process.communicate(timeout=deadline_s)
        finally:
            process.kill()
            process.wait()
        return process.returncode, out, err

    def up(self, path: Path) -> None:
        """Bring it up, or apply the difference, and wait until it is ready."""
        code, out, err = self.run("up", str(path), "--detach")
        assert code == 0, out + err

    def status(self) -> dict[str, object]:
        """Return what `status --json` prints."""
        # By the command's own client: a new Python for each look would take most of a test's time.
        places = folders.of_project("photos", self.variables())
        return dict(client.Client(places).status())

    def processes(self) -> dict[str, dict[str, object]]:
        """Return the processes by name."""
        listed = self.status()["processes"]
        assert isinstance(listed, list)
        return {process["name"]: process for process in listed}

    def pids(self) -> dict[str, int]:
        """Return the process ids by name; what does not run just now has none."""
        found = {name: process["pid"] for name, process in self.processes().items()}
        return {name: int(str(pid)) for name, pid in found.items() if pid is not None}

    def address(self) -> str:
        """Return where clients reach the cache."""
        caches = self.status()["caches"]
        assert isinstance(caches, list)
        return str(caches[0]["address"])

    def left(self) -> list[int]:
        """Return the processes that carry the project's mark."""
        return [one.identity.pid for one in groups.marked(self.home)]


def _has_data_plane() -> bool:
    try:
        variables = environment.of_process()
        return bool(launch.find(variables, program="", interpreter=sys.executable))
    except errors.AlongsideError:
        return False


NEEDS_DATA_PLANE = pytest.mark.skipif(
    not _has_data_plane(), reason="alongside-dataplane is not built; run make build"
)


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """Give a folder whose path is short, since sockets lie in it."""
    base = Path(tempfile.mkdtemp(prefix="al"))
    try:
        yield base
    finally:
        shutil.rmtree(base)


@contextlib.contextmanager
def project() -> Iterator[Fleet]:
    """Give a project that nothing runs of yet; all of it is ended, and nothing may be left."""
    base = Path(tempfile.mkdtemp(prefix="al"))
    fleet = Fleet(base, ports.free_port())
    try:
        yield fleet
    finally:
        (base / "photos").mkdir(exist_ok=True)
        fleet.run("down", "--project", "photos")
        left = fleet.left()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(base)
        assert not left


def get(address: str, target: str) -> tuple[int, bytes]:
    """Return status and body of one request on a connection of its own."""
    connection = http.client.HTTPConnection(address, timeout=20)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
