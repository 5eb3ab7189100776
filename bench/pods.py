"""How long pods of one container take to be up on an engine, and to be gone again.

In:    which engine, how many pods, how often; a Docker engine of its own, which this starts.
Out:   seconds of each `alongside up --detach` and `down`.
Not:   a table: the README names the figures beside their budget.
Next:  docs/decisions/0008-docker.md, "What fifty pods cost".
"""

from __future__ import annotations

import argparse
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
        for _ in range(asked.rounds):
            up = ("up", "--detach", "--engine", asked.engine, *PROJECT, str(file))
            try:
                up_s = _timed(up, environment)
            finally:
                down_s = _timed(("down", *PROJECT), environment)
            print(json.dumps({"up_s": round(up_s, 2), "down_s": round(down_s, 2)}), flush=True)
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
