"""`alongside completion`: the lines that make a shell complete our commands and their flags."""

from __future__ import annotations

import click
from click import shell_completion

VARIABLE = "_ALONGSIDE_COMPLETE"
"""By which click is asked for completions; the lines set it, nobody else does."""
SHELLS = ("bash", "fish", "zsh")


_HELP = """Write what SHELL needs to complete `alongside`: commands, flags, choices, files.

\b
bash: alongside completion bash > ~/.local/share/bash-completion/completions/alongside
zsh:  alongside completion zsh > a file _alongside in a folder of $fpath
fish: alongside completion fish > ~/.config/fish/completions/alongside.fish
"""


@click.command("completion", help=_HELP)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Write a shell's lines."""
    found = shell_completion.get_completion_class(shell)
    if found is None:  # not while click knows all of SHELLS
        raise click.ClickException(f"click does not know {shell}")
    click.echo(found(ctx.find_root().command, {}, "alongside", VARIABLE).source(), nl=False)
