"""The profile by which the data plane is compiled is of this compiler and these crates."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from scripts import rust_flags
from tests.meta import tree

FLAGS = tree.ROOT / "scripts/rust_flags.py"


def flags(folder: Path, before: str = "") -> str:
    """Return the flags for what cargo builds in a folder."""
    ran = subprocess.run(
        [sys.executable, FLAGS, folder],
        env={**os.environ, "RUSTFLAGS": before},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.rstrip("\n")


def test_it_was_made_of_the_crates_and_by_the_compiler_of_now() -> None:
    # Names of functions hold all of this. Where it differs a profile fits nothing from there on,
    # and is ignored without a word: `make profile` makes it anew, and the note beside it.
    assert json.loads((tree.ROOT / "rust/dataplane/usage.json").read_text()) == rust_flags.note()


def test_the_flags_name_what_was_unpacked_and_keep_those_that_are_set(tmp_path: Path) -> None:
    found = re.fullmatch(
        r"-Cdebuginfo=1 -Cprofile-use=(\S+) -C\S+", flags(tmp_path, "-Cdebuginfo=1")
    )
    assert found is not None
    profile = Path(found[1])
    assert profile.parent == tmp_path
    assert profile.read_bytes().startswith(b"\xfflprofi\x81")  # as LLVM's indexed profiles do
    before = profile.stat()
    assert f"-Cprofile-use={profile} " in flags(tmp_path)
    assert profile.stat() == before, "an unchanged profile is left as it is: cargo goes by it"
    assert [profile] == list(tmp_path.iterdir())
