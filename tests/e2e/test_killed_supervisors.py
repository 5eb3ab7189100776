"""A supervisor that is killed at any moment leaves nothing that the next `down` does not end."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests import ports
from tests.conformance import leavings, writing
from tests.e2e import docker, fleets

from alongside.engines.processes import groups
from alongside.engines.runtimes.namespaces import members

pytestmark = [fleets.NEEDS_DATA_PLANE, pytest.mark.timeout(600)]

PODS = 5
SEED = 7
SPREAD_S = 3.0
SPREAD_DOCKER_S = 8.0
"""There all takes longer to come about."""
THINGS = PODS * 4 + 1
"""What is there in Docker when all runs: a network, of each pod three containers, a Service's."""
COMMAND_S = 120.0
FILE = """\
---
apiVersion: v1
kind: Service
metadata: {{name: service-{at}}}
spec: {{selector: {{app: app-{at}}}, ports: [{{port: {port}, targetPort: 80}}]}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: data-{at}}}
data: {{a: b}}
---
apiVersion: v1
kind: Pod
metadata: {{name: pod-{at}, labels: {{app: app-{at}}}}}
spec:
  terminationGracePeriodSeconds: 1
  initContainers:
    - {{name: init, image: {image}, command: [sleep, "0.1"]}}
    - name: sidecar
      image: {image}
      command: [sh, -c, "setsid sleep 1000 & exec sleep 1000"]
      restartPolicy: Always
  containers:
    - name: main
      image: {image}
      command: [sleep, "1000"]
      volumeMounts: [{{name: data, mountPath: /etc/data-{at}}}]
  volumes: [{{name: data, configMap: {{name: data-{at}}}}}]
"""


@dataclass(frozen=True)
class Ground:
    """A project of this test on one engine."""

    base: Path
    engine: str
    own: docker.Engine | None = None
    """The Docker engine, where it is one."""
    before: frozenset[str] = frozenset()
    """The traces of this machine and its engine, some of which are others'."""

    @property
    def state(self) -> Path:
        """The folder of the project's state."""
        return self.base / "s" / "alongside" / "p"

    @property
    def variables(self) -> dict[str, str]:
        """The environment of its commands."""
        home = {"XDG_STATE_HOME": f"{self.base}/s", "XDG_RUNTIME_DIR": f"{self.base}/r"}
        host = {} if self.own is None else {"DOCKER_HOST": self.own.host}
        return {**os.environ, **home, **host}


@pytest.fixture
def ground(request: pytest.FixtureRequest) -> Iterator[Ground]:
    engine = str(request.param)
    with contextlib.ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ks")))
        own = None
        if engine == "docker":
            # By this group of processes all are found that the engine starts.
            own = stack.enter_context(docker.daemon("--cgroup-parent", f"/{base.name}")).own
            own.take_base(writing.IMAGE)
        before = leavings.traces(base / "s" / "alongside" / "p", own)
        made = Ground(base, engine, own, frozenset(before))
        (base / "p").mkdir()
        files = [
            FILE.format(at=at, port=ports.free_port(), image=writing.IMAGE) for at in range(PODS)
        ]
        (base / "p" / "pods.yaml").write_text("".join(files))
        yield made
        run(made, "down")


def run(
    ground: Ground, *words: str, before: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*before, sys.executable, "-m", "alongside", *words],
        cwd=ground.base / "p",
        env=ground.variables,
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        check=False,
    )


