"""What is written down of a pod's namespaces is believed no further than it can be."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from alongside.engines.processes import groups
from alongside.engines.runtimes.namespaces import members, records

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")


@pytest.fixture
def holder() -> Iterator[groups.Identity]:
    """Have a living process in the machine's own namespaces."""
    with subprocess.Popen(["sleep", "600"]) as process:
        found = groups.identity(process.pid)
        assert found is not None
        yield found
        process.kill()


def test_the_machines_own_namespaces_are_never_ours(
    tmp_path: Path, holder: groups.Identity
) -> None:
    known = records.Records(tmp_path)
    ids = {kind: one for kind in records.KINDS if (one := members.of_process(os.getpid(), kind))}
    assert set(ids) == set(records.KINDS)
    record = records.Record("p/pod", holder, ids)
    known.add(record)
    assert known.read() == [record]
    with known.held() as ours:
        assert not any(ours.values())
        assert members.within(ours) == []


@pytest.fixture
def nameless() -> Iterator[int]:
    """Have a process in namespaces of its own that carries no mark."""
    words = ["unshare", "--ipc", "--net", "sh", "-c", "echo; exec sleep 600"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces of one's own are root's")
@pytest.mark.parametrize("off", [0, 1])
def test_a_namespace_is_ours_by_its_number_when_all_who_knew_have_gone(
    tmp_path: Path, nameless: int, off: int
) -> None:
    wanted = members.of_process(nameless, "ipc")
    assert wanted is not None
    descriptor = members.hold(nameless, "ipc", wanted)
    assert descriptor is not None
    serial = members.serial(descriptor)
    os.close(descriptor)
    if serial is None:
        pytest.skip("this kernel numbers no namespaces")
    known = records.Records(tmp_path)
    gone = groups.Identity(nameless, 1)
    record = records.Record("p/pod", gone, {"ipc": wanted}, {"ipc": serial + off})
    known.add(record)
    assert known.read() == [record]
    with known.held() as ours:
        found = [one.identity.pid for one in members.within(ours)]
    assert found == ([] if off else [nameless])


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces of one's own are root's")
def test_without_such_a_number_a_namespace_is_nobodys_when_all_who_knew_have_gone(
    tmp_path: Path, nameless: int
) -> None:
    wanted = members.of_process(nameless, "ipc")
    assert wanted is not None
    known = records.Records(tmp_path)
    known.add(records.Record("p/pod", groups.Identity(nameless, 1), {"ipc": wanted}))
    with known.held() as ours:
        assert members.within(ours) == []
