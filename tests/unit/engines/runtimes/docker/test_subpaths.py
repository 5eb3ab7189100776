"""What is looked at after a container began, and what is taken away that somebody left."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from alongside.engines.runtimes.docker import subpaths
from alongside.plan import pods

MOUNTING = pods.Container("web", mounts=(pods.Mount("data", "/data", sub_path="a"),))


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_strangers_process_says_nothing_of_a_container(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    with subpaths.held(MOUNTING, {"data": volume}, tmp_path, binds=False) as held:
        held.check(os.getpid(), "f" * 64)  # this process mounts no part of the volume


def test_one_folder_that_is_not_empty_keeps_no_other(tmp_path: Path) -> None:
    place = tmp_path / subpaths.FOLDER
    for name in "abc":
        (place / name).mkdir(parents=True)
        (place / name / "mine").touch()
    for name in "xyz":
        (place / name).mkdir()
    subpaths.sweep(tmp_path)
    assert sorted(one.name for one in place.iterdir()) == ["a", "b", "c"]
