"""`alongside status`: show what runs, where it listens and what needs a look."""

from __future__ import annotations

import json

import click

from alongside.base import environment
from alongside.cli import projects, showing
from alongside.server import client


@click.command("status")
@click.option("--project", metavar="NAME", help="the project; this folder's name by default")
@click.option("--json", "as_json", is_flag=True, help="write one JSON object")
def command(project: str | None, as_json: bool) -> None:
    """Show the processes of a project, their addresses, and warnings."""
    places = projects.found(project, environment.of_process())
    try:
        state = client.Client(places).status()
    except client.NotRunningError as error:
        raise projects.not_running(places) from error
    if as_json:
        click.echo(json.dumps(state))
    else:
        click.echo(showing.title(state))
        showing.write(state)
        showing.write_version(state)
