"""Carry out roll-outs: observe, take the steps that `control.rollout` says, and tell of them.

One at a time for a project. It goes on whoever asked for it; it ends with its supervisor.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypedDict

from alongside.base import errors, nearest
from alongside.control import rollout
from alongside.engines.local import members
from alongside.server import traffic

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from alongside.base import clock, log
    from alongside.engines.local import engine
    from alongside.plan import shape

PERIOD_S = 0.25
"""Between two looks while a roll-out runs."""
STEPS_MAX = 200
"""The last steps that are kept for whoever asks."""
WARMTH_S = 1.0
"""For a node to say how warm it is; steps wait for the slowest."""
FULL_RATIO = 1.0
NUMBERS_MAX = 1_000_000
"""Of one supervisor; the next one's begin after them."""
ENDED_MAX = 32
"""The last roll-outs that have ended, kept for whoever asked for them."""


class RestartStatus(TypedDict):
    """A roll-out; one that has ended stays until the next begins."""

    number: int
    """No other supervisor of the project gives the same."""
    why: str
    outcome: str
    """`waiting`, `running`, `done` or `failed`."""
    reason: str
    """What it waits for, or why it failed."""
    asked: int
    done: int
    begun: list[str]
    """What was begun and is not done."""
    unchanged: list[str]
    """What was asked for and goes on as it was, whether it was tried or not."""
    told: int
    """Steps told so far, of which `steps` holds the last ones."""
    steps: list[str]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be restarted, now or when the present roll-out has ended."""

    number: int
    names: frozenset[str]
    why: str

    def status(self, outcome: str, reason: str) -> RestartStatus:
        return RestartStatus(
            number=self.number,
            why=self.why,
            outcome=outcome,
            reason=reason,
            asked=len(self.names),
            done=0,
            begun=[],
            unchanged=sorted(self.names),
            told=0,
            steps=[],
        )


class Rolling:
    """The roll-outs of one engine; all methods belong to its event loop."""

    def __init__(
        self, engine_: engine.Engine, clock_: clock.Clock, log_: log.Log, *, epoch: int = 0
    ) -> None:
        """Take whose processes are restarted, and which supervisor of its project this is."""
        self._engine = engine_
        self._clock = clock_
        self._log = log_
        self._state: rollout.State | None = None
        self._plan: shape.Plan | None = None
        self._number = 0
        """Of the present or the last one; 0 for none."""
        self._last_number = epoch * NUMBERS_MAX
        """The last one that was given away."""
        self._why = ""
        self._told = 0
        self._steps: list[str] = []
        self._failures: dict[str, tuple[int, str]] = {}
        """How many actions failed for each process, and why the last did."""
        self._warmth: dict[str, tuple[tuple[int, int], float]] = {}
        """What each process last said, in which of its runs."""
        self._actions: dict[str, asyncio.Task[None]] = {}
        self._loop: asyncio.Task[None] | None = None
        self._later: _Asked | None = None
        self._ended: dict[int, RestartStatus] = {}
        """How the last ones ended, by number."""

    def is_running(self) -> bool:
        """Return whether a roll-out is on its way."""
        return self._state is not None and self._state.outcome == "running"

    def begin(self, plan: shape.Plan, names: Collection[str], why: str) -> int:
        """Begin to restart processes of a plan, in the safe order; return the roll-out's number.

        Raises:
            errors.TemporaryError: a roll-out is on its way.
        """
        if self.is_running():
            raise errors.TemporaryError(
                f"a restart is on its way ({self._progress()}); "
                "wait for its end, which alongside status shows",
                retry_after_s=1.0,
            )
        return self._begin(plan, _Asked(self._next_number(), frozenset(names), why))

    def _next_number(self) -> int:
        self._last_number += 1
        return self._last_number

    def _begin(self, plan: shape.Plan, asked: _Asked) -> int:
        self._number, self._why, self._plan = asked.number, asked.why, plan
        self._state = rollout.begin(tuple(groups(plan, asked.names)))
        self._steps, self._told = [], 0
        self._failures, self._warmth = {}, {}
        self._log.info("restart_begun", why=asked.why, processes=sorted(asked.names))
        self._loop = asyncio.get_running_loop().create_task(self._run())
        return self._number

    def begin_soon(self, plan: shape.Plan, names: Collection[str], why: str) -> int:
        """Begin to restart processes, or do so when the present roll-out has ended.

        Returns:
            The number of the roll-out that does; what waits already is part of it.
        """
        if not self.is_running():
            return self.begin(plan, names, why)
        number = self._later.number if self._later is not None else self._next_number()
        self._later = _Asked(number, frozenset(names), why)
        return number

    def follow(self, plan: shape.Plan) -> None:
        """Take another plan; what is not in it is not restarted any more."""
        self._plan = plan
        if self._state is not None and self.is_running():
            found = tuple(groups(plan, self._state.progress.keys()))
            self._state = rollout.regrouped(self._state, found)

    def abandon(self, reason: str) -> None:
        """End a roll-out where it stands; what is being replaced is for the engine to stop."""
        later, self._later = self._later, None
        if self._state is not None and self.is_running():
            self._end(replace(self._state, outcome="failed", reason=reason))
            self._keep({**self._ended[self._number], "begun": [], "unchanged": []})
        if later is not None:
            self._keep({**later.status("failed", reason), "unchanged": []})
        for task in (self._loop, *self._actions.values()):
            if task is not None:
                task.cancel()

    async def close(self) -> None:
        """Abandon the roll-out and wait for all that it began."""
        self.abandon("the supervisor ends")
        tasks = [task for task in (self._loop, *self._actions.values()) if task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    def status(self) -> RestartStatus | None:
        """Return the present or the last roll-out; None where there was none."""
        state = self._state
        if state is None:
            return None
        return RestartStatus(
            number=self._number,
            why=self._why,
            outcome=state.outcome,
            reason=state.reason,
            asked=len(state.progress),
            done=len(state.done()),
            begun=state.begun(),
            unchanged=state.unchanged(),
            told=self._told,
            steps=list(self._steps),
        )

    def restart(self, number: int) -> RestartStatus | None:
        """Return one roll-out, whether it waits, runs or has ended; None for one nobody knows."""
        if self._later is not None and self._later.number == number:
            return self._later.status("waiting", "waits for the end of the restart before it")
        if number in self._ended:
            return self._ended[number]
        return self.status() if number == self._number else None

    def warnings(self) -> list[str]:
        """Return why the last roll-out stopped before its end, if it did."""
        state = self._state
        if state is None or state.outcome != "failed":
            return []
        left = state.unchanged()
        others = f"; {', '.join(left)} stayed as before" if left else ""
        return [f"the last restart stopped: {state.reason}{others}"]

    async def _run(self) -> None:
        try:
            while self.is_running():
                await self._turn()
                if self.is_running():
                    await self._clock.sleep(PERIOD_S)
        except Exception as error:  # whatever it is, nothing more may be restarted
            self._log.error("restart_fault", reason=f"{type(error).__name__}: {error}")
            if self._state is not None:
                reason = f"a fault of the supervisor: {type(error).__name__}: {error}"
                self._end(replace(self._state, outcome="failed", reason=reason))
        later, self._later = self._later, None
        if later is not None and self._plan is not None:
            names = later.names.intersection(self._engine.outdated())
            self._begin(self._plan, replace(later, names=names))

    async def _turn(self) -> None:
        await asyncio.gather(*[self._ask_warmth(name) for name in self._engine.children])
        before = self._state
        if before is None or before.outcome != "running":
            return
        names = [name for group in before.groups for name in group.members]
        seen = {name: one for name in names if (one := self._seen(name)) is not None}
        after, actions = rollout.step(before, seen, self._clock.monotonic_s())
        self._tell_steps(before, after, seen)
        self._state = after
        for action in actions:
            self._take(action)
        if after.outcome != "running":
            self._end(after)

    def _take(self, action: rollout.Action) -> None:
        task = asyncio.get_running_loop().create_task(self._act(action))
        self._actions[action.name] = task

    async def _act(self, action: rollout.Action) -> None:
        name = action.name
        try:
            match action:
                case rollout.Replace(_):
                    await self._engine.replace(name)
                case rollout.Restart(_):
                    # It is started again like everything else that is planned and not there.
                    self._engine.stop(name)
        except Exception as error:  # whatever it is, it is for the roll-out to judge
            is_foreseen = isinstance(error, errors.AlongsideError | OSError)
            why = str(error) if is_foreseen else f"{type(error).__name__}: {error}"
            count, _ = self._failures.get(name, (0, ""))
            self._failures[name] = (count + 1, why)
        finally:
            del self._actions[name]

    def _seen(self, name: str) -> rollout.Seen | None:
        child = self._engine.children.get(name)
        if child is None:
            return None
        failures, why = self._failures.get(name, (0, ""))
        known = self._warmth.get(name)
        has_warmth = known is not None and known[0] == self._run_of(name, child)
        return rollout.Seen(
            self._engine.incarnation(name),
            is_ready=child.state == "ready" or members.has_succeeded(child),
            restarts=child.restarts,
            warmth_ratio=known[1] if known is not None and has_warmth else None,
            is_busy=name in self._actions or self._engine.is_changing(name),
            failures=failures,
            reason=why or child.reason,
        )

    def _run_of(self, name: str, child: members.Member) -> tuple[int, int]:
        return self._engine.incarnation(name), child.restarts

    async def _ask_warmth(self, name: str) -> None:
        """Ask a node how warm it is, until it is warm; nothing else has anything to warm."""
        child = self._engine.children.get(name)
        if child is None or child.state != "ready":
            return
        run = self._run_of(name, child)
        known = self._warmth.get(name)
        if known is not None and known[0] == run and known[1] >= rollout.WARM_RATIO:
            return
        ratio = FULL_RATIO
        if child.process.role == "node":
            try:
                door = self._engine.admin(name, timeout_s=WARMTH_S)
                ratio = traffic.warmth_ratio(await door.metrics())
            except errors.AlongsideError:
                return
        self._warmth[name] = (run, ratio)

    def _tell_steps(
        self, before: rollout.State, after: rollout.State, seen: rollout.Observation
    ) -> None:
        for name, now in after.progress.items():
            was = before.progress[name]
            if (line := _words(name, was, now, seen.get(name))) is not None:
                self._tell(line)
        if after.paused_since_s is not None and before.paused_since_s is None:
            self._tell(after.reason)

    def _tell(self, line: str) -> None:
        self._log.info("restart_step", step=line)
        self._told += 1
        self._steps = [*self._steps, line][-STEPS_MAX:]

    def _progress(self) -> str:
        state = self._state
        return f"{len(state.done())} of {len(state.progress)} done" if state is not None else ""

    def _end(self, state: rollout.State) -> None:
        self._state = state
        level = self._log.info if state.outcome == "done" else self._log.error
        level("restart_ended", outcome=state.outcome, reason=state.reason)
        if (ended := self.status()) is not None:
            self._keep(ended)

    def _keep(self, ended: RestartStatus) -> None:
        self._ended[ended["number"]] = ended
        while len(self._ended) > ENDED_MAX:
            del self._ended[min(self._ended)]


def chosen(plan: shape.Plan, names: Collection[str]) -> list[str]:
    """Return the processes that names of caches, workloads and processes mean.

    No name means all but those of Jobs: what has ended well is not done twice unless it is named.

    Raises:
        errors.UsageError: the names that the plan does not have, each with the nearest.
    """
    processes = [process.name for process in plan.processes]
    jobs = {job.name for job in plan.jobs}
    lasting = [process.name for process in plan.processes if process.group not in jobs]
    wrong, found = [], set(lasting if not names else ())
    parts = _named(plan)
    for name in names:
        if name in parts:
            found.update(parts[name])
        else:
            known = list(parts)
            near = nearest.nearest(name, known)
            hint = f'did you mean "{near}"?' if near else f"write {', '.join(known) or 'none'}"
            wrong.append(f'there is no cache, workload or process "{name}"; {hint}')
    if wrong:
        raise errors.UsageError(*wrong)
    return [name for name in processes if name in found]


def _named(plan: shape.Plan) -> dict[str, set[str]]:
    """Return the processes that each name means: of all that have it, whatever their kinds.

    A Job is meant by `Job/NAME`, and by its name alone where nothing else has that.
    """
    found: dict[str, set[str]] = {}
    jobs: dict[str, set[str]] = {}
    for cache in plan.caches:
        found.setdefault(cache.name, set()).update(cache.nodes, cache.routers)
    for pool in plan.pools:
        found.setdefault(pool.name, set()).update(pool.servers, pool.routers)
    for process in plan.processes:
        kind, _, name = process.group.partition("/")
        if kind in {"Deployment", "StatefulSet"}:
            found.setdefault(name, set()).add(process.name)
        elif kind == "Job":
            jobs.setdefault(name, set()).add(process.name)
            jobs.setdefault(process.group, set()).add(process.name)
        found.setdefault(process.name, set()).add(process.name)
    return jobs | found


def groups(plan: shape.Plan, names: Collection[str]) -> Iterator[rollout.Group]:
    """Yield who may not be away together, with those that are asked for."""
    asked = frozenset(names)
    for process in plan.processes:
        match process.role:
            case "app" | "server" as role:
                yield _group(plan, process.name, role, (process.name,), asked)
            case "node" | "router":
                pass  # of the groups below
    for cache in plan.caches:
        for shard in cache.shards:
            yield _group(plan, shard.name, "shard", shard.nodes, asked)
    for cache in plan.caches:
        yield _group(plan, cache.name, "router", cache.routers, asked)
    for pool in plan.pools:
        routers = [one for one in plan.processes if one.name in pool.routers]
        if all(one.is_data_plane for one in routers):  # others are pods, each an application
            yield _group(plan, pool.name, "router", pool.routers, asked)


def _group(
    plan: shape.Plan,
    name: str,
    role: rollout.Role,
    members: tuple[str, ...],
    asked: frozenset[str],
) -> rollout.Group:
    graces_s = [one.grace_s for one in plan.processes if one.name in members]
    return rollout.Group(
        name, role, members, asked.intersection(members), grace_s=max(graces_s, default=0.0)
    )


def _words(
    name: str, was: rollout.Progress, now: rollout.Progress, seen: rollout.Seen | None
) -> str | None:
    """Return a line for what happened to a process; None for nothing."""
    match was.stage, now.stage:
        case (("asked" | "begun" | "settling"), "done"):
            return f"restarted {name}"
        case "begun", "asked":
            why = seen.reason if seen is not None else ""
            return f"could not restart {name}: {why}"
        case "asked", "begun":
            again = f", attempt {now.attempts}" if now.attempts > 1 else ""
            return f"restarting {name}{again}"
        case "begun", "settling":
            return f"{name} has begun anew"
        case _:
            return None
