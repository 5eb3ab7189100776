"""Decide the next safe steps from what runs to what should run.

The rules:

- A router is told of a node only when that node is ready; one that routers name already may be
  down meanwhile, since they find that out by themselves and go on elsewhere.
- A node is told of a sibling only when that one was started; those that are started together may
  name each other at once.
- An origin that is a process of the plan takes the place of another one only when it is ready,
  unless it cannot be started before the other one has left its address.
- A process stops only when no document in force names it, and, where it is an application, when
  what was begun under an earlier document has had its time.
- A process starts only when the addresses it binds are free, and those are ready that it comes
  after; what ended well is as good as ready.
- Of a workload's pods only so many start and stop at once as `turns` says.
- What is equal is not touched, and what can be configured is not restarted.

`step` is called again whenever something changed, so a lost event or a crashed process never needs
a rule of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from alongside.plan import documents, shape, turns

if TYPE_CHECKING:
    from collections.abc import Iterator

State = Literal["starting", "ready", "unready", "waiting", "stopping", "ended"]
"""`waiting`: it died and starts again after a delay. `ended`: it is not to start again."""
STEPS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known about a process that was started and not yet removed."""

    process: shape.Process
    state: State
    document: documents.Wanted | None = None
    """In force, or on the way: what it reads at its next start."""
    finishing: frozenset[str] = frozenset()
    """Processes that no document of it names any more, and that what it began may still use."""
    has_succeeded: bool = False
    """It ended, is not to start again, and did what it should."""


@dataclass(frozen=True, slots=True)
class Start:
    """Start a process, the data plane's with its document."""

    process: shape.Process
    document: documents.Wanted | None


