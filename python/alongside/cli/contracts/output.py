"""Write what a command makes to stdout, or to a file that does not exist yet."""

from __future__ import annotations

from pathlib import Path

import click

from alongside.base import errors, files


def check(target: str | None, *, is_forced: bool) -> None:
    """Refuse to replace a file before any work is done, unless it is asked for.

    Raises:
        errors.UsageError: the file exists, or its folder does not.
    """
    if target is None:
        return
    path = Path(target)
    if path.is_dir() or not path.parent.is_dir():
        raise errors.UsageError(f"{target}: is no file in a folder that exists; name one")
    if path.exists() and not is_forced:
        raise errors.UsageError(f"{target}: exists; name another file, or replace it with --force")


def write(text: str, target: str | None) -> None:
    """Write a text to a file, whole or not at all, or to stdout."""
    if target is None:
        click.echo(text, nl=False)
    else:
        files.write_atomic(Path(target), text.encode("utf-8", "replace"), mode=0o644)
