"""Bring a project up by its supervisor, and tell how that goes."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from typing import TYPE_CHECKING

import click

from alongside.base import clock, environment, errors, log
from alongside.cli import detaching, following, projects, showing
from alongside.contract.catalogue import up
from alongside.engines.processes import logs
from alongside.server import client, leftovers, orders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from alongside.engines.local import folders
    from alongside.server import status as status_of

SUPERVISOR_WAIT_S = 30.0
"""For another supervisor that begins or ends just now."""
POLL_S = 0.05
POLL_S_MAX = 1.0
POLL_PER_ANSWER = 9
"""The pause behind an answer, up to a second, is nine times as long as that took: a supervisor of
many pods is to start them, not to tell of them."""
COMING = frozenset({"starting", "unready", "waiting"})
"""The states of a process that is to become ready, and may not."""
LEAVING_S = 2.0
"""After it is told who is waited for that finishes what it has."""


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """What one `up` is to do, and how it tells of it."""

    project: str
    places: folders.Folders
    order: orders.Order
    variables: environment.Environment
    is_json: bool
    ready_s: float
    effective: Mapping[str, object] = dataclasses.field(default_factory=dict)
    """What its parameters came to, secrets masked."""


def bring(
    run: Run, door: client.Client, detached: detaching.Detached, become: Callable[[], int]
) -> int:
    """Attach to the project's supervisor, or become or start it; others may do so just now.

    Args:
        run: what to do.
        door: to the project's supervisor, if there is one.
        detached: ended where there is one.
        become: becomes or starts it and returns the exit code; raises
            `leftovers.HasSupervisorError` where another process has the project.

    Raises:
        errors.AlongsideError: the order cannot be carried out.
    """
    clock_ = clock.SystemClock()
    deadline_s = clock_.monotonic_s() + SUPERVISOR_WAIT_S
    while True:
        try:
            if door.is_up():
                detached.dismiss()
                applied = door.apply(run.order)
                note(run)
                tell(run, applied)
                return _follow(run, door, applied.get("restart"))
            return become()
        except leftovers.HasSupervisorError:
            if clock_.monotonic_s() > deadline_s or projects.is_silent(run.places, clock_):
                raise projects.not_running(run.places) from None
        asyncio.run(clock_.sleep(POLL_S))


def note(run: Run) -> None:
    """Log what this command was told, beside what the supervisor makes of it."""
    # Where nothing can be written, as on a full disk, what was asked is done all the same.
    with contextlib.suppress(OSError), run.places.supervisor_log.open("a") as stream:
        log_ = log.Log(clock.SystemClock(), stream=stream, fields={"project": run.project})
        log_.bind(component=up.CONTRACT.component).info("effective_values", values=run.effective)


def detach(run: Run, door: client.Client, detached: detaching.Detached) -> int:
    """Give a supervisor that stays its order, and wait until all is ready; return the exit code."""
    ordered = detached.give(run.order, run.places.supervisor_log)
    with _interruptible(run, "may go on"):
        applied = ordered.answer()
    with _interruptible(run):
        note(run)
        tell(run, applied)
        return asyncio.run(_until_ready(run, door))


@contextlib.contextmanager
def _interruptible(run: Run, what: str = "goes on") -> Iterator[None]:
    """Say at Ctrl-C that only the command ends by it, where a supervisor has what it asked for."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(
            f'alongside up: interrupted; project "{run.project}" {what}: alongside status '
            f"--project {run.project} shows it, alongside down --project "
            f"{run.project} stops it",
            err=True,
        )
        raise


def _follow(run: Run, door: client.Client, number: object) -> int:
    """Wait for what this command changed in a project that is up, and for its roll-out if any."""
    followed = None
    if isinstance(number, int):
        followed = following.Following("up", door, number, is_shown=not run.is_json)
    try:
        with followed.interruptible() if followed is not None else _interruptible(run):
            return asyncio.run(_until_ready(run, door, followed))
    except client.NotRunningError as error:
        raise projects.not_running(run.places) from error


