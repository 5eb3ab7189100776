"""Say which shared libraries a program loads, so that it can run where nothing else is."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from alongside.base import errors

_LIBRARY = re.compile(r"(?:=>\s+)?(/\S+) \(0x[0-9a-f]+\)")


def of(path: Path) -> tuple[Path, ...]:
    """Return the shared libraries that a program of ours loads here, with the loader.

    Raises:
        errors.PermanentError: the loader cannot tell.
    """
    ldd = shutil.which("ldd")
    if ldd is None:
        raise errors.PermanentError("ldd is not installed; install libc-bin to make images")
    # Our own binary, which this machine runs anyway.
    ran = subprocess.run(  # noqa: S603
        [ldd, str(path)], capture_output=True, text=True, check=False, timeout=30
    )
    if ran.returncode != 0 and "statically linked" not in ran.stdout + ran.stderr:
        raise errors.PermanentError(f"{path}: ldd cannot read it: {ran.stderr.strip()}")
    return tuple(sorted({Path(found) for found in _LIBRARY.findall(ran.stdout)}))
