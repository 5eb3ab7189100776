"""`alongside logs`: show what a process wrote."""

from __future__ import annotations

import asyncio
import json

import click

from alongside.base import clock, environment, errors
from alongside.cli import projects
from alongside.server import client

FOLLOW_PERIOD_S = 0.2


@click.command("logs")
@click.argument("name", required=False)
@click.option("--follow", is_flag=True, help="go on until Ctrl-C")
@click.option("--project", metavar="NAME", help="the project; this folder's name by default")
@click.option("--json", "as_json", is_flag=True, help="write a JSON object for each line")
def command(name: str | None, follow: bool, project: str | None, as_json: bool) -> None:
    """Show the last lines of the process NAME, as `alongside status` names it."""
    places = projects.found(project, environment.of_process())
    door = client.Client(places)
    try:
        if name is None:
            known = [process["name"] for process in door.status()["processes"]]
            remedy = f"write one of {', '.join(known)}" if known else "nothing is up yet"
            raise errors.UsageError(f"NAME is missing; {remedy}")
        asyncio.run(_show(door, name, follow=follow, as_json=as_json))
    except client.NotRunningError as error:
        raise projects.not_running(places) from error


async def _show(door: client.Client, name: str, *, follow: bool, as_json: bool) -> None:
    clock_ = clock.SystemClock()
    offset: int | None = None
    while True:
        try:
            text, offset = door.logs(name, offset)
        except client.NotRunningError:
            if offset is not None:
                return
            raise
        _write(name, text, as_json=as_json)
        if not follow:
            return
        await clock_.sleep(FOLLOW_PERIOD_S)


def _write(name: str, text: str, *, as_json: bool) -> None:
    if not as_json:
        click.echo(text, nl=False)
        return
    for line in text.splitlines():
        click.echo(json.dumps({"process": name, "line": line}))