async def _until_ready(
    run: Run, door: client.Client, followed: following.Following | None = None
) -> int:
    """Wait until all is ready and a roll-out has ended; say how it went.

    The time to become ready is for what is not ready; the waits of a roll-out have their own, and
    so has who was told to end.
    """
    clock_ = clock.SystemClock()
    ready_s = calm_s = clock_.monotonic_s()
    told = set[str]()
    while True:
        asked_s = clock_.monotonic_s()
        state, restart = door.status(), followed.look() if followed is not None else None
        now_s = clock_.monotonic_s()
        leaving = _awaited(state)
        if state["ready"] or leaving:
            ready_s = now_s
        if not leaving:
            calm_s = now_s
        is_over = restart is None or following.is_over(restart)
        is_late = now_s - ready_s > run.ready_s
        if (state["ready"] and is_over) or is_late or (is_over and _is_hopeless(state)):
            break
        waiting = [one for one in state["processes"] if one["state"] == "waiting"]
        lines = {one["name"]: one["reason"] for one in waiting}
        if now_s - calm_s > LEAVING_S:
            lines |= {f"waits until {name}": "has finished what it has" for name in leaving}
        for name in lines.keys() - told:
            click.echo(f"alongside up: {name} {lines[name]}", err=True)
        told.update(lines)
        pause_s = min(POLL_PER_ANSWER * (now_s - asked_s), POLL_S_MAX)
        await clock_.sleep(max(pause_s, following.POLL_S if state["ready"] else POLL_S))
    _print(run, state)
    code = _result(run, state)
    if followed is not None and restart is not None:
        code = max(code, followed.result(restart, run.places, binary=run.order.binary))
    return code


def _awaited(state: status_of.Status) -> list[str]:
    """Return who was told to end, where nothing but that keeps a project from being ready."""
    is_coming = any(one["state"] in COMING for one in state["processes"])
    # A supervisor that is older than this command does not say.
    return [] if state["ready"] or is_coming else state.get("leaving", [])


def _is_hopeless(state: status_of.Status) -> bool:
    """Return whether a Job failed, and nothing but that keeps a project from being ready."""
    # A supervisor that is older than this command does not say.
    failed = state.get("failed", {})
    return (
        bool(failed)
        and not state["leaving"]
        and all(
            one["state"] in ({"ended", "planned"} if one["group"] in failed else {"ready", "ended"})
            for one in state["processes"]
        )
    )


def tell(run: Run, applied: Mapping[str, object]) -> None:
    """Write what an order changes."""
    if run.is_json:
        click.echo(json.dumps(applied))
        return
    changes = applied["changes"]
    for change in changes if isinstance(changes, list | tuple) else ():
        click.echo(str(change))
    if not changes:
        click.echo("nothing to change")


def tell_console(run: Run, address: str) -> None:
    """Write where the project's page is, if it has one."""
    if address and not run.is_json:
        click.echo(f"console {address}")


def _print(run: Run, state: status_of.Status) -> None:
    if run.is_json:
        click.echo(json.dumps(state))
        return
    showing.write(state)
    showing.write_version(state)
    tell_console(run, state.get("console", ""))  # an older supervisor has none
    click.echo(
        f'project "{state["project"]}" stays up (supervisor pid {state["supervisor_pid"]}); '
        f"alongside down --project {state['project']} stops it"
    )


def _result(run: Run, state: status_of.Status) -> int:
    if state["ready"]:
        return int(errors.ExitCode.DONE)
    for process in state["processes"]:
        if process["state"] == "ready":
            continue
        reason = process["reason"] or process["state"]
        click.echo(f"alongside up: {process['name']} is not ready: {reason}", err=True)
        for path in _logs(run, process):
            end, _ = logs.read(path, None, lines=detaching.LOG_LINES)
            click.echo(end.decode(errors="replace"), err=True, nl=False)
    for warning in state["warnings"]:
        click.echo(f"alongside up: {warning}", err=True)
    return int(errors.ExitCode.FAILED)


def _logs(run: Run, process: status_of.ProcessStatus) -> list[Path]:
    """Return where a process writes; of a pod, its containers that are not as they should be."""
    # A supervisor that is older than this command names no containers.
    listed = process.get("containers", [])
    bad = [one["name"] for one in listed if not one["ready"] and one["reason"] != "Completed"]
    if len(listed) < 2:
        return [run.places.log(process["name"])]
    return [run.places.log(f"{process['name']}.{name}") for name in bad]
