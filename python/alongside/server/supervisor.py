"""Drive an engine towards the plan of the files last applied; answer what is asked about it."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.plan import documents, shape, stepping
from alongside.server import installed, journal, orders, planning, purging, rolling, sampling

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container, Mapping, Sequence

    from alongside.base import clock, log
    from alongside.engines.local import engine
    from alongside.plan import pods
    from alongside.resources import texts

RECONCILE_S_MAX = 10.0
"""The longest time between two looks, whatever events say."""
RETRY_S_MAX = 1.0
"""The same while something failed that is to be tried again."""
ORIGIN_PERIOD_S_MIN = 0.1
ORIGIN_PERIOD_S_MAX = 2.0
"""Between two looks at an origin that does not answer: soon after a change, then twice as late."""
ORIGIN_PERIOD_S_CALM = 10.0
"""Between two looks while all of them answer."""
ORIGIN_TIMEOUT_S = 1.0
TIDY_PERIOD_S = 5.0
FAILED_RETRY_S = 2.0
"""Before one step that failed is taken again; the others go on meanwhile."""
NEW_VERSION = "new version of the data plane"
ASKED = "asked for"
_JOURNAL = "write the journal"


class Supervisor:
    """One project; all methods belong to one event loop."""

    def __init__(
        self,
        engine_: engine.Engine,
        clock_: clock.Clock,
        log_: log.Log,
        *,
        epoch: int,
        wake: asyncio.Event,
    ) -> None:
        """Take an engine that runs nothing yet, its documents' epoch, and what it wakes us by."""
        self.engine = engine_
        self.rolling = rolling.Rolling(engine_, clock_, log_, epoch=epoch)
        self.plan = shape.Plan()
        self.sources: tuple[texts.Source, ...] = ()
        self.folder = ""
        """Of the files last applied; kept while all is stopped."""
        self.wake = wake
        self._clock = clock_
        self._log = log_
        self._epoch = epoch
        self._generation = 0
        self._journal: journal.Journal | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, tuple[float, str]] = {}
        """When the failed step of a process is to be taken again, and why it failed."""
        self._origins: dict[str, str] = {}
        self._origin_period_s = ORIGIN_PERIOD_S_MIN
        self._look = asyncio.Event()
        """Set when a process changed, so that origins are looked at anew."""
        self._faults: dict[str, str] = {}
        """Why the last turn of a loop failed, for people."""
        self._caches: dict[str, str] = {}
        """The cache of each node that is planned or runs."""
        self.sampler = sampling.Sampler(engine_, clock_)
        self.purges = purging.Purges(engine_, clock_, log_, self.nodes_of)

    @property
    def runs_on(self) -> shape.EngineName:
        """What runs the project's pods, as long as it is up."""
        return self.engine.runs_on

    def adopt(self, plan: shape.Plan, order: orders.Order) -> orders.Applied:
        """Make the plan of an order's files the new goal; nothing changes unless all is right.

        Raises:
            errors.UsageError: what the data plane would refuse in the documents it leads to.
            errors.AddressTakenError: every address that someone else has.
        """
        installed.check(plan, self.engine.setting.environment)
        prepared = self.engine.prepare(plan)
        try:
            addresses = documents.unpublished(plan) | prepared.addresses()
            documents.check(self._rendered(plan, addresses))
            changes = tuple(stepping.words(action) for action in stepping.changes(self.plan, plan))
        except Exception:
            prepared.release(self.engine.sockets)
            raise
        if order.binary:
            self.engine.use(Path(order.binary))
        outdated = [name for name in self.engine.outdated() if self._stays(name, plan)]
        changes += tuple(f"restart {name}: {NEW_VERSION}" for name in outdated)
        changes += tuple(f"configure {name}" for name in _limited(self.plan, plan))
        published = _republished(self.plan, plan, self._running_on())
        changes += tuple(f"publish {name}" for name in published)
        self.engine.adopt(plan, prepared)
        self.plan, self.sources, self.folder = plan, order.sources, order.folder
        running = {node: one for node, one in self._caches.items() if node in self.engine.children}
        self._caches = running | {node: one.name for one in plan.caches for node in one.nodes}
        self._failed.clear()
        self.rolling.follow(plan)
        restart = self.rolling.begin_soon(plan, outdated, NEW_VERSION) if outdated else None
        names = [source.file for source in order.sources]
        self._log.info("applied", files=names, changes=len(changes))
        self.wake.set()
        return orders.Applied(
            changes,
            plan.warnings,
            tuple(outdated),
            restart,
            engine=plan.engine if plan.engine_reason else "",
            engine_reason=plan.engine_reason,
        )

    def _stays(self, name: str, plan: shape.Plan) -> bool:
        """Return whether a process needs no restart for another plan itself."""
        return self.engine.children[name].process == plan.process(name)

    def restart(self, names: Sequence[str]) -> rolling.RestartStatus | None:
        """Begin to restart what the names of caches and processes mean; all for no name.

        Raises:
            errors.UsageError: names that the plan does not have.
            errors.TemporaryError: a restart is on its way.
        """
        self.rolling.begin(self.plan, rolling.chosen(self.plan, names), ASKED)
        return self.rolling.status()

    def abandon(self) -> None:
        """Make nothing the goal, so that everything stops in reverse order."""
        self.rolling.abandon("the project is being stopped")
        self.plan, self.sources = shape.Plan(), ()
        self.engine.sockets.give_up()
        self._failed.clear()
        self.wake.set()

    def is_idle(self) -> bool:
        """Return whether nothing runs and nothing is to run."""
        return not self.plan.processes and not self.engine.children

    async def run(self) -> None:
        """Reconcile, watch the origins, tidy up and tell what is owed until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._forever("reconcile", self._reconcile_and_wait))
            tasks.create_task(self._forever("look at the origins", self._look_at_origins))
            tasks.create_task(self._forever("tidy up", self._wait_and_tidy))
            tasks.create_task(self._forever("tell what is owed", self.purges.deliver))

    async def _forever(self, what: str, turn: Callable[[], Awaitable[None]]) -> None:
        """Take turns until cancelled; one that fails is told of, and the next one is taken."""
        while True:
            try:
                await turn()
                self._faults.pop(what, None)
            except Exception as error:  # whatever it is, the processes must not pay for it
                self._tell_fault(what, error)
                await self._clock.sleep(RETRY_S_MAX)

    def _tell_fault(self, what: str, error: Exception) -> None:
        reason = f"could not {what}: {_reason(error)}; it is tried again"
        if self._faults.get(what) != reason:
            self._log.error("turn_failed", reason=reason)
        self._faults[what] = reason

    async def close(self) -> None:
        """End every process at once; for when the supervisor itself has to end."""
        await self.rolling.close()
        await self.engine.close()
        self.write_journal()

    async def _reconcile_and_wait(self) -> None:
        self.wake.clear()
        self._look.set()
        self.reconcile()
        is_calm = not self._failed and _JOURNAL not in self._faults
        await _within(self.wake, RECONCILE_S_MAX if is_calm else RETRY_S_MAX)

    def wanted(self) -> dict[str, documents.Wanted]:
        """Return the documents that the plan's processes should have, as far as they are bound."""
        published = self.engine.published()
        addresses = {documents.service(name): place for name, place in published.items()}
        return self._rendered(self.plan, addresses | self.engine.sockets.addresses())

    def origin(self, cache: shape.Cache) -> str:
        """Return where a cache's origin is reached; nothing while its Service is not served."""
        return cache.origin.address or self.engine.published().get(cache.origin.service, "")

    def _rendered(
        self, plan: shape.Plan, addresses: documents.Addresses
    ) -> dict[str, documents.Wanted]:
        servers = planning.servers(plan, self.engine.setting.folders)
        return planning.rendered(plan, {**servers, **addresses}, self.engine.admin_path)

    def reconcile(self) -> None:
        """Take the next steps, as the plan and what is observed say; each may fail by itself."""
        self.engine.sockets.look_again()
        wanted = self.wanted()
        self.engine.refresh(wanted)
        actions = self._steps(wanted)
        open_ = {*self._tasks, *map(_process_of, actions)}
        self._failed = {name: why for name, why in self._failed.items() if name in open_}
        for action in actions:
            self._take(action)
        self.write_journal()

    def _steps(self, wanted: Mapping[str, documents.Wanted]) -> list[stepping.Action]:
        """Return the next steps; of a Job that failed nothing starts any more."""
        failed = self.engine.failed_jobs()
        return [
            one
            for one in stepping.step(self.plan, wanted, self.engine.observed())
            if not (isinstance(one, stepping.Start) and one.process.group in failed)
        ]

    def _take(self, action: stepping.Action) -> None:
        """Take one step, unless it failed a moment ago; a failure is told of and waits."""
        name = _process_of(action)
        if self._clock.monotonic_s() < self._failed.get(name, (0.0, ""))[0]:
            return
        try:
            match action:
                case stepping.Start(process, document):
                    self._log.info("start", process=name)
                    self.engine.start(process, document, self._numbered(document))
                case stepping.Stop(_):
                    self._log.info("stop", process=name)
                    self.engine.stop(name)
                case stepping.Configure(_, document):
                    if name not in self._tasks:
                        self._tasks[name] = asyncio.create_task(self._configured(name, document))
                    return
            self._failed.pop(name, None)
        except Exception as error:  # whatever it is, the other processes must not pay for it
            what = "is not started" if isinstance(action, stepping.Start) else "is not stopped"
            self._fail(name, what, error)

    def _fail(self, name: str, what: str, error: Exception) -> None:
        reason = f"{name} {what}: {_reason(error)}; it is tried again"
        if self._failed.get(name, (0.0, ""))[1] != reason:
            self._log.error("step_failed", process=name, reason=reason)
        self._failed[name] = (self._clock.monotonic_s() + FAILED_RETRY_S, reason)

    def _numbered(self, document: documents.Wanted | None) -> bytes | None:
        if document is None:
            return None
        self._generation += 1
        return documents.numbered(document.body, epoch=self._epoch, generation=self._generation)

    async def _configured(self, name: str, document: documents.Wanted) -> None:
        self._log.info("configure", process=name, document=document.digest)
        try:
            content = self._numbered(document) or b""
            await self.engine.configure(name, document, content)
            self._failed.pop(name, None)
        except Exception as error:  # as in `_take`
            self._fail(name, "keeps its old document", error)
        finally:
            del self._tasks[name]
            self.wake.set()

    def write_journal(self, *, coming: str = "") -> None:
        """Write down what runs; a failure is told of, and it is tried again at the next look.

        Args:
            coming: an engine of which something may be there from now on.
        """
        hosting = self.engine.hosting
        now = journal.Journal(
            self._epoch,
            tuple(self.engine.identities()),
            folder=self.folder,
            grace_s=max((one.process.grace_s for one in self.engine.everyone()), default=0.0),
            engine=coming or self.engine.stands_on,
            socket=hosting.ground.socket if hosting is not None else "",
        )
        try:
            if now != self._journal:
                journal.write(self.engine.setting.folders.journal, now)
            self._journal = now
            self._faults.pop(_JOURNAL, None)
        except (errors.AlongsideError, OSError) as error:
            self._tell_fault(_JOURNAL, error)

    async def _wait_and_tidy(self) -> None:
        await self._clock.sleep(TIDY_PERIOD_S)
        self.engine.tidy()

    async def _look_at_origins(self) -> None:
        is_changed = self._look.is_set()
        self._look.clear()
        caches = self.plan.caches
        found = await asyncio.gather(*[_answers(self.origin(cache)) for cache in caches])
        self._origins = {
            cache.name: f"origin {self.origin(cache) or cache.origin.service} of cache "
            f'"{cache.name}" '
            "does not answer yet; start it or correct spec.origin"
            for cache, is_there in zip(caches, found, strict=True)
            if not is_there
        }
        if not self._origins:
            self._origin_period_s = ORIGIN_PERIOD_S_CALM
        elif is_changed:
            self._origin_period_s = ORIGIN_PERIOD_S_MIN
        else:
            self._origin_period_s = min(self._origin_period_s * 2, ORIGIN_PERIOD_S_MAX)
        await _within(self._look, self._origin_period_s)

    def warnings(self) -> list[str]:
        """Return what someone should look at, one sentence each."""
        waits = stepping.waits(self.plan, self.wanted(), self.engine.observed())
        waits += self.engine.sockets.waits()
        failed = [reason for _, reason in self._failed.values()]
        origins = [self._origins[c.name] for c in self.plan.caches if self._is_silent(c)]
        away = [*self.sampler.warnings(), *self.purges.warnings(), *self.rolling.warnings()]
        away += self.engine.warnings()
        return [*self.plan.warnings, *origins, *waits, *failed, *away, *self._faults.values()]

    def _is_silent(self, cache: shape.Cache) -> bool:
        """Return whether an origin did not answer; its own probe knows sooner than our look."""
        process = self.engine.children.get(cache.origin.process or "")
        has_answered = (
            process is not None and process.state == "ready" and _is_looked_at(process.process)
        )
        return cache.name in self._origins and not has_answered

    def _running_on(self) -> set[str]:
        """Return who runs, and is not told to end."""
        seen = self.engine.observed()
        return {name for name, one in seen.items() if one.state in {"starting", "unready", "ready"}}

    def is_ready(self) -> bool:
        """Return whether all is as planned: processes, states and documents."""
        observed, wanted = self.engine.observed(), self.wanted()
        if set(self.engine.children) != {process.name for process in self.plan.processes}:
            return False
        if self.engine.sockets.coming:
            return False
        return not stepping.step(self.plan, wanted, observed) and all(
            seen.state == "ready" or seen.has_succeeded
            for name, seen in observed.items()
            if name in self.engine.children
        )

    def nodes_of(self, cache: str) -> list[str]:
        """Return the nodes of a cache; those that are still to be stopped are among them."""
        children = self.engine.children
        planned = {node for one in self.plan.caches if one.name == cache for node in one.nodes}
        return [
            node
            for node, owner in self._caches.items()
            if owner == cache and (node in planned or node in children)
        ]


