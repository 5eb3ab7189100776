"""Which part of a volume is mounted; making the root itself needs namespaces and is an e2e test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from alongside.engines.runtimes.namespaces import orders, roots


def opened(source: Path, sub_path: str, *, makes: bool = True) -> str:
    mount: orders.MountOrder = {
        "source": str(source),
        "sub_path": sub_path,
        "makes_sub_path": makes,
        "target": "/x",
        "is_read_only": False,
        "is_own": True,
    }
    descriptor = roots.open_source(mount)
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux's")


def test_opens_a_volume_and_what_is_below_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_text("")
    assert opened(tmp_path, "") == str(tmp_path)
    assert opened(tmp_path, "a/file") == f"{tmp_path}/a/file"


def test_follows_symlinks_that_stay_in_the_volume(tmp_path: Path) -> None:
    (tmp_path / "..v1").mkdir()
    (tmp_path / "..v1" / "key").write_text("")
    (tmp_path / "..data").symlink_to("..v1")
    (tmp_path / "key").symlink_to("..data/key")
    assert opened(tmp_path, "key", makes=False) == f"{tmp_path}/..v1/key"


def test_makes_a_missing_folder_where_it_may(tmp_path: Path) -> None:
    assert opened(tmp_path, "new/er") == f"{tmp_path}/new/er"
    assert (tmp_path / "new" / "er").is_dir()
    with pytest.raises(OSError, match="is not in the volume"):
        opened(tmp_path, "other", makes=False)


@pytest.mark.parametrize("sub_path", ["out", "up", "up/deeper", "in/../../x", "chain"])
def test_refuses_what_leads_out(tmp_path: Path, sub_path: str) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "out").symlink_to("/etc")
    (volume / "up").symlink_to("..")
    (volume / "chain").symlink_to("out/ssl")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OSError, match=r"leads out|has \.\. in it"):
        opened(volume, sub_path)
    assert sorted(tmp_path.iterdir()) == before
