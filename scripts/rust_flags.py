"""Print the RUSTFLAGS of what is shipped: those that are set, and how the data plane is used.

In:    the profile beside the data plane's crate, packed; the folder that cargo writes to.
Out:   the flags on stdout; the profile unpacked, under a name that changes with its content, for
       cargo looks at the flags alone.
       Without a profile they are those that are set: profile.sh needs a build to make one.
Not:   making a profile.
Next:  docs/decisions/0013-profile.md.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKED = ROOT / "rust/dataplane/usage.profdata.xz"
NOTE = ROOT / "rust/dataplane/usage.json"
NAMING = ("Cargo.toml", "Cargo.lock", "rust-toolchain.toml")
"""What decides how the compiler names functions: our version, the crates, the settings."""


def main(words: list[str]) -> int:
    """Take cargo's folder and print the flags, or note what the profile was made of."""
    if words == ["--note"]:
        NOTE.write_text(json.dumps(note(), indent=2) + "\n")
        return 0
    flags = [os.environ.get("RUSTFLAGS", "")]
    if PACKED.exists():
        path = _unpacked(Path(words[0]).absolute())
        if any(one.isspace() for one in str(path)):
            print(f"{path}: cargo cannot be told of a path with a space", file=sys.stderr)
            return 1
        # What changed since the profile was made is compiled without it, and not told each time.
        flags += [f"-Cprofile-use={path}", "-Cllvm-args=-no-pgo-warn-mismatch"]
    print(" ".join(flags).strip())
    return 0


def note() -> dict[str, str]:
    """Return what a profile is told by that was made of the tree as it is."""
    naming = b"".join((ROOT / name).read_bytes() for name in NAMING)
    return {
        "naming_sha256": hashlib.sha256(naming).hexdigest(),
        "profile_sha256": hashlib.sha256(PACKED.read_bytes()).hexdigest(),
    }


def _unpacked(folder: Path) -> Path:
    packed = PACKED.read_bytes()
    path = folder / f"usage-{hashlib.sha256(packed).hexdigest()[:12]}.profdata"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        begun = path.with_suffix(f".{os.getpid()}")
        begun.write_bytes(lzma.decompress(packed))
        begun.replace(path)
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
