"""Write which crates the data plane is made of: python/alongside/images/crates.txt.

In:    Cargo.lock, as `cargo tree` reads it.
Out:   a line a crate: name, version, licence; ours left out. The bill of our images lists them.
Not:   what only builds or tests it.
Next:  `--write` writes it, `--check` says whether it is stale.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "python" / "alongside" / "images" / "crates.txt"


def made() -> str:
    """Return what the file has to hold."""
    ran = subprocess.run(
        [
            *("cargo", "tree", "--locked", "--package", "alongside-dataplane"),
            *("--edges", "normal", "--prefix", "none", "--no-dedupe", "--format", "{p} {l}"),
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    lines = {line.replace(" (proc-macro)", "") for line in ran.stdout.splitlines()}
    return "".join(f"{line}\n" for line in sorted(lines) if line and f"({ROOT}" not in line)


def main(arguments: list[str]) -> int:
    """Write or check the file; return the exit code."""
    text = made()
    if arguments == ["--write"]:
        PLACE.write_text(text)
    elif not PLACE.exists() or PLACE.read_text() != text:
        print(f"{PLACE.relative_to(ROOT)} is stale; run .venv/bin/python scripts/crates.py --write")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
