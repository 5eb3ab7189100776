"""`alongside contract diff`: say what changed between two contracts, and whom it breaks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
from rich import console, text

from alongside.base import errors
from alongside.cli.contracts import reading
from alongside.contract.compare import printed, shown, waivers, whole

if TYPE_CHECKING:
    from alongside.contract import promise

_STYLES = {"breaking": "bold red", "notice": "yellow", "info": "dim", "accepted": "green"}


@click.command("diff")
@click.argument("old")
@click.argument("new")
@click.option(
    "--waivers", "waivers_file", metavar="FILE", help="YAML file of accepted changes, with notes"
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    help="text for people (default), json for programs, markdown for a pull request",
)
def command(old: str, new: str, waivers_file: str | None, form: str) -> int:
    """Say what changed from the contract OLD to NEW, and whom it breaks.

    OLD and NEW are files, YAML or JSON, or names of our components, such as cache; - is standard
    input. The exit code is 0 where nothing breaks, 1 where something does, 2 where a file or a word
    is wrong.
    """
    before, after, accepted = _read(old, new, waivers_file)
    verdict = waivers.judge(whole.compare(before, after), accepted)
    match form:
        case "json":
            click.echo(json.dumps(shown.to_json(before, after, verdict), indent=2))
        case "markdown":
            click.echo(shown.to_markdown(before, after, verdict), nl=False)
        case _:
            _write(before, after, verdict)
    for one in verdict.refused:
        click.echo(
            f"alongside contract diff: {waivers_file}: {printed.plain(waivers.refusal(one))}",
            err=True,
        )
    for one in verdict.unused:
        place = printed.plain(f"{one.rule} of {one.where}")
        values = f"from {printed.plain(one.was)} to {printed.plain(one.now)}"
        click.echo(
            f"alongside contract diff: {waivers_file}: {place} {values} did not happen; remove the "
            "waiver, lest it hide a later change",
            err=True,
        )
    return int(errors.ExitCode.DONE if verdict.is_compatible else errors.ExitCode.FAILED)


def _read(
    old: str, new: str, waivers_file: str | None
) -> tuple[promise.Contract, promise.Contract, tuple[waivers.Waiver, ...]]:
    """Return both contracts and the waivers, or raise every mistake of all files at once."""
    problems: list[str] = []
    if [old, new, waivers_file].count(reading.STDIN) > 1:
        raise errors.UsageError(f"{reading.STDIN}: is named twice; it can be read once")
    contracts: list[promise.Contract] = []
    for word in (old, new):
        try:
            contracts.append(reading.contract(word))
        except errors.UsageError as error:
            problems += error.problems
    accepted: tuple[waivers.Waiver, ...] = ()
    if waivers_file is not None:
        try:
            content = reading.text(waivers_file, bytes_max=waivers.BYTES_MAX)
            accepted = waivers.read(content, waivers_file)
        except errors.UsageError as error:
            problems += error.problems
    if problems:
        raise errors.UsageError(*dict.fromkeys(problems))
    return contracts[0], contracts[1], accepted


def _write(old: promise.Contract, new: promise.Contract, verdict: waivers.Verdict) -> None:
    terminal = console.Console()
    for line in shown.lines(old, new, verdict):
        if not terminal.is_terminal:
            click.echo(line.text)
            continue
        styled = text.Text(line.text)
        styled.stylize(_STYLES.get(line.severity, ""), 0, len(line.severity))
        terminal.print(styled)
