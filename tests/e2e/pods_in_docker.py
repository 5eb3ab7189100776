"""A project of pods in a test's own Docker engine, driven through the runtime alone.

In:    an engine, pods as values of a plan.
Out:   sandboxes, runs of containers, what they wrote; at the end nothing of it is left.
Not:   order, probes, restarts: `engines.pods` decides these.
Next:  test_docker_runtime.py and its neighbours.
"""

from __future__ import annotations

import asyncio
import dataclasses
import io
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.e2e import dataplane, docker

from alongside.base import clock, log
from alongside.engines.pods import runtime
from alongside.engines.runtimes.docker import project, sandbox, setting
from alongside.engines.runtimes.docker import runtime as docker_runtime
from alongside.plan import pods

DONE = runtime.Exit()
IMAGE = "base:1"
WAIT_S = 30.0
RUN_S = 90.0
LABEL = "label=dev.alongside.home"


def shell(script: str, name: str = "main", **more: object) -> pods.Container:
    """Return a container that runs a script."""
    made = pods.Container(name, image=IMAGE, command=("sh", "-c", script), restart="never")
    return dataclasses.replace(made, **more)  # type: ignore[arg-type]


def python(program: str, name: str = "main", **more: object) -> pods.Container:
    """Return a container that runs a Python program."""
    made = pods.Container(
        name, image=IMAGE, command=("python3", "-u", "-c", program), restart="never"
    )
    return dataclasses.replace(made, **more)  # type: ignore[arg-type]


def echoing(text: str, port: int, name: str = "main") -> pods.Container:
    """Return a container that answers each connection with a text."""
    return python(
        "import socketserver, sys\n"
        "class H(socketserver.BaseRequestHandler):\n"
        f"    def handle(self): self.request.sendall({text!r}.encode())\n"
        "socketserver.ThreadingTCPServer.allow_reuse_address = True\n"
        f"s = socketserver.ThreadingTCPServer(('', {port}), H)\n"
        "print('listening')\n"
        "s.serve_forever()\n",
        name,
    )


class Project:
    """One project: its runtime, and a folder for what a kubelet would hold."""

    def __init__(self, engine: docker.Engine, folder: Path, name: str = "shop") -> None:
        self.engine = engine
        self.folder = folder
        self.told = io.StringIO()
        time = clock.SystemClock()
        (folder / "run").mkdir(parents=True, exist_ok=True)
        self.runtime = docker_runtime.DockerRuntime(
            setting.Setting(
                project=name,
                home=folder,
                folder=folder / "run",
                binary=dataplane.binary(),
                socket=Path(engine.host.removeprefix("unix://")),
            ),
            time,
            log.Log(time, stream=self.told),
        )

    def opened(self) -> project.Project:
        """Return what the runtime stands on."""
        found = self.runtime._project
        assert found is not None
        return found

    async def pod(
        self, pod: pods.Pod, volumes: Mapping[str, Path] | None = None
    ) -> sandbox.PodSandbox:
        """Make a pod's sandbox."""
        own = self.folder / "pods" / pod.name
        own.mkdir(parents=True, exist_ok=True)
        logs = {one.name: self.log(pod.name, one.name) for one in pod.containers}
        return await self.runtime.create(runtime.Room(pod, volumes or {}, own, logs))

    def log(self, pod: str, container: str = "main") -> Path:
        """Return where a container's output is."""
        return self.folder / "pods" / pod / f"{container}.log"

    async def ran(
        self, container: pods.Container, volumes: Mapping[str, Path] | None = None, **more: object
    ) -> tuple[runtime.Exit, str]:
        """Run one container to its end; return that, and what it wrote."""
        pod = dataclasses.replace(pods.Pod("one", (container,)), **more)  # type: ignore[arg-type]
        made = await self.pod(pod, volumes)
        try:
            await made.fetch(container, lambda _: None)
            running = await made.start(container, 0)
            async with asyncio.timeout(WAIT_S):
                end = await running.ended()
            path = self.log(pod.name, container.name)
            return end, path.read_text() if path.exists() else ""
        finally:
            await made.remove()
            self.log(pod.name, container.name).unlink(missing_ok=True)

    async def started(
        self, container: pods.Container, *, until: str = "", **more: object
    ) -> tuple[sandbox.PodSandbox, runtime.Running]:
        """Start a pod of one container; returns when it has written a text."""
        pod = dataclasses.replace(pods.Pod("one", (container,)), **more)  # type: ignore[arg-type]
        made = await self.pod(pod)
        running = await made.start(container, 0)
        if until:
            await self.written(until, pod.name, container.name)
        return made, running

    async def written(self, text: str, pod: str = "one", container: str = "main") -> str:
        """Return a container's output when it holds a text."""
        path = self.log(pod, container)
        async with asyncio.timeout(WAIT_S):
            while True:
                found = path.read_text() if path.exists() else ""
                if text in found:
                    return found
                await asyncio.sleep(0.02)

    def left(self) -> list[str]:
        """Return what the engine has of any project."""
        containers = self.engine.docker("ps", "--all", "--quiet", "--filter", LABEL).stdout
        networks = self.engine.docker("network", "ls", "--quiet", "--filter", LABEL).stdout
        return [*containers.split(), *networks.split()]


@asynccontextmanager
async def opened(engine: docker.Engine, folder: Path, name: str = "shop") -> AsyncIterator[Project]:
    """Yield a project that is open; nothing of it is left afterwards."""
    own = Project(engine, folder, name)
    await own.runtime.open()
    try:
        yield own
    finally:
        await own.runtime.close()
    assert own.left() == []


def run(body: Coroutine[None, None, None]) -> None:
    """Run a test's body to its end, within a generous deadline."""
    asyncio.run(asyncio.wait_for(body, RUN_S))


async def answer(host: str, port: int) -> str:
    """Return what a server says to a connection, "" where there is none."""
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return ""
    try:
        return (await reader.read()).decode()
    except ConnectionError:
        return ""
    finally:
        writer.close()
