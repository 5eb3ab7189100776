"""Find the contract that a word of the command line means: a component of ours, or a file."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from alongside.base import errors, files, nearest, release
from alongside.contract import catalogue, promise, written

STDIN = "-"
"""The word that means standard input."""


def contract(word: str) -> promise.Contract:
    """Return the contract of a component of that name, else of the file there.

    Ours get the version of this package. A file that is named like a component is `./cache`.

    Raises:
        errors.UsageError: there is neither, or the file holds no contract.
    """
    if word in catalogue.NAMES:
        return dataclasses.replace(catalogue.contract_of(word), version=release.version())
    if word != STDIN and not Path(word).exists() and "/" not in word:
        near = nearest.nearest(word, catalogue.NAMES)
        hint = f"did you mean {near}?" if near else f"ours are {', '.join(catalogue.NAMES)}"
        raise errors.UsageError(f"{word}: is neither a file nor a component; {hint}")
    return written.from_text(text(word, bytes_max=written.BYTES_MAX), word)


def text(path: str, *, bytes_max: int) -> str:
    """Return the text of a file, a pipe such as a shell's `<(…)`, or of standard input for `-`.

    A pipe is read until its writer closes it, or more came than there may be.

    Raises:
        errors.UsageError: it is missing, too long, or no UTF-8.
    """
    if path == STDIN or Path(path).is_fifo():
        content = _piped(path, bytes_max)
    else:
        content = files.read_bounded(Path(path), bytes_max=bytes_max)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise errors.UsageError(f"{path}: is no UTF-8 text; name another file") from error


def _piped(path: str, bytes_max: int) -> bytes:
    try:
        if path == STDIN:
            content = sys.stdin.buffer.read(bytes_max + 1)
        else:
            with Path(path).open("rb") as stream:
                content = stream.read(bytes_max + 1)
    except OSError as error:
        raise errors.UsageError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > bytes_max:
        raise errors.UsageError(f"{path} is larger than {bytes_max} bytes; name a smaller file")
    return content
