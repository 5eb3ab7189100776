"""`alongside up`: run what resource files ask for, in the foreground or detached."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import io
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
from rich import live

from alongside.base import clock, environment, errors, log
from alongside.cli import following, options, projects, showing
from alongside.components.dataplane import launch
from alongside.contract import values
from alongside.contract.catalogue import up
from alongside.engines.local import engine, folders
from alongside.engines.processes import logs, services
from alongside.resources import reading
from alongside.server import client, orders, planning, serving
from alongside.server import status as status_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from alongside.plan import choosing
    from alongside.server import control

CONTRACT = up.CONTRACT
SUPERVISOR_WAIT_S = 30.0
"""For another supervisor that begins or ends just now."""
ANSWER_WAIT_S = 60.0
"""For our own: it may have to end first what a dead one left."""
READ_BYTES = 1 << 16
POLL_S = 0.05
POLL_S_MAX = 1.0
POLL_PER_ANSWER = 9
"""The pause behind an answer, up to a second, is nine times as long as that took: a supervisor of
many pods is to start them, not to tell of them."""
REFRESH_S = 0.5
LOG_LINES = 5
COMING = frozenset({"starting", "unready", "waiting"})
"""The states of a process that is to become ready, and may not."""
LEAVING_S = 2.0
"""After it is told who is waited for that finishes what it has."""


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """What one `up` is to do, and how it tells of it."""

    order: orders.Order
    setting: engine.Setting
    is_detached: bool
    is_json: bool
    ready_s: float
    effective: Mapping[str, object] = dataclasses.field(default_factory=dict)
    """What its parameters came to, secrets masked."""

    @property
    def places(self) -> folders.Folders:
        """The project's folders."""
        return self.setting.folders


def start(words: Sequence[str], variables: environment.Environment) -> int:
    """Run by the words after the command's name; return the exit code."""
    resolved = values.gather(CONTRACT, words, variables)
    paths = [Path(text) for text in resolved.texts("file")]
    is_named = resolved.is_set("project")
    given = projects.checked(resolved.text("project")) if is_named else None
    project = given or projects.of_folder(paths[0].absolute().parent)
    images = [Path(text) for text in resolved.texts("images")]
    order = orders.Order(
        tuple(reading.load(paths)),
        resolved.duration_s("stop_timeout"),
        is_named=is_named,
        engine=cast("choosing.Wish", resolved.text("engine")),
        images=tuple(reading.load(images)),
        console=resolved.text("console"),
    )
    places = folders.of_project(project, variables)
    planning.draft(order, project, places)
    found = launch.find(variables, program=sys.argv[0], interpreter=sys.executable)
    binary = Path(found).absolute()
    setting = engine.Setting(project, places, binary, variables)
    run = Run(
        dataclasses.replace(order, binary=str(binary)),
        setting,
        is_detached=resolved.is_on("detach"),
        is_json=resolved.is_on("json"),
        ready_s=resolved.duration_s("ready_timeout"),
        effective=resolved.effective(),
    )
    return bring(run, client.Client(places))


command = options.ContractCommand(CONTRACT, start)


def bring(run: Run, door: client.Client) -> int:
    """Attach to the project's supervisor, or become or start it; others may do so just now."""
    clock_ = clock.SystemClock()
    deadline_s = clock_.monotonic_s() + SUPERVISOR_WAIT_S
    while True:
        try:
            if door.is_up():
                applied = door.apply(run.order)
                _note(run)
                _tell(run, applied)
                return _follow(run, door, applied.get("restart"))
            if run.is_detached:
                return _detach(run, door)
            return asyncio.run(_foreground(run))
        except serving.HasSupervisorError:
            if clock_.monotonic_s() > deadline_s or projects.is_silent(run.places, clock_):
                raise projects.not_running(run.places) from None
        asyncio.run(clock_.sleep(POLL_S))


def _note(run: Run) -> None:
    """Log what this command was told, beside what the supervisor makes of it."""
    # Where nothing can be written, as on a full disk, what was asked is done all the same.
    with contextlib.suppress(OSError), run.places.supervisor_log.open("a") as stream:
        log_ = log.Log(clock.SystemClock(), stream=stream, fields={"project": run.setting.project})
        log_.bind(component=CONTRACT.component).info("effective_values", values=run.effective)


