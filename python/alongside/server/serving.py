"""Run a supervisor in this process until it is told to end: lock, leftovers, socket, loops."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from typing import TYPE_CHECKING

import uvicorn

from alongside.base import errors
from alongside.engines.local import engine, sockets
from alongside.engines.processes import groups
from alongside.plan import choosing
from alongside.server import (
    console,
    control,
    installed,
    journal,
    leftovers,
    planning,
    runtimes,
    supervisor,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette import applications

    from alongside.base import clock, log
    from alongside.engines.local import folders
    from alongside.plan import building, shape
    from alongside.server import orders

BACKLOG = 64
SHUTDOWN_S = 2


class _Server(uvicorn.Server):
    """A server that leaves signals to us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(
    setting: engine.Setting,
    order: orders.Order,
    drafted: building.Draft,
    clock_: clock.Clock,
    log_: log.Log,
) -> AsyncIterator[tuple[control.Control, orders.Applied]]:
    """Run a supervisor while the block runs; whatever still runs afterwards is ended.

    Only where its loops failed it is left running, for the next `up` to find by the journal. What
    a dead supervisor left is ended only when nothing speaks against the order.

    Args:
        setting: whose supervisor it is.
        order: what is asked for.
        drafted: what its files come to, whatever runs the pods.
        clock_: of the supervisor.
        log_: of the supervisor.

    Yields:
        The answers of its control API, and what the order changes.

    Raises:
        leftovers.HasSupervisorError: another process has the project.
        errors.AlongsideError: the order cannot be carried out; nothing that runs was touched.
    """
    places = setting.folders
    places.make()
    with leftovers.locked(places) as is_ours:
        if not is_ours:
            raise leftovers.HasSupervisorError(
                f'project "{setting.project}" has a supervisor already', retry_after_s=0.1
            )
        leftovers.sign(places)
        plan = await _plan(setting, order, drafted)
        page = console.Console()
        with page.bind(order.console) as bound:
            watched, applied = await _supervisor(setting, order, plan, clock_, log_)
            door = control.Control(watched, clock_, console=page.url)
            shown = page.application(state=door.state, log=door.read_log)
            loops = asyncio.create_task(watched.run())
            loops.add_done_callback(lambda _: door.is_over.set())
            try:
                async with (
                    _listening(door.application(), _bind(places.control)),
                    _listening(shown, bound),
                ):
                    yield door, applied
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(places.control)
                loops.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await loops  # where they failed, all is left running for the next `up`
                await watched.close()


async def _supervisor(
    setting: engine.Setting,
    order: orders.Order,
    plan: shape.Plan,
    clock_: clock.Clock,
    log_: log.Log,
) -> tuple[supervisor.Supervisor, orders.Applied]:
    """Return a supervisor that has begun to carry out a plan, after ending what was left."""
    places = setting.folders
    before = journal.read(places.journal)
    ground = runtimes.ground(plan.engine, setting, clock_, log_)
    left = leftovers.find(places)
    if left or before.engine:
        order.check_folder(setting.project, before.folder)
        installed.check(plan, setting.environment)
        _check(plan, places, frozenset(one.identity.pid for one in left))
    groups.become_subreaper()
    if count := await leftovers.end(places, clock_, runtimes.Remains(setting, clock_, log_)):
        log_.warning("leftovers_ended", processes=count)
    wake = asyncio.Event()
    engine_ = engine.Engine(setting, clock_, wake.set, log_, ground=ground)
    watched = supervisor.Supervisor(engine_, clock_, log_, epoch=before.epoch + 1, wake=wake)
    return watched, await _begun(watched, plan, order)


async def _plan(
    setting: engine.Setting, order: orders.Order, drafted: building.Draft
) -> shape.Plan:
    facts = choosing.Facts()
    if planning.needs_facts(order, drafted):
        facts = await runtimes.facts(setting)
    return planning.begun(order, drafted, facts)


async def _begun(
    watched: supervisor.Supervisor, plan: shape.Plan, order: orders.Order
) -> orders.Applied:
    """Let a supervisor begin to carry out a plan; where it cannot, nothing of it is left."""
    watched.folder = order.folder
    if any(process.pod is not None for process in plan.processes):
        # First, so that who comes after our sudden end looks for what was made until then.
        watched.write_journal(coming=plan.engine)
    try:
        await watched.engine.open(plan)
        return watched.adopt(plan, order)
    except BaseException:
        await watched.engine.close()
        watched.write_journal()
        raise


def _check(plan: shape.Plan, places: folders.Folders, left: frozenset[int]) -> None:
    """Refuse a plan for what can be known while its predecessor still serves."""
    planning.check_documents(plan, places)
    if taken := sockets.check(plan, lambda: left):
        raise errors.AddressTakenError(*taken)


@contextlib.asynccontextmanager
async def _listening(
    application: applications.Starlette, bound: socket.socket
) -> AsyncIterator[None]:
    """Serve at a socket while the block runs; it is closed then."""
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        yield
    finally:
        server.should_exit = True
        await task
        bound.close()


def _bind(path: os.PathLike[str]) -> socket.socket:
    """Return a listening socket that only this user can open; a dead one's path is replaced."""
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        bound.bind(os.fspath(path))
    except OSError as error:
        bound.close()
        raise errors.PermanentError(
            f"cannot listen at {os.fspath(path)}: {error.strerror}; check the folder"
        ) from error
    finally:
        os.umask(before)
    bound.listen(BACKLOG)
    return bound


@contextlib.contextmanager
def ending_by_signal(door: control.Control, watched: engine.Engine) -> Iterator[asyncio.Event]:
    """Stop in order at the first signal to end, kill at the second; set the event at once.

    A terminal that is closed sends SIGHUP; what runs in it must end as by Ctrl-C.
    """
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    tasks: list[asyncio.Task[None]] = []

    def on_signal() -> None:
        if asked.is_set():
            watched.hurry()
            return
        asked.set()
        tasks.append(loop.create_task(door.end()))

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, on_signal)
    try:
        yield asked
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
