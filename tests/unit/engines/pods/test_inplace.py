"""Files that containers see as they are."""

import os
from pathlib import Path

from alongside.engines.pods import inplace


def test_a_file_is_written_in_place_longer_and_shorter(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    inplace.write(path, "one\n")
    inode = path.stat().st_ino
    for content in ("one\ntwo\nthree\n", "short\n", "short\n"):
        inplace.write(path, content)
        assert path.read_text() == content
    assert path.stat().st_ino == inode
    assert os.stat(path).st_mode & 0o777 == 0o644