@dataclass(frozen=True, slots=True)
class Configure:
    """Give a running data-plane process another document."""

    name: str
    document: documents.Wanted


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop a process in order: let it finish, then end its whole group."""

    name: str


Action = Start | Configure | Stop
Observed = Mapping[str, Seen]


def words(action: Action) -> str:
    """Return an action as people read it."""
    match action:
        case Start(process, _):
            return f"start {process.name}"
        case Configure(name, _):
            return f"configure {name}"
        case Stop(name):
            return f"stop {name}"


def step(
    plan: shape.Plan, wanted: Mapping[str, documents.Wanted], observed: Observed
) -> list[Action]:
    """Return what may be done now; nothing when all is as planned or must be waited for."""
    now = _Now(plan, wanted, observed)
    return [
        *now.starts(),
        *now.configures(),
        *now.replacements(),
        *now.turns(),
        *now.removals(),
    ]


def waits(
    plan: shape.Plan, wanted: Mapping[str, documents.Wanted], observed: Observed
) -> list[str]:
    """Return one sentence for each process that cannot be started or configured yet."""
    now = _Now(plan, wanted, observed)
    found = []
    for process in plan.processes:
        if process.name not in observed and (awaited := now.awaited(process)):
            ends = process.after_end and awaited[-1] in process.after_end
            what = "ended well" if ends else "can be used"
            found.append(f"{process.name} waits until {', '.join(awaited)} {what}")
            continue
        document = wanted.get(process.name)
        seen = observed.get(process.name)
        if document is None or (seen is not None and seen.document == document):
            continue
        missing = sorted(now.missing(process))
        if missing:
            found.append(f"{process.name} waits until {', '.join(missing)} can be used")
    return found


@dataclass(frozen=True, slots=True)
class _Now:
    plan: shape.Plan
    wanted: Mapping[str, documents.Wanted]
    observed: Observed

    def is_up(self, name: str) -> bool:
        seen = self.observed.get(name)
        return seen is not None and (seen.state == "ready" or seen.has_succeeded)

    def awaited(self, process: shape.Process) -> list[str]:
        """Return the planned processes that a process comes after and that are not so far."""
        found = [name for name in process.after if not self.is_up(name)]
        found += [name for name in process.after_end if not self.has_succeeded(name)]
        return [name for name in found if self.plan.process(name) is not None]

    def has_succeeded(self, name: str) -> bool:
        seen = self.observed.get(name)
        return seen is not None and seen.has_succeeded

    def is_started(self, name: str) -> bool:
        seen = self.observed.get(name)
        return seen is not None and seen.state not in {"stopping", "ended"}

    def is_known(self, name: str) -> bool:
        """Return whether a document in force names a node that needed to be ready then."""
        return any(
            seen.document is not None and name in seen.document.needs and seen.state != "stopping"
            for seen in self.observed.values()
        )

    def is_blocked(self, name: str) -> bool:
        """Return whether a process cannot become ready before something else has gone."""
        process, seen = self.plan.process(name), self.observed.get(name)
        if seen is not None:
            return seen.state == "ended"
        if process is None or not self.has_free_addresses(process):
            return True
        workload = self.plan.workload(process.group)
        return workload is not None and turns.need_room(workload, self.members(workload))

    def missing(self, process: shape.Process) -> set[str]:
        """Return the processes that a process's next document has to wait for, but siblings."""
        document = self.wanted.get(process.name)
        if document is None:
            return set()
        found = {name for name in document.needs if not (self.is_up(name) or self.is_known(name))}
        seen = self.observed.get(process.name)
        if seen is not None and seen.document is not None:
            awaited = document.origins - seen.document.uses
            found |= {name for name in awaited if not (self.is_up(name) or self.is_blocked(name))}
        return found

    def has_siblings(self, name: str, also: Collection[str] = ()) -> bool:
        """Return whether the siblings in a process's next document were started."""
        document = self.wanted.get(name)
        return document is None or all(
            sibling in also or self.is_started(sibling) for sibling in document.siblings
        )

    def is_startable(self, process: shape.Process) -> bool:
        if process.has_document and process.name not in self.wanted:
            return False
        return not self.awaited(process) and not self.missing(process)

    def has_free_addresses(self, process: shape.Process) -> bool:
        return not self.in_the_way(process)

    def in_the_way(self, process: shape.Process) -> frozenset[str]:
        """Return who has an address that a process binds."""
        claims = set(process.claims)
        return frozenset(
            name
            for name, seen in self.observed.items()
            if name != process.name
            and seen.state != "ended"
            and claims.intersection(seen.process.claims)
        )

    def members(self, workload: shape.Workload) -> list[turns.Member]:
        """Return the pods of a workload: the planned ones, then the others that are there."""
        planned = [one for one in self.plan.processes if one.group == workload.name]
        names = {process.name for process in self.plan.processes}
        others = [
            name
            for name, seen in self.observed.items()
            if seen.process.group == workload.name and name not in names
        ]
        found = [self._planned(process, frozenset(others)) for process in planned]
        return found + [self._superfluous(name, others) for name in others]

    def _planned(self, process: shape.Process, others: frozenset[str]) -> turns.Member:
        seen = self.observed.get(process.name)
        blockers = frozenset[str]() if seen is not None else self.in_the_way(process)
        return turns.Member(
            process.name,
            is_planned=True,
            is_there=seen is not None,
            is_old=seen is not None and seen.process != process,
            is_ready=self.is_up(process.name),
            is_stopping=seen is not None and seen.state == "stopping",
            can_start=self.is_startable(process) and blockers <= others,
            blockers=blockers,
        )

    def _superfluous(self, name: str, others: Collection[str]) -> turns.Member:
        return turns.Member(
            name,
            is_planned=False,
            is_there=True,
            is_old=True,
            is_ready=self.is_up(name),
            is_stopping=self.observed[name].state == "stopping",
            is_needed=self.is_named(name),
            has_followers=any(name in self.observed[other].process.after for other in others),
        )

    def starts(self) -> Iterator[Action]:
        claimed: set[str] = set()
        coming: dict[str, shape.Process] = {}
        held_back = self.held_back()
        for process in self.plan.processes:
            if process.name in self.observed or claimed.intersection(process.claims):
                continue
            if process.name in held_back:
                continue
            if self.is_startable(process) and self.has_free_addresses(process):
                claimed.update(process.claims)
                coming[process.name] = process
        while late := [name for name in coming if not self.has_siblings(name, coming)]:
            for name in late:
                del coming[name]
        for name, process in coming.items():
            yield Start(process, self.wanted.get(name))

    def held_back(self) -> set[str]:
        """Return the pods whose workloads let them not start yet."""
        found: set[str] = set()
        for workload in self.plan.workloads:
            members = self.members(workload)
            absent = {one.name for one in members if one.is_planned and not one.is_there}
            found |= absent.difference(turns.starts(workload, members))
        return found

    def configures(self) -> Iterator[Action]:
        for process in self.plan.processes:
            seen = self.observed.get(process.name)
            document = self.wanted.get(process.name)
            if seen is None or document is None or seen.process != process:
                continue
            is_settled = seen.document == document or seen.state in {"stopping", "ended"}
            if is_settled or self.missing(process) or not self.has_siblings(process.name):
                continue
            yield Configure(process.name, document)

    def replacements(self) -> Iterator[Action]:
        """Stop what changed, when its successor can start at once."""
        for process in self.plan.processes:
            seen = self.observed.get(process.name)
            if seen is None or seen.process == process or seen.state == "stopping":
                continue
            if self.plan.workload(process.group) is None and self.is_startable(process):
                yield Stop(process.name)

    def turns(self) -> Iterator[Action]:
        """Stop the old pods of workloads that go on, as their turns come."""
        for workload in self.plan.workloads:
            for name in turns.stops(workload, self.members(workload)):
                yield Stop(name)

    def removals(self) -> Iterator[Action]:
        planned = {process.name for process in self.plan.processes}
        for name, seen in reversed(list(self.observed.items())):
            if name in planned or seen.state == "stopping" or self.is_named(name):
                continue
            if self.plan.workload(seen.process.group) is None:
                yield Stop(name)

    def is_named(self, name: str) -> bool:
        """Return whether something that runs would miss a process if it stopped now."""
        return any(
            name in seen.finishing or (self.is_old(other) and name in self.named_by(other))
            for other, seen in self.observed.items()
        )

    def is_old(self, name: str) -> bool:
        """Return whether the document of a process is not the one that it is to keep."""
        seen = self.observed[name]
        return seen.document != self.wanted.get(name) or seen.state == "stopping"

    def named_by(self, name: str) -> frozenset[str]:
        """Return what the document of a process names; siblings that go together do not count."""
        document = self.observed[name].document
        if document is None:
            return frozenset()
        is_kept = self.plan.process(name) is not None and self.observed[name].state != "stopping"
        return document.uses | document.siblings if is_kept else document.uses