def _is_looked_at(process: shape.Process) -> bool:
    """Return whether something tells by looking that a process can be used."""
    if process.pod is not None:
        return any(one.readiness is not None for one in process.pod.containers)
    return process.probe is not None


async def _within(event: asyncio.Event, wait_s: float) -> None:
    """Return when an event is set, or after a time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wait_s):
            await event.wait()


async def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(ORIGIN_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, TimeoutError, ValueError):  # a name that cannot be one is a ValueError
        return False
    writer.close()
    return True


def _reason(error: Exception) -> str:
    """Return why something failed; what we did not foresee with its kind."""
    is_foreseen = isinstance(error, errors.AlongsideError | OSError)
    return str(error) if is_foreseen else f"{type(error).__name__}: {error}"


def _process_of(action: stepping.Action) -> str:
    match action:
        case stepping.Start(process, _):
            return process.name
        case stepping.Configure(name, _) | stepping.Stop(name):
            return name


def _limited(old: shape.Plan, new: shape.Plan) -> list[str]:
    """Return the Jobs that get other limits."""
    before = {one.name: one for one in old.jobs}
    return [one.name for one in new.jobs if before.get(one.name, one) != one]


def _republished(old: shape.Plan, new: shape.Plan, running: Container[str]) -> list[str]:
    """Return the volumes, as POD/VOLUME, that get other files while their pods run on."""
    before = {one.name: one for one in old.processes}
    return [
        f"{one.name}/{volume.name}"
        for one in new.processes
        if one.name in running and one.pod is not None and before.get(one.name) == one
        for volume, was in zip(one.pod.volumes, _volumes(before[one.name]), strict=True)
        if volume.files != was.files
    ]


def _volumes(process: shape.Process) -> tuple[pods.Volume, ...]:
    return process.pod.volumes if process.pod is not None else ()
