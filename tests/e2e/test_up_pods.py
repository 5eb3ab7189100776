"""Pods of several containers, workloads and Services, run by the real command as processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import ports
from tests.e2e import fleets

from alongside.engines.runtimes.namespaces import facts

pytestmark = [fleets.NEEDS_DATA_PLANE, pytest.mark.timeout(180)]
SPEAKER = """\
import os, socketserver, sys
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(os.environ["WORD"].encode())
print("I speak", flush=True)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
Server((os.environ.get("ADDRESS", "127.0.0.1"), int(sys.argv[1])), Handler).serve_forever()
"""
SIDECAR = 'import time; print("I stand beside", flush=True); time.sleep(600)'


@pytest.fixture
def fleet() -> Iterator[fleets.Fleet]:
    with fleets.project() as made:
        (made.base / "photos").mkdir()
        (made.base / "photos" / "speaker.py").write_text(SPEAKER)
        yield made


def deployment(fleet: fleets.Fleet, word: str, *, replicas: int = 1, env: str = "") -> str:
    return f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: app
        image: example/speaker:1
        args: [speaker.py, "{fleet.port}"]
        env: [{{name: WORD, value: {word}}}{env}]
        ports: [{{containerPort: {fleet.port}, name: talk}}]
        readinessProbe: {{tcpSocket: {{port: talk}}, periodSeconds: 1}}
      - name: beside
        image: python
        args: [{json.dumps(sys.executable)}, "-c", {json.dumps(SIDECAR)}]
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  selector: {{app: web}}
  ports: [{{port: 8090, targetPort: talk}}]
"""


JOB = f"""\
apiVersion: batch/v1
kind: Job
metadata: {{name: work}}
spec:
  backoffLimit: 1
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: w
        command: [{json.dumps(sys.executable)}, "-c", "raise SystemExit(3)"]
        readinessProbe: {{exec: {{command: ["false"]}}}}
"""
OWN_ADDRESS = ", {name: ADDRESS, valueFrom: {fieldRef: {fieldPath: status.podIP}}}"


def write(fleet: fleets.Fleet, text: str) -> tuple[Path, Path]:
    """Write a file and one of images; return their paths."""
    path, images = fleet.base / "photos" / "web.yaml", fleet.base / "photos" / "images.yaml"
    path.write_text(text)
    images.write_text(f"speaker: [{json.dumps(sys.executable)}, '-u']\n")
    return path, images


def up(fleet: fleets.Fleet, text: str, *words: str) -> tuple[int, str, str]:
    path, images = write(fleet, text)
    return fleet.run("up", str(path), "--images", str(images), "--detach", *words)


def heard(address: str) -> str:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        return connection.makefile().read()


def heard_or_not(number: int) -> str:
    """Return what is said at a port of this machine; nothing where nobody is there."""
    try:
        return heard(f"127.0.0.1:{number}")
    except ConnectionError:
        return ""


def service(fleet: fleets.Fleet) -> str:
    services = fleet.status()["services"]
    assert isinstance(services, dict)
    return str(services["web"]["8090"])


def test_a_pod_of_two_containers_is_one_unit_behind_a_service(fleet: fleets.Fleet) -> None:
    code, out, err = up(fleet, deployment(fleet, "one"))
    assert code == 0, out + err
    assert "engine process: no two of its pods need one address" in out.splitlines()
    (name,) = fleet.processes()
    pod = fleet.processes()[name]
    assert (pod["phase"], pod["group"]) == ("Running", "Deployment/web")
    containers = pod["containers"]
    assert isinstance(containers, list)
    assert [(one["name"], one["ready"]) for one in containers] == [("app", True), ("beside", True)]
    assert heard(service(fleet)) == "one"
    assert heard(f"127.0.0.1:{fleet.port}") == "one"
    for words, expected in ((name, "I speak\n"), (f"{name}/beside", "I stand beside\n")):
        assert fleet.run("logs", words)[:2] == (0, expected)
    _, out, _ = fleet.run("status")
    assert f'service "web" at {service(fleet)}' in out
    assert fleet.run("down")[0] == 0
    assert not fleet.left()


def test_pods_with_addresses_of_their_own_are_replaced_behind_their_service(
    fleet: fleets.Fleet,
) -> None:
    code, out, err = up(
        fleet, deployment(fleet, "one", replicas=2, env=OWN_ADDRESS), "--engine", "process"
    )
    assert code == 0, out + err
    assert heard(service(fleet)) == "one"
    before = set(fleet.processes())
    code, out, err = up(fleet, deployment(fleet, "two", replicas=2, env=OWN_ADDRESS))
    assert code == 0, out + err
    assert not before & set(fleet.processes())
    assert heard(service(fleet)) == "two"


