"""`alongside restart`: start what runs anew, one after the other, and show how it goes."""

from __future__ import annotations

import asyncio
import json

import click

from alongside.base import clock, environment
from alongside.cli import following, projects
from alongside.server import client


@click.command("restart")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--project", metavar="NAME", help="the project; this folder's name by default")
@click.option("--json", "as_json", is_flag=True, help="write one JSON object")
def command(names: tuple[str, ...], project: str | None, as_json: bool) -> int:
    """Restart caches, workloads or processes by NAME, else everything but Jobs.

    Nodes and routers get a successor on the same sockets, of one shard one at a time and the next
    when the last is warm. No request to a cache fails that ends within its drainTimeout; what is
    longer is cut. What binds its address by itself is stopped, then started. It goes on where this
    command is interrupted; alongside status shows it.
    """
    places = projects.own(project, environment.of_process())
    door = client.Client(places)
    try:
        number = door.restart(names)["number"]
        followed = following.Following("restart", door, number, is_shown=not as_json)
        with followed.interruptible():
            ended = asyncio.run(followed.until_end(clock.SystemClock()))
    except client.NotRunningError as error:
        raise projects.not_running(places) from error
    if as_json:
        click.echo(json.dumps(ended))
    return int(followed.result(ended, places))
