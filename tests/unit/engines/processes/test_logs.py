"""Logs stay bounded, and reading goes on where it ended."""

from __future__ import annotations

from pathlib import Path

from alongside.engines.processes import logs


def test_a_large_log_is_copied_once_and_emptied_while_its_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with path.open("ab", buffering=0) as writer:
        writer.write(b"x" * 11)
        assert logs.bound(path, bytes_max=10)
        writer.write(b"new")
    assert path.read_bytes() == b"new"
    assert (tmp_path / "a.log.1").read_bytes() == b"x" * 11
    assert not logs.bound(path, bytes_max=10)


def test_a_large_log_is_emptied_even_where_there_is_no_room_for_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"x" * 11)
    (tmp_path / "a.log.1").symlink_to("/dev/full")
    assert logs.bound(path, bytes_max=10)
    assert path.read_bytes() == b""
    assert not (tmp_path / "a.log.1").is_symlink()


def test_reads_the_last_lines_then_only_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"1\n2\n3\n")
    assert logs.read(path, None, lines=2) == (b"2\n3\n", 6)
    with path.open("ab") as writer:
        writer.write(b"4\n")
    assert logs.read(path, 6) == (b"4\n", 8)
    path.write_bytes(b"5\n")
    assert logs.read(path, 8) == (b"5\n", 2)


def test_a_missing_log_is_empty(tmp_path: Path) -> None:
    assert logs.read(tmp_path / "none", None) == (b"", 0)
    assert not logs.bound(tmp_path / "none")
