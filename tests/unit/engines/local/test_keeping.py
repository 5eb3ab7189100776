"""A binary is kept as it was when it was started, whatever its path holds later."""

from __future__ import annotations

import stat
from pathlib import Path

from alongside.engines.local import keeping


def program(folder: Path, content: str) -> Path:
    """Write a program, anew in the same file."""
    path = folder / "program"
    path.write_text(content)
    path.chmod(0o755)
    return path


def test_a_copy_stays_what_it_is_when_the_file_is_written_anew(tmp_path: Path) -> None:
    kept = keeping.Kept(tmp_path / "kept")
    old = kept.of(program(tmp_path, "old"))
    new = kept.of(program(tmp_path, "new one"))
    assert (old.read_text(), new.read_text()) == ("old", "new one")
    assert (old.name, new.name) == ("program", "program")
    assert stat.S_IMODE(old.stat().st_mode) == 0o700
    assert kept.of(program(tmp_path, "old")) == old


def test_only_what_is_used_is_kept(tmp_path: Path) -> None:
    kept = keeping.Kept(tmp_path / "kept")
    kept.drop_all_but([])
    old = kept.of(program(tmp_path, "old"))
    new = kept.of(program(tmp_path, "new one"))
    kept.drop_all_but([new, Path("/elsewhere")])
    assert (old.exists(), new.exists()) == (False, True)
    kept.drop_all_but([])
    assert list((tmp_path / "kept").iterdir()) == []


def test_the_binary_itself_is_taken_where_it_cannot_be_kept(tmp_path: Path) -> None:
    own = program(tmp_path, "old")
    (tmp_path / "kept").write_text("no folder")
    assert keeping.Kept(tmp_path / "kept").of(own) == own
    missing = tmp_path / "missing"
    assert keeping.Kept(tmp_path / "other").of(missing) == missing
    assert not (tmp_path / "other").exists()


def test_a_copy_that_was_changed_is_made_anew(tmp_path: Path) -> None:
    kept = keeping.Kept(tmp_path / "kept")
    copy = kept.of(program(tmp_path, "old"))
    copy.write_text("changed by somebody")
    assert kept.of(tmp_path / "program").read_text() == "old"
