"""`alongside explain`: say where a request goes, and why."""

from __future__ import annotations

import json

import click

from alongside.base import environment
from alongside.cli import projects
from alongside.server import client


@click.command("explain")
@click.argument("name")
@click.argument("url")
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="repeatable")
@click.option("--ip", "address", metavar="ADDRESS", help="the client's address")
@click.option("--project", metavar="NAME", help="the project; this folder's name by default")
@click.option("--json", "as_json", is_flag=True, help="write one JSON object")
def command(
    name: str,
    url: str,
    headers: tuple[str, ...],
    address: str | None,
    project: str | None,
    as_json: bool,
) -> None:
    """Say key, hash, shard, replicas, address and reason for a request to the cache NAME."""
    places = projects.found(project, environment.of_process())
    try:
        answer = client.Client(places).explain(name, url, headers=headers, address=address)
    except client.NotRunningError as error:
        raise projects.not_running(places) from error
    if as_json:
        click.echo(json.dumps(answer))
        return
    shown = {field: value for field, value in answer.items() if field != "address"}
    width = max(len(field) for field in shown)
    for field, value in shown.items():
        click.echo(f"{field:<{width}}  {_text(value)}")


def _text(value: object) -> str:
    """Return a value for people: a replica as `NAME ADDRESS`, several separated by commas."""
    match value:
        case list():
            return ", ".join(_text(entry) for entry in value)
        case {"id": name, "address": address}:
            return f"{name} {address}"
        case dict():
            return " ".join(f"{field}={_text(entry)}" for field, entry in value.items())
        case _:
            return str(value)
