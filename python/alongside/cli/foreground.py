"""Be a project's supervisor while its terminal shows it: `alongside up` that is not detached."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich import live

from alongside.base import clock, errors, log
from alongside.cli import bringing, showing
from alongside.engines.local import engine
from alongside.server import leftovers, planning, serving
from alongside.server import status as status_of

if TYPE_CHECKING:
    from alongside.plan import building
    from alongside.server import control

REFRESH_S = 0.5


def supervise(run: bringing.Run) -> int:
    """Run the supervisor until it has ended; return the exit code.

    Raises:
        leftovers.HasSupervisorError: another process has the project.
        errors.AlongsideError: the order cannot be carried out.
    """
    drafted = planning.draft(run.order, run.project, run.places)  # before anything is written
    return asyncio.run(_supervise(run, drafted))


async def _supervise(run: bringing.Run, drafted: building.Draft) -> int:
    setting = engine.Setting(run.project, run.places, Path(run.order.binary), run.variables)
    clock_ = clock.SystemClock()
    run.places.make()
    with leftovers.open_log(run.places) as stream:
        log_ = log.Log(clock_, stream=stream, fields={"project": run.project})
        bringing.note(run)
        async with serving.serving(setting, run.order, drafted, clock_, log_) as (door, applied):
            with serving.ending_by_signal(door, door.engine) as asked:
                try:
                    bringing.tell(run, dataclasses.asdict(applied))
                    bringing.tell_console(run, door.console)
                    await _watch(run, door)
                except OSError:  # nobody can see it any more: a closed terminal, a closed pipe
                    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                    if not asked.is_set():
                        await door.end()
                    await door.is_over.wait()
    return int(errors.ExitCode.DONE)


async def _watch(run: bringing.Run, door: control.Control) -> None:
    """Show the project until it has ended."""
    clock_ = clock.SystemClock()
    shown = contextlib.nullcontext() if run.is_json else live.Live(auto_refresh=False)
    before = ""
    with shown as screen:
        while not door.is_over.is_set():
            state = await status_of.of(door.watched, now_s=clock_.monotonic_s())
            if screen is not None:
                screen.update(showing.whole(state), refresh=True)
            elif (line := _states(state)) != before:
                click.echo(json.dumps(state))
                before = line
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_S):
                    await door.is_over.wait()


def _states(state: status_of.Status) -> str:
    return json.dumps(
        [state["ready"], state["warnings"]]
        + [[process["name"], process["state"], process["pid"]] for process in state["processes"]]
    )
