"""`alongside up`: run what resource files ask for, in the foreground or detached."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich import live

from alongside.base import clock, environment, errors, log
from alongside.cli import options, projects, showing
from alongside.components.dataplane import launch
from alongside.contract import flags, values
from alongside.contract.catalogue import up
from alongside.engines.local import engine, folders, logs
from alongside.plan import building
from alongside.resources import reading
from alongside.server import client, control, serving
from alongside.server import status as status_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONTRACT = up.CONTRACT
SUPERVISOR_WAIT_S = 30.0
POLL_S = 0.05
REFRESH_S = 0.5
LOG_LINES = 5


@dataclasses.dataclass(frozen=True, slots=True)
class _Order:
    sources: list[reading.Source]
    setting: engine.Setting
    is_named: bool
    is_json: bool
    grace_s: float
    ready_s: float

    @property
    def places(self) -> folders.Folders:
        return self.setting.folders


def start(words: Sequence[str], variables: environment.Environment) -> int:
    """Run by the words after the command's name; return the exit code."""
    resolved = values.resolve(CONTRACT, flags.read(CONTRACT, words), variables)
    paths = [Path(text) for text in resolved.texts("file")]
    is_named = resolved.is_set("project")
    given = projects.checked(resolved.text("project")) if is_named else None
    project = given or projects.of_folder(paths[0].absolute().parent)
    sources = reading.load(paths)
    grace_s = resolved.duration_s("stop_timeout")
    building.plan(reading.read(sources), grace_s=grace_s)
    places = folders.of_project(project, variables)
    binary = launch.find(variables, program=sys.argv[0], interpreter=sys.executable)
    setting = engine.Setting(project, places, Path(binary).absolute(), variables)
    order = _Order(
        sources,
        setting,
        is_named=is_named,
        is_json=resolved.is_on("json"),
        grace_s=grace_s,
        ready_s=resolved.duration_s("ready_timeout"),
    )
    door = client.Client(places)
    if door.is_up():
        return asyncio.run(_attach(order, door))
    if resolved.is_on("detach"):
        return asyncio.run(_detach(order, door))
    return asyncio.run(_foreground(order))


command = options.ContractCommand(CONTRACT, start)


async def _attach(order: _Order, door: client.Client) -> int:
    """Apply the difference through a supervisor that runs already."""
    running = door.status()
    folder = order.sources[0].folder
    if not order.is_named and running["folder"] not in {"", folder}:
        raise errors.UsageError(
            f'project "{order.setting.project}" is up from {running["folder"]}; '
            "add --project NAME to run these files beside it"
        )
    applied = door.apply(order.sources, grace_s=order.grace_s)
    _tell(order, applied)
    return await _until_ready(order, door)


async def _detach(order: _Order, door: client.Client) -> int:
    """Start a supervisor that stays, give it the files, and wait until all is ready."""
    process = _supervisor(order)
    await _until_up(order, door, process)
    try:
        applied = door.apply(order.sources, grace_s=order.grace_s)
    except errors.AlongsideError:
        door.down()
        raise
    _tell(order, applied)
    code = await _until_ready(order, door)
    process.returncode = 0  # it stays; keep Popen from warning that it was left
    return code


def _supervisor(order: _Order) -> subprocess.Popen[bytes]:
    order.places.make()
    words = [sys.executable, "-m", "alongside.server", order.setting.project]
    with order.places.log("supervisor").open("ab") as stream:
        return subprocess.Popen(  # noqa: S603 - our own module
            [*words, str(order.setting.binary)],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env=dict(order.setting.environment),
            cwd="/",
            start_new_session=True,
        )


async def _until_up(order: _Order, door: client.Client, process: subprocess.Popen[bytes]) -> None:
    clock_ = clock.SystemClock()
    deadline_s = clock_.monotonic_s() + SUPERVISOR_WAIT_S
    while not door.is_up():
        if process.poll() is not None or clock_.monotonic_s() > deadline_s:
            end, _ = logs.read(order.places.log("supervisor"), None, lines=LOG_LINES)
            raise errors.PermanentError(
                f"the supervisor does not start: {end.decode(errors='replace').strip()}"
            )
        await clock_.sleep(POLL_S)


async def _until_ready(order: _Order, door: client.Client) -> int:
    clock_ = clock.SystemClock()
    deadline_s = clock_.monotonic_s() + order.ready_s
    state = door.status()
    while not state["ready"] and clock_.monotonic_s() < deadline_s:
        await clock_.sleep(POLL_S)
        state = door.status()
    _print(order, state)
    return _result(order, state)


async def _foreground(order: _Order) -> int:
    clock_ = clock.SystemClock()
    order.places.make()
    with order.places.log("supervisor").open("a") as stream:
        log_ = log.Log(clock_, stream=stream, fields={"project": order.setting.project})
        async with serving.serving(order.setting, clock_, log_) as door:
            applied = door.watched.apply(order.sources, grace_s=order.grace_s)
            with serving.ending_by_signal(door, door.engine):
                changes: dict[str, object] = dataclasses.asdict(applied)
                _tell(order, changes)
                return await _watch(order, door)


async def _watch(order: _Order, door: control.Control) -> int:
    clock_ = clock.SystemClock()
    shown = contextlib.nullcontext() if order.is_json else live.Live(auto_refresh=False)
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
    return int(errors.ExitCode.DONE)


def _states(state: status_of.Status) -> str:
    return json.dumps(
        [state["ready"], state["warnings"]]
        + [[process["name"], process["state"], process["pid"]] for process in state["processes"]]
    )


def _tell(order: _Order, applied: Mapping[str, object]) -> None:
    if order.is_json:
        click.echo(json.dumps(applied))
        return
    changes = applied["changes"]
    for change in changes if isinstance(changes, list | tuple) else ():
        click.echo(str(change))
    if not changes:
        click.echo("nothing to change")


def _print(order: _Order, state: status_of.Status) -> None:
    if order.is_json:
        click.echo(json.dumps(state))
        return
    showing.write(state)
    click.echo(
        f'project "{state["project"]}" stays up (supervisor pid {state["supervisor_pid"]}); '
        f"alongside down --project {state['project']} stops it"
    )


def _result(order: _Order, state: status_of.Status) -> int:
    if state["ready"]:
        return int(errors.ExitCode.DONE)
    for process in state["processes"]:
        if process["state"] == "ready":
            continue
        end, _ = logs.read(order.places.log(process["name"]), None, lines=LOG_LINES)
        reason = process["reason"] or process["state"]
        click.echo(f"alongside up: {process['name']} is not ready: {reason}", err=True)
        click.echo(end.decode(errors="replace"), err=True, nl=False)
    return int(errors.ExitCode.FAILED)