@pytest.mark.parametrize(
    "engine", ["process", pytest.param("namespaces", marks=pytest.mark.needs("ip", "setpriv"))]
)
def test_a_service_leaves_its_number_to_a_pod_that_comes_later(
    fleet: fleets.Fleet, engine: str
) -> None:
    lack = facts.problem(asyncio.run(facts.facts(os.environ)))
    if engine == "namespaces" and lack:
        pytest.skip(f"this machine has no namespaces for us: {lack}")

    def heard_of_service() -> str:
        (address,) = fleet.status()["services"]["web"].values()  # type: ignore[index]
        return heard(address)

    number = ports.free_port()
    web = deployment(fleet, "web", env=OWN_ADDRESS).replace("8090", str(number))
    edge = f"""\
---
apiVersion: v1
kind: Pod
metadata: {{name: edge}}
spec:
  containers:
  - name: app
    image: example/speaker:1
    args: [speaker.py, "9000"]
    env: [{{name: WORD, value: edge}}{OWN_ADDRESS}]
    ports: [{{containerPort: 9000, hostPort: {number}}}]
    readinessProbe: {{tcpSocket: {{port: 9000}}, periodSeconds: 1}}
"""
    for text, said in ((web, "web"), (web + edge, "edge"), (web, "web")):
        code, out, err = up(fleet, text, "--engine", engine)
        assert code == 0, out + err
        assert heard_of_service() == "web"
        fleets.until(f"{said} has the number", lambda said=said: heard_or_not(number) == said)  # type: ignore[misc]


def test_a_job_that_failed_is_told_and_waited_for_no_longer(fleet: fleets.Fleet) -> None:
    code, out, err = up(fleet, JOB, "--ready-timeout", "10m")
    assert code == 1, out + err
    assert "work-0 is not ready: w: ended with 3; BackoffLimitExceeded: Job/work failed 2" in err
    assert "warning: BackoffLimitExceeded: Job/work failed 2 times" in fleet.run("status")[1]
    assert fleet.processes()["work-0"]["phase"] == "Failed"


def test_pods_on_one_address_are_refused_as_processes_and_start_nothing(
    fleet: fleets.Fleet,
) -> None:
    code, _, err = up(fleet, deployment(fleet, "one", replicas=2), "--engine", "process")
    assert code == 2
    assert "spec.template.spec.containers[0].ports[0].containerPort: port" in err
    assert "is needed by each of its pods, web-" in err
    assert "add --engine namespaces or docker" in err
    assert not fleet.left()


def test_an_image_that_stands_for_nothing_is_refused_with_what_to_write(
    fleet: fleets.Fleet,
) -> None:
    path, _ = write(fleet, deployment(fleet, "one"))
    code, _, err = fleet.run("up", str(path), "--detach")
    assert code == 2
    assert f"{path}:13: Deployment/web: spec.template.spec.containers[0].image: nothing says" in err
    assert "speaker: [PROGRAM] into a file for --images" in err


def test_a_project_keeps_its_engine_while_it_is_up(fleet: fleets.Fleet) -> None:
    assert up(fleet, deployment(fleet, "one"))[0] == 0
    before = fleet.pids()
    code, _, err = up(fleet, deployment(fleet, "one"), "--engine", "docker")
    assert (code, "and does not change it to docker while it is up" in err) == (2, True)
    code, _, err = up(fleet, deployment(fleet, "one", replicas=2))
    assert (code, "which it keeps; for another one run alongside down" in err) == (2, True)
    assert fleet.pids() == before


def test_what_a_killed_supervisor_left_of_pods_is_gone_after_down(fleet: fleets.Fleet) -> None:
    assert up(fleet, deployment(fleet, "one"))[0] == 0
    os.kill(int(str(fleet.status()["supervisor_pid"])), signal.SIGKILL)
    assert len(fleet.left()) >= 2
    code, out, err = fleet.run("down")
    assert (code, "that a dead supervisor had left" in out) == (0, True), err
    assert not fleet.left()
    folder = Path(fleet.home)
    assert [*(folder / "pods").glob("*"), *(folder / "volumes").glob("*")] == []
