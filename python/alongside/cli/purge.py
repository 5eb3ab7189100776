"""`alongside purge`: forget what a cache keeps of a URL."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from alongside.base import environment, errors
from alongside.cli import projects
from alongside.server import client

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    click.echo(json.dumps(answer) if as_json else _text(answer))
    for node in _names(answer["not_kept"]):
        click.echo(
            f"alongside purge: {node} does not answer and is owed too many purges to keep one more;"
            " end its process, since a new one begins empty",
            err=True,
        )
    if answer["not_kept"]:
        sys.exit(int(errors.ExitCode.FAILED))


def _text(answer: Mapping[str, object]) -> str:
    """Return how many answers are gone, from how many nodes, and who has yet to forget."""
    away = [*_names(answer["owed"]), *_names(answer["not_kept"])]
    forgotten = int(str(answer["forgotten"]))
    text = f"purged {answer['purged']}; {forgotten} of {forgotten + len(away)} nodes have forgotten"
    if owed := _names(answer["owed"]):
        they = "it is" if len(owed) == 1 else "each is"
        text += f", {', '.join(owed)} did not answer: {they} told again until it has"
    return text


def _names(value: object) -> list[str]:
    return [str(name) for name in value] if isinstance(value, list) else []
