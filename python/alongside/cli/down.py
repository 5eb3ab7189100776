"""`alongside down`: stop a project in reverse order, or end what a dead supervisor left."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from alongside.base import clock, environment, errors, log, units
from alongside.cli import projects
from alongside.components.dataplane import launch
from alongside.engines.local import engine
from alongside.server import client, leftovers, runtimes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alongside.engines.local import folders

CLOSE_WAIT_S = 10.0
POLL_S = 0.02


@click.command("down")
@click.option("--project", metavar="NAME", help="the project; this folder's name by default")
@click.option("--json", "as_json", is_flag=True, help="write one JSON object")
def command(project: str | None, as_json: bool) -> None:
    """Stop everything of a project in reverse order; a second time there is nothing to do."""
    places = projects.own(project, environment.of_process())
    result = asyncio.run(_down(places))
    if as_json:
        click.echo(json.dumps(result))
        return
    stopped, left, silent = result["stopped"], result["leftovers"], result["silent_supervisor"]
    if isinstance(stopped, list) and stopped:
        click.echo(f"stopped {', '.join(stopped)}")
    if silent is not None:
        click.echo(f"ended the supervisor, {silent}, which did not answer, and all it ran")
    if left:
        processes = "process" if left == 1 else "processes"
        click.echo(f"ended {left} {processes} that a dead supervisor had left")
    if not stopped and silent is None and not left:
        click.echo(f'nothing of project "{places.state.name}" was running')
    killed = result["killed"]
    for one in killed if isinstance(killed, list) else ():
        grace = units.format_duration(float(one["grace_s"]))
        click.echo(f"killed {one['name']} after its {grace} grace")


async def _down(places: folders.Folders) -> dict[str, object]:
    """Return what was stopped; nothing of the project runs afterwards."""
    clock_ = clock.SystemClock()
    silent = None
    answer: Mapping[str, object] = {"stopped": [], "killed": []}
    try:
        door = client.Client(places)
        door.status()  # who does not answer this would not answer the order for an hour
        answer = door.down()
    except (client.NotRunningError, client.SilentError):
        if holder := leftovers.holder(places):
            is_ended = await leftovers.tell(places, holder, clock_)
            silent = f"pid {holder.pid}, by {'SIGTERM' if is_ended else 'SIGKILL'}"
    result = {
        "project": places.state.name,
        **answer,
        "leftovers": 0,
        "silent_supervisor": silent,
    }
    if not places.state.is_dir():
        return result

    deadline_s = clock_.monotonic_s() + CLOSE_WAIT_S
    while clock_.monotonic_s() < deadline_s:
        with leftovers.locked(places) as is_ours:
            if is_ours:
                count = await _end(places, clock_)
                return {**result, "leftovers": count}
        await clock_.sleep(POLL_S)
    raise errors.TemporaryError(
        f'the supervisor of project "{places.state.name}" does not end; run it again',
        retry_after_s=CLOSE_WAIT_S,
    )


async def _end(places: folders.Folders, clock_: clock.Clock) -> int:
    with leftovers.open_log(places) as stream:
        log_ = log.Log(clock_, stream=stream, fields={"project": places.state.name})
        remains = runtimes.Remains(_setting(places), clock_, log_)
        return await leftovers.end(places, clock_, remains)


def _setting(places: folders.Folders) -> engine.Setting:
    """Return for whom what is left is ended; without a data plane, since nothing is started."""
    variables = environment.of_process()
    return engine.Setting(places.state.name, places, Path(launch.BINARY), variables)
