"""Pods of workloads are replaced to the end, and never so many at once that too few are left."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from alongside.plan import shape, stepping

if TYPE_CHECKING:
    import random

ROUNDS_MAX = 600


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A workload as a user may write it."""

    way: shape.Way
    replicas: int
    version: int
    surge: int
    unavailable: int
    is_narrow: bool
    """Its pods need one address each that is the same for every version."""
    is_parallel: bool

    def plan(self) -> shape.Plan:
        """Return its plan, as `building` makes it."""
        return shape.Plan(
            tuple(self.process(at) for at in range(self.replicas)),
            workloads=(shape.Workload("Set/w", self.way, self.surge, self.unavailable),),
        )

    def process(self, at: int) -> shape.Process:
        """Return one of its pods: named by its version where new ones come first."""
        is_ordered = self.way == "ordered"
        digest = f"{self.version}{'n' if self.is_narrow else 'w'}"
        name = f"w-{at}" if is_ordered else f"w-{digest}-{at}"
        return shape.Process(
            name,
            "app",
            argv=(str(self.version),),
            claims=(f"127.0.0.1:{8000 + at}",) if self.is_narrow else (),
            after=(f"w-{at - 1}",) if is_ordered and at and not self.is_parallel else (),
            group="Set/w",
        )


wanted = st.builds(
    Wanted,
    st.sampled_from(["rolling", "recreate", "ordered"]),
    st.integers(0, 5),
    st.integers(0, 2),
    st.integers(0, 2),
    st.integers(0, 2),
    st.booleans(),
    st.booleans(),
)


@dataclasses.dataclass
class World:
    """Pods that start, become ready, fail and end at times of the seed's choosing."""

    chance: random.Random
    observed: dict[str, stepping.Seen] = dataclasses.field(default_factory=dict)
    before: Wanted | None = None

    def usable(self) -> int:
        """Return how many pods a client could reach."""
        return sum(seen.state == "ready" for seen in self.observed.values())

    def take(self, action: stepping.Action, now: Wanted) -> None:
        """Begin an action, after checking what it costs."""
        match action:
            case stepping.Start(process, _):
                self.check_start(process, now)
            case stepping.Stop(name):
                if self.observed[name].state == "ready":
                    self.check_stop(name, now)
            case stepping.Configure(_, _):
                raise AssertionError("a pod has no document")
        stepping.take(self.observed, action)

    def check_start(self, process: shape.Process, now: Wanted) -> None:
        """Check that its address is free, those before it are ready, and there is room for it."""
        for seen in self.observed.values():
            assert not set(seen.process.claims) & set(process.claims)
        for name in process.after:
            assert self.observed[name].state == "ready"
        live = sum(seen.state != "stopping" for seen in self.observed.values())
        if now.way == "rolling":
            assert live < now.replicas + now.surge
        if now.way == "recreate":
            assert all(seen.process in now.plan().processes for seen in self.observed.values())

    def check_stop(self, name: str, now: Wanted) -> None:
        """Check that enough can be used without one that can be used now."""
        left = self.usable() - 1
        if now.way == "rolling":
            # One must go where nobody else has room.
            unavailable = now.unavailable
            if now.is_narrow or now.surge == 0:
                unavailable = max(1, unavailable)
            assert left >= now.replicas - unavailable
        planned = {process.name for process in now.plan().processes}
        if now.way == "ordered" and name in planned:
            away = [seen for seen in self.observed.values() if seen.state == "stopping"]
            assert not [seen for seen in away if seen.process.name in planned]

    def pass_time(self, *, is_calm: bool) -> None:
        """Let things happen by chance; when calm, let all that was begun succeed."""
        for name, seen in list(self.observed.items()):
            if not is_calm and self.chance.random() < 0.5:
                continue
            if seen.state == "stopping":
                del self.observed[name]
            elif seen.state in {"starting", "waiting"}:
                self.observed[name] = dataclasses.replace(seen, state="ready")
            elif not is_calm and self.chance.random() < 0.2:
                self.observed[name] = dataclasses.replace(seen, state="waiting")

    def settle(self, now: Wanted, *, rounds: int, is_calm: bool) -> None:
        """Take the steps towards a workload for some rounds."""
        plan = now.plan()
        for _ in range(rounds):
            actions = stepping.step(plan, {}, self.observed)
            for action in actions:
                self.take(action, now)
            if is_calm and not actions and self.usable() == len(self.observed):
                return
            self.pass_time(is_calm=is_calm)


@given(st.lists(wanted, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_any_sequence_of_workloads_ends_and_leaves_enough(
    sequence: list[Wanted], chance: random.Random
) -> None:
    world = World(chance)
    for one in sequence:
        world.settle(one, rounds=chance.randrange(8), is_calm=False)
    last = sequence[-1]
    world.settle(last, rounds=ROUNDS_MAX, is_calm=True)
    assert {name: seen.process for name, seen in world.observed.items()} == {
        process.name: process for process in last.plan().processes
    }
    assert stepping.step(last.plan(), {}, world.observed) == []


@given(wanted, wanted)
def test_the_steps_between_two_workloads_end(old: Wanted, new: Wanted) -> None:
    before, after = old.plan(), new.plan()
    kept = {process.name for process in before.processes if process in after.processes}
    for action in stepping.changes(before, after):
        assert not (isinstance(action, stepping.Stop) and action.name in kept)
