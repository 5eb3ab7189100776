"""The commands as click sees them: the group, help, and options made from contracts."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import click

from alongside.base import errors, release
from alongside.cli import options, table

if TYPE_CHECKING:
    from collections.abc import Sequence


class _LazyGroup(click.Group):
    """A group that imports a command's file only when that command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, sorted."""
        return sorted(table.COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name; None where there is none."""
        if cmd_name not in table.COMMANDS:
            return None
        module = importlib.import_module(table.module_of(cmd_name))
        if cmd_name in table.NODES:
            return options.ContractCommand(module.CONTRACT, module.start)
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, table.COMMANDS[name]) for name in self.list_commands(ctx)])


def _print_version(ctx: click.Context, _: click.Parameter, is_asked: object) -> None:
    if not is_asked:
        return
    click.echo(f"alongside {release.version()}")
    ctx.exit()


@click.group(cls=_LazyGroup, context_settings={"help_option_names": list(table.HELP_FLAGS)})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def root() -> None:
    """Parts for distributed systems that stand beside a program which stays as it is."""


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code.

    Raises:
        errors.UsageError: click could not make sense of it.
        errors.AlongsideError: whatever the command raises.
    """
    try:
        code = root.main(list(arguments), prog_name="alongside", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return int(errors.ExitCode.USAGE)
    except click.ClickException as error:
        raise errors.UsageError(error.format_message()) from error
    except click.Abort:
        raise KeyboardInterrupt from None
    return code if isinstance(code, int) else int(errors.ExitCode.DONE)
