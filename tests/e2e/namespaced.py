"""Drive the namespaces runtime as the supervisor does, and look at what it leaves."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from alongside.base import clock
from alongside.engines.pods import runtime as seam
from alongside.engines.processes import groups
from alongside.engines.runtimes.namespaces import carriers, sandbox, setting
from alongside.engines.runtimes.namespaces import runtime as namespaces
from alongside.plan import pods

BINARY = Path(__file__).parents[2] / ".venv" / "bin" / "alongside-dataplane"
PATHS = ("/usr/bin", "/usr/local/bin")
USER = 64_999
"""An ordinary user of no package, so that nothing else runs as it; it has no name."""
WAIT_S = 20.0


def sh(script: str) -> tuple[str, ...]:
    """Return a command that a shell runs."""
    return ("/bin/sh", "-c", script)


def main(script: str, name: str = "main", **more: object) -> pods.Container:
    """Return a container that runs a script."""
    return pods.Container(name, command=sh(script), **more)  # type: ignore[arg-type]


def listening(port: int, answer: str, *, python: str = sys.executable) -> str:
    """Return a script that answers each connection on all addresses with a text."""
    code = (
        "import socket\n"
        "s = socket.socket()\n"
        "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
        f"s.bind(('0.0.0.0', {port}))\n"
        "s.listen()\n"
        f"while True: c = s.accept()[0]; c.sendall(b'{answer}'); c.close()\n"
    )
    return f'exec {python} -I -S -c "{code}"'


def asking(host: str, port: int) -> str:
    """Return a script that prints what is answered there, trying again until something is."""
    code = (
        "import socket, time\n"
        "for _ in range(400):\n"
        "    try:\n"
        f"        c = socket.create_connection(('{host}', {port}), 2)\n"
        "        print(c.recv(100).decode(), flush=True); break\n"
        "    except OSError as error: last = error; time.sleep(0.05)\n"
        "else: print('nothing:', last, flush=True)\n"
    )
    return f'{sys.executable} -I -S -c "{code}"'


@dataclass
class Project:
    """One project's runtime in a folder of the test's."""

    folder: Path
    runtime: namespaces.NamespacesRuntime
    rooms: dict[str, seam.Room] = field(default_factory=dict)

    async def pod(self, pod: pods.Pod) -> sandbox.PodSandbox:
        """Make a pod's surroundings and volumes."""
        place = self.folder / "pods" / pod.name
        place.mkdir(parents=True, exist_ok=True)
        paths = {}
        for volume in pod.volumes:
            path = Path(volume.path) if volume.kind == "host" else place / f"volume-{volume.name}"
            if volume.kind != "host":
                path.mkdir(exist_ok=True)
                path.chmod(0o777)
            for file in volume.files:
                (path / file.path).write_bytes(file.content)
            paths[volume.name] = path
        logs = {one.name: place / f"{one.name}.log" for one in pod.containers}
        room = seam.Room(pod, paths, place, logs)
        self.rooms[pod.name] = room
        return await self.runtime.create(room)

    async def start(
        self, made: sandbox.PodSandbox, name: str = "main", attempt: int = 0
    ) -> seam.Running:
        """Start a container of a pod."""
        container = made.pod.container(name)
        assert container is not None
        return await made.start(container, attempt)

    def log(self, pod: str, container: str = "main") -> str:
        """Return what a container has written."""
        path = self.rooms[pod].logs[container]
        return path.read_text(errors="replace") if path.exists() else ""

    async def output(self, made: sandbox.PodSandbox, name: str = "main") -> str:
        """Return what a container wrote until it ended."""
        running = await self.start(made, name)
        async with asyncio.timeout(WAIT_S):
            await running.ended()
        return self.log(made.pod.name, name)

    def pids(self) -> list[int]:
        """Return all processes of the project."""
        return [one.identity.pid for one in groups.marked(str(self.folder))]


def setting_in(
    folder: Path, *, ways_out: tuple[carriers.Name, ...] = carriers.NAMES
) -> setting.Setting:
    """Return what a runtime works with, in a folder."""
    short = folder / "r"
    short.mkdir(exist_ok=True)
    return setting.Setting(
        project="test",
        home=folder,
        folder=short,
        log=folder / "supervisor.log",
        binary=BINARY,
        environment={"PATH": os.environ["PATH"]},
        words=lambda _, container: (*container.command, *container.args),
        ways_out=ways_out,
    )


@contextlib.asynccontextmanager
async def project(
    folder: Path, *, ways_out: tuple[carriers.Name, ...] = carriers.NAMES
) -> AsyncIterator[Project]:
    """Give an open project; close it, and check that nothing is left."""
    groups.become_subreaper()
    mounts, links = mounts_now(), links_now()
    setting_ = setting_in(folder, ways_out=ways_out)
    made = Project(folder, namespaces.NamespacesRuntime(setting_, clock.SystemClock()))
    await made.runtime.open()
    try:
        yield made
    finally:
        await made.runtime.close()
        groups.reap_orphans()
    remains = [*left(made), *(set(mounts_now()) - set(mounts)), *(set(links_now()) - set(links))]
    assert remains == [], remains


def left(made: Project) -> list[str]:
    """Return what there is of a project that should be gone."""
    found = [f"process {pid}" for pid in made.pids()]
    for room in made.rooms.values():
        known = {*room.logs.values(), *room.volumes.values()}
        found += [f"file {path}" for path in room.folder.iterdir() if path not in known]
    found += [f"cgroup {path}" for path in cgroups_now(made.folder)]
    return found


def mounts_now() -> list[str]:
    """Return what is mounted on the host as we mount it for containers."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return sorted(line for line in lines if line.split(" - ")[1].split()[1] == "alongside")


def links_now() -> list[str]:
    """Return the network interfaces of the host that are named as in a hub."""
    lines = Path("/proc/net/dev").read_text().splitlines()[2:]
    names = [line.split(":")[0].strip() for line in lines]
    return sorted(one for one in names if one.startswith(("pod", "alongside", "tap")))


def cgroups_now(folder: Path) -> list[str]:
    """Return the cgroups of a project's containers."""
    prefix = f"alongside-{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
    found = os.walk("/sys/fs/cgroup")
    return [f"{at}/{name}" for at, names, _ in found for name in names if name.startswith(prefix)]


def host_listing(paths: Sequence[str]) -> list[str]:
    """Return what folders of the host hold."""
    return sorted(one.path for path in paths for one in os.scandir(path))


async def until(condition: object, what: str) -> None:
    """Wait until a function returns something true."""
    assert callable(condition)
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await clock.SystemClock().sleep(0.02)
    assert what


def kill(pid: int | None) -> None:
    """End a process as nothing can prevent."""
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


@functools.cache
def python_of_everyone() -> str | None:
    """Return a Python that an ordinary user may run too; the environment's may be in /root."""
    found = (sys.executable, *(shutil.which("python3", path=one) for one in PATHS))
    return next((path for path in found if path is not None and _is_everyones(path)), None)


def _is_everyones(path: str) -> bool:
    words = [path, "-I", "-c", "import sys, venv; sys.exit(sys.version_info < (3, 11))"]
    try:
        ran = subprocess.run(
            words, env={}, cwd="/", capture_output=True, check=False, **_whose(USER)
        )
    except PermissionError:
        return False
    return ran.returncode == 0


class _Whose(TypedDict, total=False):
    user: int
    group: int
    extra_groups: tuple[int, ...]


def _whose(user: int) -> _Whose:
    """Return how `subprocess` becomes a user, where this is root, who alone can."""
    return {"user": user, "group": user, "extra_groups": ()} if os.geteuid() == 0 else {}