def _detach(run: Run, door: client.Client) -> int:
    """Start a supervisor that stays, and wait until all is ready."""
    process = _supervisor(run)
    applied = _answer(run, process)
    process.returncode = 0  # it stays; keep Popen from warning that it was left
    with _interruptible(run):
        _tell(run, applied)
        return asyncio.run(_until_ready(run, door))


@contextlib.contextmanager
def _interruptible(run: Run) -> Iterator[None]:
    """Say at Ctrl-C that only the command ends by it, where a supervisor has what it asked for."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(
            f'alongside up: interrupted; project "{run.setting.project}" goes on: alongside status '
            f"--project {run.setting.project} shows it, alongside down --project "
            f"{run.setting.project} stops it",
            err=True,
        )
        raise


def _supervisor(run: Run) -> subprocess.Popen[bytes]:
    """Start a supervisor of its own session and give it the order."""
    run.places.make()
    logs.bound(run.places.supervisor_log)
    _note(run)
    words = [sys.executable, *services.SUPERVISOR, run.setting.project]
    with run.places.supervisor_log.open("ab") as stream:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [*words, str(run.setting.binary)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stream,
            env=dict(run.setting.environment),
            cwd="/",
            start_new_session=True,
        )
    with contextlib.suppress(BrokenPipeError), process.stdin or contextlib.nullcontext() as line:
        if line is not None:
            line.write(json.dumps(run.order.to_json()).encode())
    return process


def _answer(run: Run, process: subprocess.Popen[bytes]) -> Mapping[str, object]:
    """Return what a new supervisor makes of its order.

    Raises:
        serving.HasSupervisorError: another process has the project.
        errors.AlongsideError: the order is refused, or the supervisor does not start.
    """
    content = _read(process, deadline_s=time.monotonic() + ANSWER_WAIT_S)
    try:
        value = json.loads(content)
    except ValueError:
        end, _ = logs.read(run.places.supervisor_log, None, lines=LOG_LINES)
        raise errors.PermanentError(
            f"the supervisor does not start; the end of {run.places.supervisor_log}:\n"
            + end.decode(errors="replace").rstrip()
        ) from None
    if "changes" in value:
        return cast("Mapping[str, object]", value)
    process.wait()
    if value.get("is_busy"):
        raise serving.HasSupervisorError(str(value["problems"]), retry_after_s=POLL_S)
    raise client.refusal(value, "the supervisor gives no reason")


def _read(process: subprocess.Popen[bytes], *, deadline_s: float) -> bytes:
    """Return all that a process writes before it closes its stdout."""
    content = b""
    with process.stdout or io.BytesIO() as line:
        while select.select([line], [], [], max(0.0, deadline_s - time.monotonic()))[0]:
            part = os.read(line.fileno(), READ_BYTES)
            if not part:
                break
            content += part
    return content


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
        code = max(code, followed.result(restart, run.places, binary=str(run.setting.binary)))
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


async def _foreground(run: Run) -> int:
    clock_ = clock.SystemClock()
    run.places.make()
    logs.bound(run.places.supervisor_log)
    with run.places.supervisor_log.open("a") as stream:
        log_ = log.Log(clock_, stream=stream, fields={"project": run.setting.project})
        _note(run)
        async with serving.serving(run.setting, run.order, clock_, log_) as (door, applied):
            with serving.ending_by_signal(door, door.engine) as asked:
                try:
                    _tell(run, dataclasses.asdict(applied))
                    _tell_console(run, door.console)
                    await _watch(run, door)
                except OSError:  # nobody can see it any more: a closed terminal, a closed pipe
                    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                    if not asked.is_set():
                        await door.end()
                    await door.is_over.wait()
    return int(errors.ExitCode.DONE)


async def _watch(run: Run, door: control.Control) -> None:
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


def _tell(run: Run, applied: Mapping[str, object]) -> None:
    if run.is_json:
        click.echo(json.dumps(applied))
        return
    changes = applied["changes"]
    for change in changes if isinstance(changes, list | tuple) else ():
        click.echo(str(change))
    if not changes:
        click.echo("nothing to change")


def _tell_console(run: Run, address: str) -> None:
    if address and not run.is_json:
        click.echo(f"console {address}")


def _print(run: Run, state: status_of.Status) -> None:
    if run.is_json:
        click.echo(json.dumps(state))
        return
    showing.write(state)
    showing.write_version(state)
    _tell_console(run, state.get("console", ""))  # an older supervisor has none
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
            end, _ = logs.read(path, None, lines=LOG_LINES)
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
