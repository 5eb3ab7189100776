"""Hand passwords of a file to the data plane: by files of mode 0600, since a document holds none.

A file and not an inherited descriptor, because the data plane follows it: a new password is in
force when the file that it came from has changed.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import errors, files

if TYPE_CHECKING:
    from alongside.base import environment

OF_IMAGE = Path("/run/alongside")
"""The folder for sockets in our image."""
_NAME = "ambassador"
_MODE = 0o700
_BYTES_MAX = 8192


@dataclass(frozen=True, slots=True)
class Secret:
    """A password of a pool, on its way to the data plane."""

    folder: Path
    config: str
    """The absolute path of the file that it stands in."""
    pool: str
    content: str = field(repr=False)

    @property
    def path(self) -> Path:
        """The file that it is handed over by: one for each pool of each configuration."""
        digest = hashlib.sha256(f"{self.config}\0{self.pool}".encode()).hexdigest()
        return self.folder / f"{digest[:32]}.password"

    def write(self) -> None:
        """Write it, unless it stands there.

        Raises:
            errors.PermanentError, errors.TemporaryError: it cannot be written.
        """
        content = self.content.encode()
        if files.read_if_exists(self.path, bytes_max=_BYTES_MAX) != content:
            files.write_atomic(self.path, content, mode=0o600)


def usual_folder(variables: environment.Environment) -> Path:
    """Return the folder for passwords where nobody names one; it is not made."""
    runtime = variables.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):
        return Path(runtime) / "alongside" / _NAME
    if os.access(OF_IMAGE, os.W_OK):
        return OF_IMAGE / _NAME
    return Path(tempfile.gettempdir()) / f"alongside-{_NAME}-{os.geteuid()}"


def make_folder(folder: Path) -> None:
    """Make a folder that its owner alone may enter, and see that it is so.

    Raises:
        errors.PermanentError: it cannot be made, or is another's, or others may enter it.
    """
    try:
        for one in (*reversed(folder.parents), folder):
            # Each by itself: `parents=True` gives those above what the umask leaves.
            if not one.is_dir():
                one.mkdir(mode=_MODE, exist_ok=True)
        # A folder in /tmp may have been put there by somebody else.
        found = os.lstat(folder)
    except OSError as error:
        raise errors.PermanentError(
            f"cannot make {folder}: {error.strerror}; name another folder by --secrets"
        ) from error
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not is_ours or stat.S_IMODE(found.st_mode) & 0o077:
        raise errors.PermanentError(
            f"{folder} is not a folder of this user's alone; remove it, or name another by "
            "--secrets"
        )
