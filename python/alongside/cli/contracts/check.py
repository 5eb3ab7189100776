"""`alongside contract check`: say what a contract's file, a Dockerfile or an image lacks."""

from __future__ import annotations

from pathlib import Path

import click

from alongside.base import environment, errors
from alongside.cli.contracts import reading
from alongside.contract import written
from alongside.contract.drafting import checking, completing, sources


@click.command("check")
@click.argument("source", metavar="FILE|DOCKERFILE|IMAGE")
@click.option("--contract", metavar="FILE", help="the contract that the image is said to keep")
@click.option(
    "--target", "stage", metavar="STAGE", default="", help="the stage; by default the last"
)
@click.option("--context", metavar="DIR", help="the build context; by default the file's folder")
@click.option(
    "--platform", metavar="OS/ARCH", default="", help="which image of an archive of several"
)
def command(
    source: str, contract: str | None, stage: str, context: str | None, platform: str
) -> int:
    """Say what a contract's file, a Dockerfile or an image lacks, a line each; exit 1 if anything.

    With --contract also where the image and its contract disagree.
    """
    if sources.is_contract(source):
        if contract:
            raise errors.UsageError(
                f"{source}: is a contract itself; name a Dockerfile or an image beside --contract"
            )
        text = reading.text(source, bytes_max=written.BYTES_MAX)
        _, findings = completing.check(text, source)
    else:
        wishes = sources.Wishes(stage, Path(context) if context else None, platform)
        image = sources.image(source, wishes, environment.of_process())
        kept = reading.contract(contract) if contract else None
        findings = checking.check(image, kept)
    for finding in findings:
        click.echo(finding.line)
    return int(errors.ExitCode.FAILED if findings else errors.ExitCode.DONE)
