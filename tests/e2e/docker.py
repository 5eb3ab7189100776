"""A Docker engine of a test's own, with a base made by debootstrap once a machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

START_S = 60.0
ROOT = Path(__file__).resolve().parents[2]
RUN_S = 120.0
BASE_S = 600.0
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "alongside-tests"


def base() -> Path:
    """Return a tar of Debian with its Python; kept, since making it takes most of a minute.

    The name holds the version of how it is made: another one makes it anew.
    """
    path = CACHE / "debian-bookworm-python3-v2.tar"
    if path.exists():
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    run(str(ROOT / "deploy" / "images" / "base.sh"), str(path))
    return path


def run(*words: str, **variables: str) -> str:
    """Return what a command that must succeed writes on stdout."""
    ran = subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=BASE_S,
        env={**os.environ, **variables},
        check=False,
    )
    assert ran.returncode == 0, f"{words}: {ran.stdout}{ran.stderr}"
    return ran.stdout


def build(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `alongside images build` into a folder."""
    return subprocess.run(
        [sys.executable, "-m", "alongside", "images", "build", "--output", str(folder), *words],
        capture_output=True,
        text=True,
        timeout=RUN_S,
        env={**os.environ, **variables},
        check=False,
    )


class Engine:
    """One Docker engine, reached by `docker`."""

    def __init__(self, folder: Path) -> None:
        self.host = f"unix://{folder}/docker.sock"
        self._names: list[str] = []

    def docker(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the client against this engine."""
        return subprocess.run(
            ["docker", *words],
            capture_output=True,
            text=True,
            timeout=RUN_S,
            env={**os.environ, "DOCKER_HOST": self.host},
            check=False,
        )

    def start(self, name: str, *words: str) -> None:
        """Start a container in the host's network, its root read-only."""
        ran = self.docker(
            "run", "--detach", "--read-only", "--network", "host", "--name", name, *words
        )
        self._names.append(name)
        assert ran.returncode == 0, ran.stderr

    def log(self, name: str) -> str:
        """Return what a container has written so far."""
        ran = self.docker("logs", name)
        return ran.stdout + ran.stderr

    def clean(self) -> None:
        """Remove every container of this test."""
        for name in self._names:
            self.docker("rm", "--force", name)
        self._names.clear()


@contextlib.contextmanager
def engine() -> Iterator[Engine]:
    """Run a Docker engine that touches no network of this machine."""
    with tempfile.TemporaryDirectory(prefix="dk") as text:
        folder = Path(text)
        log = (folder / "log").open("wb")
        daemon = subprocess.Popen(
            [
                "dockerd",
                *("--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec"),
                *("--host", f"unix://{folder}/docker.sock", "--pidfile", f"{folder}/pid"),
                *("--bridge", "none", "--iptables=false", "--ip6tables=false"),
            ],
            stdout=log,
            stderr=log,
            env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
        )
        try:
            own = Engine(folder)
            _await(daemon, own, folder / "log")
            yield own
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(START_S)
            log.close()
            _unmount(folder)


def _unmount(folder: Path) -> None:
    """Take away what the engine leaves mounted: the network namespace that it shares with us."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in sorted((one for one in mounts if one.startswith(str(folder))), reverse=True):
        run("umount", mount)


def _await(daemon: subprocess.Popen[bytes], own: Engine, log: Path) -> None:
    until_s = time.monotonic() + START_S
    while own.docker("version", "--format", "{{.Server.Version}}").returncode != 0:
        assert daemon.poll() is None, log.read_text()
        assert time.monotonic() < until_s, log.read_text()
        time.sleep(0.1)
