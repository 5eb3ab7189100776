"""A group of commands that loads a command's file only when that command is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from alongside.base import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Group(click.Group):
    """A group that knows the names of its commands and their lines of help beforehand."""

    def __init__(
        self,
        name: str | None = None,
        *,
        lines: Mapping[str, str],
        load: Callable[[str], click.Command],
        **settings: object,
    ) -> None:
        """Take the lines of help by command, and what gives a command of `lines`."""
        super().__init__(name, **settings)  # type: ignore[arg-type]  # as click gives them
        self._lines = lines
        self._load = load

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, sorted."""
        return sorted(self._lines)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name; None where there is none."""
        return self._load(cmd_name) if cmd_name in self._lines else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the words begin with, and the rest.

        Raises:
            click.UsageError: there is none; the nearest one is named.
        """
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            likely = nearest.nearest(args[0], self._lines)
            if likely is None or args[0].startswith("-"):
                raise
            message = f'{error.message.rstrip(".")}; did you mean "{likely}"?'
            raise click.UsageError(message, ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._lines[name]) for name in self.list_commands(ctx)])
