"""`alongside purge`: forget what a cache keeps of a URL."""

from __future__ import annotations

import json

import click

from alongside.base import environment
from alongside.cli import projects
from alongside.server import client


@click.command("purge")
@click.argument("name")
@click.argument("url")
@click.option("--project", metavar="NAME", help="the project; this folder's name by default")
@click.option("--json", "as_json", is_flag=True, help="write one JSON object")
def command(name: str, url: str, project: str | None, as_json: bool) -> None:
    """Remove the answers for URL from every node of the cache NAME."""
    places = projects.own(project, environment.of_process())
    try:
        answer = client.Client(places).purge(name, url)
    except client.NotRunningError as error:
        raise projects.not_running(places) from error
    click.echo(json.dumps(answer) if as_json else f"purged {answer['purged']}")
