"""Any sequence of plans converges, and no router ever names a node that is not up."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.plan import fleet

from alongside.plan import documents, shape, stepping

if TYPE_CHECKING:
    import random

ROUNDS_MAX = 400

apps = st.builds(
    lambda names, version: tuple(
        fleet.app(name, port=8000 + at, version=version) for at, name in enumerate(sorted(names))
    ),
    st.sets(st.sampled_from(["app", "other", "third"])),
    st.integers(0, 2),
)
plans = st.builds(
    fleet.fleet,
    st.dictionaries(st.sampled_from(["c", "d"]), st.integers(1, 5)),
    apps,
    port=st.sampled_from([0, 9000]),
)


@dataclasses.dataclass
class World:
    """Processes that start, become ready, die and stop at times of the seed's choosing."""

    chance: random.Random
    observed: dict[str, stepping.Seen] = dataclasses.field(default_factory=dict)
    is_calm: bool = False

    def take(self, action: stepping.Action) -> None:
        """Begin an action, after checking that it is safe now."""
        document = None if isinstance(action, stepping.Stop) else action.document
        for need in document.needs if document is not None else ():
            assert self.observed[need].state == "ready", f"{action} names {need}"
        if isinstance(action, stepping.Stop):
            for name, seen in self.observed.items():
                is_kept = seen.document is None or action.name not in seen.document.needs
                assert is_kept, f"{name} still names {action.name}"
        if isinstance(action, stepping.Start):
            assert action.process.name not in self.observed
            for seen in self.observed.values():
                assert not set(seen.process.claims) & set(action.process.claims)
        if isinstance(action, stepping.Configure):
            self.configure(action)
        else:
            stepping.take(self.observed, action)

    def configure(self, action: stepping.Configure) -> None:
        """Give a document: it is taken, refused, or nobody knows; when calm it is taken."""
        outcome = "taken" if self.is_calm else self.chance.choice(["taken", "refused", "unknown"])
        current = self.observed[action.name].document
        if outcome == "taken" or current is None:
            stepping.take(self.observed, action)
        elif outcome == "unknown":
            both = documents.either(current, action.document)
            stepping.take(self.observed, stepping.Configure(action.name, both))

    def pass_time(self) -> None:
        """Let things happen by chance; when calm, let all that was begun succeed."""
        for name, seen in list(self.observed.items()):
            if not self.is_calm and self.chance.random() < 0.5:
                continue
            if seen.state == "stopping":
                del self.observed[name]
            elif seen.state in {"starting", "waiting", "unready"}:
                self.observed[name] = dataclasses.replace(seen, state="ready")
            elif not self.is_calm and self.chance.random() < 0.2:
                self.observed[name] = dataclasses.replace(seen, state="waiting")


def settle(world: World, plan: shape.Plan, *, rounds: int, is_calm: bool) -> None:
    wanted = stepping._rendered(plan)
    world.is_calm = is_calm
    for _ in range(rounds):
        for action in stepping.step(plan, wanted, world.observed):
            world.take(action)
        world.pass_time()


@given(st.lists(plans, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_any_sequence_of_plans_converges_and_is_safe(
    sequence: list[shape.Plan], chance: random.Random
) -> None:
    world = World(chance)
    for plan in sequence:
        settle(world, plan, rounds=chance.randrange(6), is_calm=False)
    settle(world, sequence[-1], rounds=ROUNDS_MAX, is_calm=True)
    wanted = stepping._rendered(sequence[-1])
    assert {name: seen.process for name, seen in world.observed.items()} == {
        process.name: process for process in sequence[-1].processes
    }
    assert all(seen.document == wanted.get(name) for name, seen in world.observed.items())
    assert stepping.step(sequence[-1], wanted, world.observed) == []


@given(plans, plans)
def test_equal_parts_of_two_plans_are_not_touched(old: shape.Plan, new: shape.Plan) -> None:
    same = {process.name for process in old.processes if process in new.processes}
    for action in stepping.changes(old, new):
        if isinstance(action, stepping.Stop):
            assert action.name not in same
        if isinstance(action, stepping.Start):
            assert action.process.name not in same
