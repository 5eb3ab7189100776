"""A Docker engine of a test's own, with a base made by debootstrap once a machine."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

START_S = 60.0
MEMORY = "/dev/shm"  # noqa: S108 - programs make folders of their own there
_CLONE_NEWNET = 0x40000000
ROOT = Path(__file__).resolve().parents[2]
RUN_S = 120.0
BASE_S = 600.0
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "alongside-tests"


def base(*packages: str) -> Path:
    """Return a tar of Debian with its Python, and packages; kept, since making it takes a minute.

    The name holds the version of how it is made: another one makes it anew.
    """
    path = CACHE / f"debian-bookworm-{'-'.join(('python3', *packages))}-v3.tar"
    if path.exists():
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    words = [",".join(packages)] if packages else []
    run(str(ROOT / "deploy" / "images" / "base.sh"), str(path), *words)
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
    """Run `alongside images build` into a folder; it unpacks into memory, where there is any."""
    unpacking = {"TMPDIR": MEMORY} if os.access(MEMORY, os.W_OK) else {}
    return subprocess.run(
        [sys.executable, "-m", "alongside", "images", "build", "--output", str(folder), *words],
        capture_output=True,
        text=True,
        timeout=RUN_S,
        env={**os.environ, **unpacking, **variables},
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

    def take_base(self, name: str) -> None:
        """Have the base as an image, without asking any registry."""
        taken = self.docker("import", str(base()), name)
        assert taken.returncode == 0, taken.stderr

    def log(self, name: str) -> str:
        """Return what a container has written so far."""
        ran = self.docker("logs", name)
        return ran.stdout + ran.stderr

    def clean(self) -> None:
        """Remove every container of this test."""
        for name in self._names:
            self.docker("rm", "--force", name)
        self._names.clear()


def things(own: Engine) -> tuple[str, ...]:
    """Return the containers, networks and volumes of an engine, each with its kind and name."""
    found: list[str] = []
    for kind, words in (
        ("container", ("ps", "--all", "--format", "{{.Names}}")),
        ("network", ("network", "ls", "--format", "{{.Name}}")),
        ("volume", ("volume", "ls", "--format", "{{.Name}}")),
    ):
        ran = own.docker(*words)
        assert ran.returncode == 0, ran.stderr
        found += [f"{kind} {name}" for name in ran.stdout.splitlines()]
    return tuple(found)


class Daemon:
    """The process of an engine, which may be away for a while."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.own = Engine(folder)
        self._folder = folder
        self._words = words
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it without waiting for it."""
        folder = self._folder
        keep_in_memory(folder / "data")
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "dockerd",
                    *("--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec"),
                    *("--host", f"unix://{folder}/docker.sock", "--pidfile", f"{folder}/pid"),
                    *("--bridge", "none", "--ip6tables=false"),
                    *self._words,
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
            )

    def await_answer(self) -> None:
        """Return when it answers."""
        assert self._process is not None
        _await(self._process, self.own, self._folder / "log")

    def stop(self) -> None:
        """End it; its containers end with it, unless it was started with `--live-restore`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(START_S)
            self._process = None


@contextlib.contextmanager
def daemon(*words: str) -> Iterator[Daemon]:
    """Run a Docker engine whose networks are its own: this thread moves to where they are.

    A machine's own rules may forward nothing between bridges that they do not know. From such a
    network no mirror of Debian is reached, so that the base is made before.
    """
    base()
    with own_network(), tempfile.TemporaryDirectory(prefix="dk") as text:
        own = Daemon(Path(text), *words)
        try:
            own.start()
            own.await_answer()
            yield own
        finally:
            own.stop()
            unmount(Path(text))


@contextlib.contextmanager
def own_network() -> Iterator[None]:
    """Let this thread, and what it starts, have a network of its own, with nothing but loopback."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as before:
        assert libc.unshare(_CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            run("ip", "link", "set", "lo", "up")
            yield
        finally:
            assert libc.setns(before.fileno(), _CLONE_NEWNET) == 0


@contextlib.contextmanager
def engine(*words: str) -> Iterator[Engine]:
    """Run a Docker engine that touches no network of this machine, and starts none."""
    with tempfile.TemporaryDirectory(prefix="dk") as text:
        own = Daemon(Path(text), "--iptables=false", *words)
        try:
            own.start()
            own.await_answer()
            yield own.own
        finally:
            own.stop()
            unmount(Path(text))


def keep_in_memory(folder: Path) -> None:
    """Mount memory at a folder, where nothing is mounted yet.

    A disk that discards what is deleted takes longer to forget an image than tests take with it.
    """
    if not folder.is_mount():
        folder.mkdir(exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", "mode=711", "tmpfs", str(folder))


def unmount(folder: Path) -> None:
    """Take away what is left mounted: its data, and the network that it shares with us."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in sorted((one for one in mounts if one.startswith(str(folder))), reverse=True):
        run("umount", mount)


def _await(daemon: subprocess.Popen[bytes], own: Engine, log: Path) -> None:
    until_s = time.monotonic() + START_S
    while own.docker("version", "--format", "{{.Server.Version}}").returncode != 0:
        assert daemon.poll() is None, log.read_text()
        assert time.monotonic() < until_s, log.read_text()
        time.sleep(0.1)