def changes(old: shape.Plan, new: shape.Plan) -> list[Action]:
    """Return the steps from one plan to another in a world where everything succeeds.

    A step that must wait for another stands behind it; equal plans need none.
    """
    observed = _ideal(old)
    wanted = _rendered(new)
    taken: list[Action] = []
    while actions := step(new, wanted, observed):
        taken += actions
        if len(taken) > STEPS_MAX:
            raise AssertionError("the steps between two plans do not end")
        for action in actions:
            take(observed, action)
        for name, seen in list(observed.items()):
            if seen.state == "stopping":
                del observed[name]
            elif seen.state == "starting":
                observed[name] = _succeeded(seen, new)
    return taken


def take(observed: dict[str, Seen], action: Action) -> None:
    """Note in `observed` that an action was begun."""
    match action:
        case Start(process, document):
            observed[process.name] = Seen(process, "starting", document)
        case Configure(name, document):
            observed[name] = replace(observed[name], document=document)
        case Stop(name):
            observed[name] = replace(observed[name], state="stopping")


def _succeeded(seen: Seen, plan: shape.Plan) -> Seen:
    """Return what becomes of a process that has begun: it is ready, or done if that is awaited."""
    is_to_end = any(seen.process.name in process.after_end for process in plan.processes)
    return replace(seen, state="ended" if is_to_end else "ready", has_succeeded=is_to_end)


def _ideal(plan: shape.Plan) -> dict[str, Seen]:
    wanted = _rendered(plan)
    return {
        process.name: _succeeded(Seen(process, "ready", wanted.get(process.name)), plan)
        for process in plan.processes
    }


def _rendered(plan: shape.Plan) -> dict[str, documents.Wanted]:
    addresses = {
        process.name: f"{socket.host}:{socket.port or process.name}"
        for process in plan.processes
        for socket in process.sockets
    }
    addresses |= {name: f"unix:/{name}.sock" for pool in plan.pools for name in pool.servers}
    published = documents.unpublished(plan)
    return documents.render(plan, {**published, **addresses}, lambda name: f"/{name}.sock")
