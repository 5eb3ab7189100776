"""What the meta tests read: the files of the repository, and nothing else."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def files() -> tuple[Path, ...]:
    """Return every file that is committed or would be, relative to the root, sorted."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = (Path(name) for name in listed.split("\0") if name)
    return tuple(sorted({path for path in paths if (ROOT / path).is_file()}))


def named(*suffixes: str) -> list[Path]:
    """Return the files with one of the suffixes."""
    return [path for path in files() if path.suffix in suffixes]


@cache
def text(path: Path) -> str:
    """Return a file's text; bytes that are not UTF-8 are replaced."""
    return (ROOT / path).read_text(errors="replace")