def supervisor(base: Path) -> int | None:
    """Return the process id of the project's supervisor, which signs its lock."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int((base / "s" / "alongside" / "p" / "lock").read_text().split()[0])
    return None


def killed_after(ground: Ground, delay_s: float) -> bool:
    """Bring the project up and kill its supervisor a while after that began; was there one?"""
    words = ["up", "pods.yaml", "--detach", "--engine", ground.engine]
    with subprocess.Popen(
        [sys.executable, "-m", "alongside", *words],
        cwd=ground.base / "p",
        env=ground.variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as command:
        until_s = time.monotonic() + COMMAND_S
        while (pid := supervisor(ground.base)) is None and command.poll() is None:
            assert time.monotonic() < until_s
            time.sleep(0.01)
        time.sleep(delay_s)  # the moment that the test is about
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        command.wait(COMMAND_S)
    return pid is not None


def left(ground: Ground) -> list[str]:
    """Return what is there of the project on this machine and in its engine."""
    found = []
    base = ground.base
    home = f"ALONGSIDE_CHILD_HOME={base}/s/alongside/p".encode()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_grouped = f"/{base.name}/" in (path / "cgroup").read_text()
            if is_grouped or home in (path / "environ").read_bytes():
                found.append(f"process {path.name}")
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    found += [f"mount {line.split()[1]}" for line in mounts if f"{base}/" in line]
    state = ground.state
    for folder in ("pods", "volumes", "documents", "services"):
        if (state / folder).exists():
            found += [str(path) for path in (state / folder).rglob("*")]
    found += sorted(leavings.traces(state, ground.own) - ground.before)
    return found


def check(ground: Ground, moments: int) -> None:
    """Kill a supervisor at moments; every other time the next command is another `up`."""
    chance = random.Random(SEED)  # noqa: S311 - moments, not secrets
    spread_s = SPREAD_DOCKER_S if ground.own is not None else SPREAD_S
    hits = 0
    for at, delay_s in enumerate([chance.uniform(0.0, spread_s) for _ in range(moments)]):
        hits += killed_after(ground, delay_s)
        noted = leavings.Namespaces(ground.state)
        if at % 2:
            again = run(ground, "up", "pods.yaml", "--detach", "--engine", ground.engine)
            assert again.returncode == 0, f"killed after {delay_s:.3f} s: {again.stderr}"
            if ground.own is not None:
                there = set(docker.things(ground.own)) - set(ground.before)
                assert len(there) == THINGS, f"killed after {delay_s:.3f} s: {there}"
        ended = run(ground, "down")
        assert ended.returncode == 0, ended.stderr
        assert [*left(ground), *noted.left()] == [], f"killed after {delay_s:.3f} s"
    assert hits == moments
    state = json.loads(run(ground, "status", "--json").stdout or "{}")
    assert state == {}


NAMELESS = """\
apiVersion: v1
kind: Pod
metadata: {{name: nameless-{at}}}
spec:
  shareProcessNamespace: {shares}
  terminationGracePeriodSeconds: 1
  containers:
    - name: main
      command: [sh, -c, "(env -i setsid sh -c 'sleep {marker} & exit' &); exec sleep 1000"]
