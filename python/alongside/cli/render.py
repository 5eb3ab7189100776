"""`alongside render`: print the document of a component; the data plane runs it to make it anew."""

from __future__ import annotations

import importlib

import click

from alongside.base import environment
from alongside.cli import table


@click.command(
    "render",
    context_settings={
        "ignore_unknown_options": True,
        "help_option_names": list(table.HELP_FLAGS),
    },
)
@click.argument("component", type=click.Choice(sorted(table.NODES)))
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[FLAGS]...")
def command(component: str, words: tuple[str, ...]) -> None:
    """Print the document that a component with these flags would serve, and serve nothing.

    An ambassador's data plane runs it when the file has changed that the ambassador follows. What
    is wrong stands on stderr, and the exit code is 2.
    """
    module = importlib.import_module(table.module_of(component))
    content: bytes = module.render(words, environment.of_process())
    click.echo(content)
