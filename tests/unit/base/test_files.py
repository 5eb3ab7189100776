"""A file is published whole or not at all, and read within a bound."""

import os
from pathlib import Path

import pytest

from alongside.base import errors, files


def test_replaces_a_file_and_sets_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "document.json"
    target.write_bytes(b"old")
    files.write_atomic(target, b"new", mode=0o640)
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["document.json"]


def test_replaces_a_symlink_instead_of_following_it(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    link = tmp_path / "link"
    link.symlink_to(victim)
    files.write_atomic(link, b"new")
    assert victim.read_bytes() == b"untouched"
    assert not link.is_symlink()


def test_a_failed_rename_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "document.json"
    target.write_bytes(b"old")

    def refuse(source: object, destination: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(errors.TemporaryError, match="make room"):
        files.write_atomic(target, b"new")
    assert target.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.PermanentError, match=r"absent/x: No such file"):
        files.write_atomic(tmp_path / "absent" / "x", b"")


def test_reads_a_file_up_to_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert files.read_bounded(path, bytes_max=5) == b"12345"
    with pytest.raises(errors.UsageError, match="larger than 4 bytes"):
        files.read_bounded(path, bytes_max=4)


def test_a_missing_file_is_an_error_or_none_as_asked(tmp_path: Path) -> None:
    assert files.read_if_exists(tmp_path / "x", bytes_max=1) is None
    with pytest.raises(errors.UsageError, match="does not exist"):
        files.read_bounded(tmp_path / "x", bytes_max=1)


def test_refuses_what_would_block_or_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(errors.UsageError, match="not a regular file"):
            files.read_bounded(path, bytes_max=1)
