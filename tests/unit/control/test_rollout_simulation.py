"""Whatever crashes, hangs or stays cold, a roll-out takes away one of a group, and it ends."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest
from tests.unit.control import world

from alongside.control import rollout

SEEDS = int(os.environ.get("ROLLOUT_SEEDS", "256"))
FIRST_SEED = int(os.environ.get("ROLLOUT_SEED", "0"))
BATCHES = 8
HOURS_MAX_S = 6 * 3600.0


class Simulation:
    """One seed's roll-out; every method that ends in an assertion is an invariant."""

    def __init__(self, seed: int) -> None:
        self.world = world.World(seed)
        self.state = rollout.begin(self.world.groups)
        self.acted: set[str] = set()

    def run(self) -> None:
        """Step until the roll-out ends, and then some."""
        while self.state.outcome == "running":
            self.turn()
            assert self.world.now_s < HOURS_MAX_S, f"it does not end; it {self.state.reason}"
        ended = self.state
        for _ in range(20):
            self.turn()
        assert self.state == ended, "an ended roll-out goes on"
        self.has_a_good_end()

    def turn(self) -> None:
        """Let time pass and take a step."""
        self.world.pass_time()
        self.state, actions = rollout.step(self.state, self.world.observation(), self.world.now_s)
        for action in actions:
            self.may_begin(action)
            self.world.take(action)
            self.acted.add(action.name)
        self.takes_away_one_of_a_group()
        self.has_few_under_way()

    def may_begin(self, action: rollout.Action) -> None:
        """An action is for what was asked for, in order, and all others of its group serve."""
        process = self.world.processes[action.name]
        group = process.group
        assert action.name in group.asked, f"{action} was not asked for"
        assert isinstance(action, rollout.Restart) == (group.role == "app"), action
        assert not process.is_busy, f"{action} while another action runs"
        assert process.attempts < rollout.ATTEMPTS_MAX, f"{action} too often"
        for other in group.members:
            is_used = self.world.processes[other].is_usable(self.world.now_s)
            assert other == action.name or is_used, f"{action} while {other} is of no use"
        earlier = rollout.ROLES[: rollout.ROLES.index(group.role)]
        for name, one in self.world.processes.items():
            is_before = one.group.role in earlier and name in one.group.asked
            assert not is_before or one.incarnation > 0, f"{action} before {name}"

    def takes_away_one_of_a_group(self) -> None:
        """At most one of a group is away or cold by our own doing."""
        for group in self.world.groups:
            away = [name for name in group.members if self.world.processes[name].is_ours]
            assert len(away) <= 1, f"{away} of {group.name} are away at once"

    def has_few_under_way(self) -> None:
        """A limited number of groups is under way."""
        for role in rollout.ROLES:
            groups = {
                one.group.name
                for one in self.world.processes.values()
                if one.is_ours and one.group.role == role
            }
            assert len(groups) <= rollout.PARALLEL_MAX[role], f"{groups} at once"

    def has_a_good_end(self) -> None:
        """All that was asked for is restarted, or there is a reason that names a process."""
        asked = {name for group in self.world.groups for name in group.asked}
        assert self.acted <= asked
        if self.state.outcome == "done":
            for name in asked:
                assert self.world.processes[name].incarnation == 1, f"{name} was not restarted"
            return
        assert not self.world.is_calm, f"calm, and yet {self.state.reason}"
        assert any(name in self.state.reason for name in self.world.processes), self.state.reason
        assert set(self.state.begun()) <= self.acted
        for name in self.state.unchanged():
            assert self.world.processes[name].incarnation == 0, f"{name} is another"


def outcomes(seeds: Sequence[int]) -> list[str]:
    """Simulate seeds; a failure says how to repeat it."""
    found: list[str] = []
    for seed in seeds:
        simulation = Simulation(seed)
        try:
            simulation.run()
        except Exception as error:
            path = "tests/unit/control/test_rollout_simulation.py"
            raise AssertionError(
                f"seed {seed} at {simulation.world.now_s:g} s: {error!r}; repeat it with "
                f"ROLLOUT_SEED={seed} ROLLOUT_SEEDS=1 .venv/bin/pytest {path}"
            ) from error
        found.append(simulation.state.outcome)
    return found


@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_seed_breaks_an_invariant(batch: int) -> None:
    seeds = range(FIRST_SEED, FIRST_SEED + SEEDS)[batch::BATCHES]
    found = outcomes(seeds)
    # A world in which nothing ever succeeds, or ever fails, would show nothing.
    if len(seeds) >= 2 * BATCHES:
        assert {"done", "failed"} <= set(found)


@pytest.mark.soak
def test_no_seed_of_many_breaks_an_invariant() -> None:
    outcomes(range(FIRST_SEED, FIRST_SEED + 50 * SEEDS))
