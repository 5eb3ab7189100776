"""What looks for what is left sees it where something is left."""

from __future__ import annotations

import os
import subprocess
import uuid
from pathlib import Path

import pytest
from tests.conformance import leavings
from tests.e2e import docker

pytestmark = [
    pytest.mark.needs("ip"),
    pytest.mark.skipif(os.geteuid() != 0, reason="waits for root"),
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def test_sees_a_process_and_the_namespaces_that_it_is_in(home: Path) -> None:
    words = ["unshare", "--net", "--ipc", "sh", "-c", "echo; exec sleep 1000"]
    marked = {**os.environ, "ALONGSIDE_CHILD_HOME": str(home)}
    with subprocess.Popen(words, env=marked, stdout=subprocess.PIPE) as planted:
        assert planted.stdout is not None
        planted.stdout.readline()
        try:
            noted = leavings.Namespaces(home)
            assert len(noted) == 2
            assert len(noted.left()) == 2
            assert f"process {planted.pid}" in leavings.traces(home)
        finally:
            planted.kill()
            planted.wait()
        assert noted.left() == set()
        assert f"process {planted.pid}" not in leavings.traces(home)


def test_sees_a_namespace_that_only_a_descriptor_holds(home: Path) -> None:
    words = ["unshare", "--net", "sh", "-c", "echo; exec sleep 1000"]
    marked = {**os.environ, "ALONGSIDE_CHILD_HOME": str(home)}
    with subprocess.Popen(words, env=marked, stdout=subprocess.PIPE) as planted:
        assert planted.stdout is not None
        planted.stdout.readline()
        with Path(f"/proc/{planted.pid}/ns/net").open("rb"):
            noted = leavings.Namespaces(home)
            planted.kill()
            planted.wait()
            (left,) = noted.left()
            assert f" of process {os.getpid()} (" in left
    assert noted.left() == set()


def test_sees_a_link_an_address_and_shared_memory(home: Path) -> None:
    shared = Path("/dev/shm") / f"alongside-{uuid.uuid4().hex}"  # noqa: S108
    with docker.own_network():
        before = leavings.traces(home)
        docker.run("ip", "link", "add", "planted", "type", "bridge")
        docker.run("ip", "address", "add", "127.7.7.7/8", "dev", "lo")
        shared.touch()
        try:
            found = leavings.traces(home) - before
        finally:
            shared.unlink()
    assert {"link planted", "address lo 127.7.7.7/8", f"memory {shared}"} <= found
