"""A program's version is its content, wherever and whenever it was written."""

from __future__ import annotations

from pathlib import Path

from alongside.engines.local import versions


def test_content_says_the_version(tmp_path: Path) -> None:
    first, copy = tmp_path / "first", tmp_path / "copy"
    first.write_bytes(b"one")
    copy.write_bytes(b"one")
    before = versions.of(first)
    assert before == versions.of(copy) != ""
    copy.write_bytes(b"other")
    copy.replace(first)
    assert versions.of(first) != before


def test_what_cannot_be_read_has_none(tmp_path: Path) -> None:
    assert versions.of(tmp_path / "none") == ""
    assert versions.of(tmp_path) == ""
