"""What is looked at after a container began, and what is taken away that somebody left."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

from alongside.base import errors
from alongside.engines.runtimes.docker import subpaths
from alongside.plan import pods

NOBODY = 65_534
MOUNTING = pods.Container("web", mounts=(pods.Mount("data", "/data", sub_path="a"),))


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_strangers_process_says_nothing_of_a_container(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    with subpaths.held(MOUNTING, {"data": volume}, tmp_path, binds=False) as held:
        held.check(os.getpid(), "f" * 64)  # this process mounts no part of the volume


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes somebody else")
def test_who_may_not_look_into_a_container_looks_at_the_path_again() -> None:
    with tempfile.TemporaryDirectory() as name:
        volume = Path(name)
        volume.chmod(0o755)
        (volume / "a").mkdir()
        with subpaths.held(MOUNTING, {"data": volume}, volume, binds=False) as held:
            roots, anybody = os.getpid(), os.fork()
            if not anybody:
                os.setuid(NOBODY)
                try:
                    held.check(roots, "")
                except errors.PermanentError:
                    os._exit(1)
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(anybody, 0)[1]) == 0


def test_one_folder_that_is_not_empty_keeps_no_other(tmp_path: Path) -> None:
    place = tmp_path / subpaths.FOLDER
    for name in "abc":
        (place / name).mkdir(parents=True)
        (place / name / "mine").touch()
    for name in "xyz":
        (place / name).mkdir()
    subpaths.sweep(tmp_path)
    assert sorted(one.name for one in place.iterdir()) == ["a", "b", "c"]
