"""What a killed supervisor left in an engine is ended there, wherever `DOCKER_HOST` points now."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e import docker, fleets, pods_in_docker

pytestmark = [
    pytest.mark.needs("dockerd", "debootstrap"),
    fleets.NEEDS_DATA_PLANE,
    pytest.mark.timeout(300),
]

POD = f"""
apiVersion: v1
kind: Pod
metadata: {{name: web}}
spec:
  containers:
    - {{name: main, image: "{pods_in_docker.IMAGE}", command: [sleep, "1000"]}}
"""


def run(folder: Path, *words: str, **variables: str) -> str:
    """Return what a command of ours writes, which must succeed."""
    ran = subprocess.run(
        [sys.executable, "-m", "alongside", *words],
        capture_output=True,
        text=True,
        timeout=pods_in_docker.RUN_S,
        env={**os.environ, "XDG_STATE_HOME": f"{folder}/s", **variables},
        cwd=folder,
        check=False,
    )
    assert ran.returncode == 0, f"{words}: {ran.stdout}{ran.stderr}"
    return ran.stdout


def test_down_asks_the_engine_that_up_had(tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text(POD)
    with docker.daemon() as daemon:
        daemon.own.take_base(pods_in_docker.IMAGE)
        host = {"DOCKER_HOST": daemon.own.host}
        run(
            tmp_path, "up", "pod.yaml", "--detach", "--engine", "docker", "--project", "far", **host
        )
        status = json.loads(run(tmp_path, "status", "--project", "far", "--json"))
        os.kill(int(status["supervisor_pid"]), signal.SIGKILL)
        count = ["ps", "--all", "--quiet", "--filter", pods_in_docker.LABEL]
        assert len(daemon.own.docker(*count).stdout.split()) == 1
        told = run(tmp_path, "down", "--project", "far", DOCKER_HOST=f"unix://{tmp_path}/none")
        assert "dead supervisor" in told
        assert daemon.own.docker(*count).stdout.split() == []
