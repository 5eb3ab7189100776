"""`alongside restart`: start what runs anew, one after the other, and show how it goes."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import click

from alongside.base import clock, environment, errors
from alongside.cli import projects
from alongside.server import client

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alongside.engines.local import folders
    from alongside.server import rolling

POLL_S = 0.1


@click.command("restart")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--project", metavar="NAME", help="the project; this folder's name by default")
@click.option("--json", "as_json", is_flag=True, help="write one JSON object")
def command(names: tuple[str, ...], project: str | None, as_json: bool) -> int:
    """Restart caches or processes by NAME, else everything, so that no request fails.

    Nodes and routers get a successor on the same sockets, of one shard one at a time and the next
    when the last is warm. What binds its address by itself is stopped, then started. It goes on
    where this command is interrupted; alongside status shows it.
    """
    places = projects.own(project, environment.of_process())
    try:
        state = client.Client(places).restart(names)
        ended = asyncio.run(_followed(places, state, is_shown=not as_json))
    except client.NotRunningError as error:
        raise projects.not_running(places) from error
    if as_json:
        click.echo(json.dumps(ended))
    elif ended["outcome"] == "done":
        click.echo(f"restarted {ended['done']} of {ended['asked']}")
    if ended["outcome"] == "done":
        return int(errors.ExitCode.DONE)
    click.echo(f"alongside restart: {ended['reason']}; the rest stayed as it was", err=True)
    return int(errors.ExitCode.FAILED)


async def _followed(
    places: folders.Folders, state: rolling.RestartStatus, *, is_shown: bool
) -> rolling.RestartStatus:
    """Return a restart's end, after showing its steps as they are told."""
    door, clock_ = client.Client(places), clock.SystemClock()
    shown, number = 0, state["number"]
    while True:
        if is_shown:
            _show(state, shown)
        shown = state["told"]
        if state["outcome"] != "running":
            return state
        await clock_.sleep(POLL_S)
        now = door.status()["restart"]
        if now is None or now["number"] != number:
            raise errors.TemporaryError(
                "another restart began before the end of this one was seen; see alongside status",
                retry_after_s=POLL_S,
            )
        state = now


def _show(state: rolling.RestartStatus, shown: int) -> None:
    new: Sequence[str] = state["steps"][-(state["told"] - shown) :] if state["told"] > shown else ()
    for step in new:
        click.echo(step)
