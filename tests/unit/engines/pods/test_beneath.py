"""What is opened below a volume stays in it, whatever is changed there meanwhile."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from alongside.engines.pods import beneath

LOOKS = 500


def test_refuses_a_symlink_that_came_while_it_looked(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("/etc")
    for path in ("a", "a/passwd"):
        with pytest.raises(OSError, match=r"has become a symlink|Not a directory"):
            beneath.descended(str(tmp_path), path, makes=False)


def test_makes_folders_with_the_volumes_permissions(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    volume.chmod(0o777)
    os.close(beneath.opened(volume, "new/er", makes=True))
    assert {(volume / one).stat().st_mode & 0o777 for one in ("new", "new/er")} == {0o777}


def test_a_path_to_the_volume_itself_is_the_volume(tmp_path: Path) -> None:
    (tmp_path / "self").symlink_to(".")
    descriptor = beneath.opened(tmp_path, "self", makes=False)
    try:
        assert os.path.samestat(os.fstat(descriptor), tmp_path.stat())
    finally:
        os.close(descriptor)


def test_never_leads_out_while_a_folder_and_a_symlink_take_turns(tmp_path: Path) -> None:
    volume, outside = tmp_path / "volume", tmp_path / "outside"
    (volume / "a" / "below").mkdir(parents=True)
    (outside / "below").mkdir(parents=True)
    (volume / "link").symlink_to(outside)
    outer = [(one.stat().st_dev, one.stat().st_ino) for one in (outside, outside / "below")]
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            (volume / "a").rename(volume / "kept")
            (volume / "link").rename(volume / "a")
            (volume / "a").rename(volume / "link")
            (volume / "kept").rename(volume / "a")

    swapping = threading.Thread(target=swap)
    swapping.start()
    refused = 0
    try:
        for _ in range(LOOKS):
            try:
                descriptor = beneath.opened(volume, "a/below", makes=False)
            except OSError:
                refused += 1
                continue
            found = os.fstat(descriptor)
            os.close(descriptor)
            assert (found.st_dev, found.st_ino) not in outer
    finally:
        over.set()
        swapping.join()
    assert 0 < refused < LOOKS


def test_two_that_make_one_folder_at_one_time_both_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, both, found = os.mkdir, threading.Barrier(2, timeout=10.0), list[int]()

    def mkdir(path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        both.wait()
        make(path, mode, dir_fd=dir_fd)

    def open_() -> None:
        found.append(beneath.opened(tmp_path, "new", makes=True))

    monkeypatch.setattr(os, "mkdir", mkdir)
    threads = [threading.Thread(target=open_) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(found) == 2
    for descriptor in found:
        assert os.path.samestat(os.fstat(descriptor), (tmp_path / "new").stat())
        os.close(descriptor)


def test_a_symlink_that_comes_where_a_folder_is_made_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = os.mkdir

    def mkdir(path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        os.symlink("/etc", path, dir_fd=dir_fd)
        make(path, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", mkdir)
    with pytest.raises(OSError, match="has become a symlink"):
        beneath.opened(tmp_path, "new", makes=True)
