"""`alongside contract init`: draft the contract of a Dockerfile or an image."""

from __future__ import annotations

from pathlib import Path

import click

from alongside.base import environment
from alongside.cli.contracts import output
from alongside.contract.drafting import drafting, sources, writing


@click.command("init")
@click.argument("source", metavar="DOCKERFILE|IMAGE")
@click.option("-o", "--output", "target", metavar="FILE", help="write it there, not to stdout")
@click.option("--force", is_flag=True, help="replace that file if it exists")
@click.option(
    "--target", "stage", metavar="STAGE", default="", help="the stage; by default the last"
)
@click.option("--context", metavar="DIR", help="the build context; by default the file's folder")
@click.option("--component", metavar="NAME", help="its name, where the image does not say")
@click.option(
    "--platform", metavar="OS/ARCH", default="", help="which image of an archive of several"
)
def command(  # noqa: PLR0913, PLR0917 - one for each option
    source: str,
    target: str | None,
    force: bool,
    stage: str,
    context: str | None,
    component: str | None,
    platform: str,
) -> None:
    """Draft the contract of a Dockerfile or an image, with the questions it cannot answer.

    An image is one that the Docker engine of this machine has, a file that `docker save` wrote, or
    a folder in the OCI layout. Nothing is built, pulled or run.
    """
    output.check(target, is_forced=force)
    wishes = sources.Wishes(stage, Path(context) if context else None, platform)
    image = sources.image(source, wishes, environment.of_process())
    draft = drafting.draft(image, component or sources.component(source))
    output.write(writing.text(draft, Path(source).name or source), target)
