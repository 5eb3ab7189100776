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
from pathlib import Path

import pytest
from tests.e2e import fleets

pytestmark = [fleets.NEEDS_DATA_PLANE, pytest.mark.timeout(600)]

PODS = 5
SEED = 7
SPREAD_S = 3.0
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
    - {{name: init, command: [sleep, "0.1"]}}
    - name: sidecar
      command: [sh, -c, "setsid sleep 1000 & exec sleep 1000"]
      restartPolicy: Always
  containers:
    - name: main
      command: [sleep, "1000"]
      volumeMounts: [{{name: data, mountPath: /etc/data-{at}}}]
  volumes: [{{name: data, configMap: {{name: data-{at}}}}}]
"""


@pytest.fixture
def base() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ks") as text:
        made = Path(text)
        (made / "p").mkdir()
        files = [FILE.format(at=at, port=fleets.free_port()) for at in range(PODS)]
        (made / "p" / "pods.yaml").write_text("".join(files))
        yield made
        run(made, "down")


def variables(base: Path) -> dict[str, str]:
    return {**os.environ, "XDG_STATE_HOME": f"{base}/s", "XDG_RUNTIME_DIR": f"{base}/r"}


def run(base: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "alongside", *words],
        cwd=base / "p",
        env=variables(base),
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


def killed_after(base: Path, engine: str, delay_s: float) -> bool:
    """Bring the project up and kill its supervisor a while after that began; was there one?"""
    words = [sys.executable, "-m", "alongside", "up", "pods.yaml", "--detach", "--engine", engine]
    with subprocess.Popen(
        words,
        cwd=base / "p",
        env=variables(base),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as command:
        until_s = time.monotonic() + COMMAND_S
        while (pid := supervisor(base)) is None and command.poll() is None:
            assert time.monotonic() < until_s
            time.sleep(0.01)
        time.sleep(delay_s)  # the moment that the test is about
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        command.wait(COMMAND_S)
    return pid is not None


def left(base: Path) -> list[str]:
    """Return what is there of the project on this machine."""
    found = []
    home = f"ALONGSIDE_CHILD_HOME={base}/s/alongside/p".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if home in path.read_bytes():
                found.append(f"process {path.parent.name}")
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    found += [f"mount {line.split()[1]}" for line in mounts if f"{base}/" in line]
    state = base / "s" / "alongside" / "p"
    for folder in ("pods", "volumes", "documents"):
        if (state / folder).exists():
            found += [str(path) for path in (state / folder).rglob("*")]
    found += [str(path) for path in Path("/dev/shm").glob("alongside-*")]  # noqa: S108
    return found


def check(base: Path, engine: str, moments: int) -> None:
    chance = random.Random(SEED)  # noqa: S311 - moments, not secrets
    hits = 0
    for delay_s in [chance.uniform(0.0, SPREAD_S) for _ in range(moments)]:
        hits += killed_after(base, engine, delay_s)
        ended = run(base, "down")
        assert ended.returncode == 0, ended.stderr
        assert left(base) == [], f"killed after {delay_s:.3f} s"
    assert hits == moments
    state = json.loads(run(base, "status", "--json").stdout or "{}")
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
def test_what_forgot_whose_it_is_ends_with_its_pod(base: Path) -> None:
    marker = f"31{os.getpid()}"
    pods = [NAMELESS.format(at=at, marker=marker, shares=["false", "true"][at]) for at in range(2)]
    (base / "p" / "pods.yaml").write_text("".join(pods))
    done = run(base, "up", "pods.yaml", "--detach", "--engine", "namespaces")
    assert done.returncode == 0, done.stderr
    until_sleeping(marker, 2)
    pid = supervisor(base)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    ended = run(base, "down")
    assert ended.returncode == 0, ended.stderr
    assert sleeping(marker) == []
    assert left(base) == []
    assert not (base / "s" / "alongside" / "p" / "namespaces").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces of one's own are root's")
@pytest.mark.parametrize("is_killed", [True, False])
def test_a_stranger_in_the_namespaces_of_the_supervisor_stays(
    base: Path, *, is_killed: bool
) -> None:
    marker = f"32{os.getpid()}"
    words = [sys.executable, "-m", "alongside", "up", "pods.yaml", "--detach"]
    script = f'ip link set lo up; sleep {marker} >/dev/null 2>&1 & exec "$@"'
    private = ["unshare", "--mount", "--net", "--ipc", "sh", "-c", script, "sh"]
    done = subprocess.run(
        [*private, *words, "--engine", "namespaces"],
        cwd=base / "p",
        env=variables(base),
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
        ended = run(base, "down")
        assert ended.returncode == 0, ended.stderr
        assert left(base) == []
        assert len(sleeping(marker)) == 1
    finally:
        for one in sleeping(marker):
            os.kill(one, signal.SIGKILL)


def engines() -> list[str]:
    return ["process", *(["namespaces"] if os.geteuid() == 0 else [])]


@pytest.mark.parametrize("engine", engines())
def test_leaves_nothing_for_ever(base: Path, engine: str) -> None:
    check(base, engine, 3)


@pytest.mark.soak
@pytest.mark.parametrize("engine", engines())
def test_leaves_nothing_at_twenty_moments(base: Path, engine: str) -> None:
    check(base, engine, 20)
