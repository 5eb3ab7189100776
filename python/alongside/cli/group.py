"""The commands as click sees them: the group, help, and options made from contracts."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import click

from alongside.base import errors, release
from alongside.cli import lazy, options, table

if TYPE_CHECKING:
    from collections.abc import Sequence


def _load(name: str) -> click.Command:
    module = importlib.import_module(table.module_of(name))
    if name in table.NODES:
        return options.ContractCommand(module.CONTRACT, module.start)
    command: click.Command = module.command
    return command


def _print_version(ctx: click.Context, _: click.Parameter, is_asked: object) -> None:
    if not is_asked:
        return
    click.echo(f"alongside {release.version()}")
    ctx.exit()


@click.group(
    cls=lazy.Group,
    lines=table.COMMANDS,
    load=_load,
    context_settings={"help_option_names": list(table.HELP_FLAGS)},
)
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


def path_of(words: Sequence[str]) -> str:
    """Return the whole name of the command that words begin with, its groups before it."""
    context = click.Context(root)
    command: click.Command | None = root
    names = ["alongside"]
    for word in words:
        command = command.get_command(context, word) if isinstance(command, click.Group) else None
        if command is None:
            break
        names.append(word)
    return " ".join(names)


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
