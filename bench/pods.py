"""How long pods of one container take to be up on an engine, and to be gone again.

In:    which engine, how many pods, how often; a Docker engine of its own, which this starts.
Out:   seconds of each `alongside up --detach` and `down`; for Docker beside them what the engine
       takes by itself to start as many containers in such a network, one for each pod.
Not:   a table: the README names the figures beside their budget.
Next:  docs/decisions/0008-docker.md, "What fifty pods cost".
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.e2e import docker

from alongside.dockerd import address, answers, engine

IMAGE = "localhost/alongside-bench:1"
PROJECT = ("--project", "bench-pods")
COMMAND_S = 300
POD = """\
---
apiVersion: v1
kind: Pod
metadata: {{name: pod-{at}}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{{name: main, image: "{image}", command: [sleep, "1000"]}}]
"""


def main(words: list[str]) -> int:
    """Measure, print what was found as JSON, and return 0."""
    parser = argparse.ArgumentParser(prog="python -m bench.pods", description=__doc__)
    parser.add_argument("--engine", choices=("process", "namespaces", "docker"), default="docker")
    parser.add_argument("--pods", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args(words)
    with _engine(asked.engine) as variables, tempfile.TemporaryDirectory() as name:
        file = Path(name, "pods.yaml")
        file.write_text("".join(POD.format(at=at, image=IMAGE) for at in range(asked.pods)))
        environment = {**os.environ, **variables, "XDG_STATE_HOME": f"{name}/state"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # else each command compiles all of us
        for _ in range(asked.rounds):
            up = ("up", "--detach", "--engine", asked.engine, *PROJECT, str(file))
            try:
                up_s = _timed(up, environment)
            finally:
                down_s = _timed(("down", *PROJECT), environment)
            took = {"up_s": up_s, "down_s": down_s}
            if host := variables.get("DOCKER_HOST"):
                socket = Path(host.removeprefix(address.SCHEME))
                took["engine_itself_s"] = asyncio.run(_engine_itself(socket, asked.pods))
            print(json.dumps({key: round(value, 2) for key, value in took.items()}), flush=True)
    return 0


@contextlib.contextmanager
def _engine(name: str) -> Iterator[Mapping[str, str]]:
    """Yield the variables that lead to the engine; Docker's is started, with the image in it."""
    if name != "docker":
        yield {}
        return
    with docker.daemon() as daemon:
        daemon.own.take_base(IMAGE)
        yield {"DOCKER_HOST": daemon.own.host}


async def _engine_itself(socket: Path, pods: int) -> float:
    """Return how long an engine takes to start as many containers, asked as a supervisor asks."""
    settings = {"NetworkMode": "bench-itself", "Init": True}
    content = {"Image": IMAGE, "Cmd": ["sleep", "1000"], "HostConfig": settings}
    async with engine.Engine(socket) as asked:

        async def ask(method: str, path: str, body: object = None) -> answers.Answer:
            return (await asked.ask(method, path, body=body)).checked(path)

        async def start() -> str:
            async with asked.turns:
                made = answers.record((await ask("POST", "/containers/create", content)).value())
                identity = answers.text(made, "Id")
                await ask("POST", f"/containers/{identity}/start")
                return identity

        await ask("POST", "/networks/create", {"Name": "bench-itself"})
        began_s = time.perf_counter()
        made = await asyncio.gather(*(start() for _ in range(pods)))
        took_s = time.perf_counter() - began_s
        for identity in made:
            await ask("DELETE", f"/containers/{identity}?force=1")
        await ask("DELETE", "/networks/bench-itself")
    return took_s


def _timed(words: Sequence[str], environment: Mapping[str, str]) -> float:
    began_s = time.perf_counter()
    ran = subprocess.run(
        (sys.executable, "-m", "alongside", *words),
        env=environment,
        stdout=subprocess.DEVNULL,
        timeout=COMMAND_S,
        check=False,
    )
    took_s = time.perf_counter() - began_s
    if ran.returncode != 0:
        raise RuntimeError(f"alongside {' '.join(words)} ended with {ran.returncode}")
    return took_s


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
