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
