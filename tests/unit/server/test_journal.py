"""A journal is read back; a broken one counts as empty, since marks find the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from alongside.engines.processes import groups
from alongside.server import journal


def test_is_read_back(tmp_path: Path) -> None:
    children = (groups.Identity(1, 2), groups.Identity(3, 4))
    written = journal.Journal(
        3, children, folder="/data/\udcff", grace_s=2.5, engine="docker", socket="/s"
    )
    journal.write(tmp_path / "j", written)
    assert journal.read(tmp_path / "j") == written


@pytest.mark.parametrize("content", ["", "{", "[]", '{"children": [1]}', '{"epoch": "x"}'])
def test_a_broken_one_is_empty(tmp_path: Path, content: str) -> None:
    (tmp_path / "j").write_text(content)
    assert journal.read(tmp_path / "j") == journal.Journal()


def test_a_missing_one_is_empty(tmp_path: Path) -> None:
    assert journal.read(tmp_path / "none") == journal.Journal()