---
"""


def sleeping(marker: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes() == f"sleep\0{marker}\0".encode():
                found.append(int(path.parent.name))
    return found


def until_sleeping(marker: str, count: int) -> None:
    until_s = time.monotonic() + COMMAND_S
    while len(sleeping(marker)) != count:
        assert time.monotonic() < until_s, sleeping(marker)
        time.sleep(0.02)


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces of one's own are root's")
@pytest.mark.parametrize("ground", ["namespaces"], indirect=True)
def test_what_forgot_whose_it_is_ends_with_its_pod(ground: Ground) -> None:
    base = ground.base
    marker = f"31{os.getpid()}"
    pods = [NAMELESS.format(at=at, marker=marker, shares=["false", "true"][at]) for at in range(2)]
    (base / "p" / "pods.yaml").write_text("".join(pods))
    done = run(ground, "up", "pods.yaml", "--detach", "--engine", "namespaces")
    assert done.returncode == 0, done.stderr
    until_sleeping(marker, 2)
    pid = supervisor(base)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    ended = run(ground, "down")
    assert ended.returncode == 0, ended.stderr
    assert sleeping(marker) == []
    assert left(ground) == []
    assert not (base / "s" / "alongside" / "p" / "namespaces").exists()


UNGROUPED = ("unshare", "--mount", "sh", "-c", 'umount -R -l /sys/fs/cgroup && exec "$@"', "sh")
"""Before a command that is to find no cgroups."""


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces of one's own are root's")
@pytest.mark.parametrize("ground", ["namespaces"], indirect=True)
def test_what_alone_is_left_of_a_pod_and_forgot_whose_it_is_ends_too(ground: Ground) -> None:
    base = ground.base
    own = members.hold(os.getpid(), "ipc")
    assert own is not None
    number = members.serial(own)
    os.close(own)
    if number is None:
        pytest.skip("this kernel numbers no namespaces")
    marker = f"34{os.getpid()}"
    (base / "p" / "pods.yaml").write_text(NAMELESS.format(at=0, marker=marker, shares="false"))
    words = ("up", "pods.yaml", "--detach", "--engine", "namespaces")
    done = run(ground, *words, before=UNGROUPED)
    assert done.returncode == 0, done.stderr
    until_sleeping(marker, 1)
    pid = supervisor(base)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while known := groups.marked(f"{base}/s/alongside/p"):
        for one in known:
            groups.send(one.identity, signal.SIGKILL)
    assert len(sleeping(marker)) == 1
    ended = run(ground, "down", before=UNGROUPED)
    assert ended.returncode == 0, ended.stderr
    assert sleeping(marker) == []
    assert left(ground) == []


ADOPTING = """\
import ctypes, subprocess, sys
assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER
print(subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode, flush=True)
sys.stdin.read()
"""
"""Whoever gets the orphans of what it runs and reaps none of them."""


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces of one's own are root's")
@pytest.mark.parametrize("ground", ["namespaces"], indirect=True)
def test_down_needs_nobody_who_reaps_what_it_killed(ground: Ground) -> None:
    """A busy machine's first process may be slow at it; until then a shared pid 1 is not gone."""
    base = ground.base
    marker = f"33{os.getpid()}"
    (base / "p" / "pods.yaml").write_text(NAMELESS.format(at=0, marker=marker, shares="true"))
    up = [sys.executable, "-m", "alongside", "up", "pods.yaml", "--detach", "--engine"]
    with subprocess.Popen(
        [sys.executable, "-c", ADOPTING, *up, "namespaces"],
        cwd=base / "p",
        env=ground.variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as adopting:
        assert adopting.stdout is not None
        assert adopting.stdout.readline() == b"0\n"
        until_sleeping(marker, 1)
        pid = supervisor(base)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        ended = run(ground, "down")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert sleeping(marker) == []
        assert left(ground) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces of one's own are root's")
@pytest.mark.parametrize("ground", ["namespaces"], indirect=True)
@pytest.mark.parametrize("is_killed", [True, False])
def test_a_stranger_in_the_namespaces_of_the_supervisor_stays(
    ground: Ground, *, is_killed: bool
) -> None:
    base = ground.base
    marker = f"32{os.getpid()}"
    words = [sys.executable, "-m", "alongside", "up", "pods.yaml", "--detach"]
    script = f'ip link set lo up; sleep {marker} >/dev/null 2>&1 & exec "$@"'
    private = ["unshare", "--mount", "--net", "--ipc", "sh", "-c", script, "sh"]
    done = subprocess.run(
        [*private, *words, "--engine", "namespaces"],
        cwd=base / "p",
        env=ground.variables,
        capture_output=True,
        timeout=COMMAND_S,
        check=False,
    )
    try:
        assert done.returncode == 0, done.stderr
        until_sleeping(marker, 1)
        pid = supervisor(base)
        assert pid is not None
        if is_killed:
            os.kill(pid, signal.SIGKILL)
        ended = run(ground, "down")
        assert ended.returncode == 0, ended.stderr
        assert left(ground) == []
        assert len(sleeping(marker)) == 1
    finally:
        for one in sleeping(marker):
            os.kill(one, signal.SIGKILL)


def engines() -> list[object]:
    is_root = os.geteuid() == 0
    found = ["process", *(["namespaces"] if is_root else [])]
    needs = pytest.mark.needs("dockerd", "debootstrap")
    return [*found, *([pytest.param("docker", marks=needs)] if is_root else [])]


@pytest.mark.parametrize("ground", engines(), indirect=True)
def test_leaves_nothing_for_ever(ground: Ground) -> None:
    check(ground, 3)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("ground", engines(), indirect=True)
def test_leaves_nothing_at_twenty_moments(ground: Ground) -> None:
    check(ground, 20)
