"""Any sequence of plans converges, and no router ever names a node that is not up."""

from __future__ import annotations

import dataclasses
import json
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
sizes = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))


def planned(
    caches: dict[str, tuple[int, int, int]],
    running: tuple[shape.Process, ...],
    origin: str,
    port: int,
) -> shape.Plan:
    """Return a plan of caches (shards, replicas, routers) before one of the applications."""
    app = next((app for app in running if app.name == origin), None)
    address = app.claims[0] if app is not None else "127.0.0.1:9999"
    behind = shape.Origin(address, process=app.name if app is not None else None)
    made = [
        fleet.cache(name, shards, replicas=replicas, routers=routers, origin=behind)
        for name, (shards, replicas, routers) in caches.items()
    ]
    return fleet.of(*made, apps=running, port=port)


plans = st.builds(
    planned,
    st.dictionaries(st.sampled_from(["c", "d"]), sizes),
    apps,
    st.sampled_from(["app", "other", "third"]),
    st.sampled_from([0, 9000]),
)


@dataclasses.dataclass
class World:
    """Processes that start, become ready, die and stop at times of the seed's choosing."""

    chance: random.Random
    observed: dict[str, stepping.Seen] = dataclasses.field(default_factory=dict)
    is_calm: bool = False
    planned: frozenset[str] = frozenset()

    def take(self, action: stepping.Action) -> None:
        """Begin an action, after checking that it is safe now."""
        match action:
            case stepping.Start(process, document):
                assert process.name not in self.observed
                for seen in self.observed.values():
                    assert not set(seen.process.claims) & set(process.claims)
                self.check_named(process.name, document)
                stepping.take(self.observed, action)
            case stepping.Configure(name, document):
                self.check_named(name, document)
                self.check_siblings(name, document)
                self.configure(action)
            case stepping.Stop(name):
                self.check_unnamed(name)
                stepping.take(self.observed, action)

    def check_named(self, name: str, document: documents.Wanted | None) -> None:
        """Check that each node that a router is told of is ready, or was when it was named."""
        named = {
            node
            for seen in self.observed.values()
            if seen.document is not None and seen.state != "stopping"
            for node in seen.document.needs
        }
        for node in document.needs if document is not None else ():
            is_ready = self.observed[node].state == "ready"
            assert is_ready or node in named, f"{name} is told of {node}"

    def check_siblings(self, name: str, document: documents.Wanted | None) -> None:
        """Check that each sibling that a node is told of was started."""
        for node in document.siblings if document is not None else ():
            assert self.observed[node].state != "stopping", f"{name} is told of {node}"

    def check_unnamed(self, name: str) -> None:
        """Check that no router's document names a node that stops, and no sibling that stays."""
        for other, seen in self.observed.items():
            if seen.document is not None:
                assert name not in seen.document.needs, f"{other} still names {name}"
                is_going = seen.state == "stopping" or other not in self.planned
                assert is_going or name not in seen.document.siblings, f"{other} asks {name}"

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
    world.planned = frozenset(process.name for process in plan.processes)
    for _ in range(rounds):
        actions = stepping.step(plan, wanted, world.observed)
        # What starts in one step may name each other, so siblings are looked at afterwards.
        for action in actions:
            world.take(action)
        for action in actions:
            if isinstance(action, stepping.Start):
                world.check_siblings(action.process.name, action.document)
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


@given(plans, plans)
def test_no_shard_loses_a_replica_that_stays(old: shape.Plan, new: shape.Plan) -> None:
    before = {node for cache in old.caches for node in cache.nodes}
    after = {node for cache in new.caches for node in cache.nodes}
    for action in stepping.changes(old, new):
        if isinstance(action, stepping.Stop):
            assert action.name not in before & after
        if isinstance(action, stepping.Start):
            assert action.process.name not in before


@given(plans)
def test_all_routers_of_a_cache_are_told_the_same(plan: shape.Plan) -> None:
    wanted = stepping._rendered(plan)
    for cache in plan.caches:
        bodies = [json.loads(wanted[router].body) for router in cache.routers]
        for body in bodies:
            del body["admin"], body["listeners"][0]["address"]
            told = body["about"]["values"]
            told[:] = [value for value in told if value["name"] != "listen"]
        assert all(body == bodies[0] for body in bodies)
