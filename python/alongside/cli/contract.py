"""`alongside contract`: what can be done with contracts; each is a file of `contracts`."""

from __future__ import annotations

import importlib

import click

from alongside.cli import lazy, table

SUBCOMMANDS: dict[str, str] = {
    "check": "Say what a contract's file, a Dockerfile or an image lacks",
    "diff": "Say what changed between two contracts, and whom it breaks",
    "docs": "Write the page of a contract",
    "init": "Draft the contract of a Dockerfile or an image",
    "show": "Write a contract as data, as its page, or for other tools",
    "wrap": "Check what a program is given, then become the program",
}
"""Every subcommand and its line of help, sorted; `contracts/<name>.py` holds its `command`."""


def _load(name: str) -> click.Command:
    module = importlib.import_module(f"alongside.cli.contracts.{name}")
    found: click.Command = module.command
    return found


@click.group(
    "contract",
    cls=lazy.Group,
    lines=SUBCOMMANDS,
    load=_load,
    context_settings={"help_option_names": list(table.HELP_FLAGS)},
)
def command() -> None:
    """Write, check, show and compare what components promise."""
