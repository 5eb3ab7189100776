"""`alongside contract docs`: write the page of a contract."""

from __future__ import annotations

import click

from alongside.cli.contracts import output, reading
from alongside.contract import catalogue, page


@click.command("docs")
@click.argument("file", metavar="FILE|COMPONENT")
@click.option("-o", "--output", "target", metavar="FILE", help="write it there, not to stdout")
@click.option("--force", is_flag=True, help="replace that file if it exists")
def command(file: str, target: str | None, force: bool) -> None:
    """Write the page of a contract's file, or of a component of ours, as Markdown."""
    output.check(target, is_forced=force)
    contract = reading.contract(file)
    remark = "Written by `alongside contract docs`; edit the contract."
    shown = page.render(contract, title=catalogue.title(file), remark=remark)
    output.write(shown, target)
