"""A layer's bytes depend on its entries and on nothing else."""

import tarfile
from pathlib import Path

import pytest

from alongside.base import errors
from alongside.images import tree

ENTRIES = [
    tree.Entry(path="b/two", content=b"2", mode=0o755, owner=7),
    tree.Entry(path="a", link="b/two"),
    tree.Entry(path="b/c", is_folder=True, mode=0o700),
]


def test_order_does_not_matter_and_folders_above_are_added(tmp_path: Path) -> None:
    one = tree.write_layer(ENTRIES, tmp_path)
    other = tree.write_layer(reversed(ENTRIES), tmp_path)
    assert one == other
    assert tree.digest_of(one.path) == one.digest == one.path.name
    assert one.path.stat().st_size == one.size_bytes
    with tarfile.open(one.path) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == ["a", "b", "b/c", "b/two"]
    two = members[-1]
    assert (two.uid, two.gid, two.uname, two.mode, two.mtime) == (7, 7, "", 0o755, 0)
    assert members[0].linkname == "b/two"


def test_a_folder_keeps_its_links_and_programs_and_nothing_of_its_times(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "in").mkdir(parents=True)
    (source / "in" / "run").write_text("x")
    (source / "in" / "run").chmod(0o700)
    (source / "link").symlink_to("in/run")
    found = {entry.path: entry for entry in tree.of_folder(source, "opt/x")}
    assert set(found) == {"opt/x/in", "opt/x/in/run", "opt/x/link"}
    assert found["opt/x/in/run"].mode == 0o755
    assert found["opt/x/link"].link == "in/run"


def test_a_file_that_is_gone_leaves_no_half_layer(tmp_path: Path) -> None:
    gone = tree.Entry(path="x", source=tmp_path / "gone")
    with pytest.raises(errors.PermanentError, match="gone"):
        tree.write_layer([gone], tmp_path)
    assert list(tmp_path.iterdir()) == []
