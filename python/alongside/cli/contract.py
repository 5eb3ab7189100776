"""`alongside contract`: what can be done with contracts; each is a file of `contracts`."""

from __future__ import annotations

import importlib

import click

from alongside.cli import table

SUBCOMMANDS: dict[str, str] = {
    "check": "Say what a contract's file, a Dockerfile or an image lacks",
    "diff": "Say what changed between two contracts, and whom it breaks",
    "docs": "Write the page of a contract",
    "init": "Draft the contract of a Dockerfile or an image",
    "show": "Write a contract as data, as its page, or for other tools",
    "wrap": "Check what a program is given, then become the program",
}
"""Every subcommand and its line of help, sorted; `contracts/<name>.py` holds its `command`."""


class _LazyGroup(click.Group):
    """A group that imports a subcommand's file only when that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, sorted."""
        return sorted(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the subcommand of that name; None where there is none."""
        if cmd_name not in SUBCOMMANDS:
            return None
        module = importlib.import_module(f"alongside.cli.contracts.{cmd_name}")
        found: click.Command = module.command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUBCOMMANDS[name]) for name in self.list_commands(ctx)])


@click.group(
    "contract", cls=_LazyGroup, context_settings={"help_option_names": list(table.HELP_FLAGS)}
)
def command() -> None:
    """Write, check, show and compare what components promise."""
