"""What a roll-out does next, case by case; the simulation shows that the cases fit together."""

from __future__ import annotations

import dataclasses

import pytest

from alongside.control import rollout

GROUP = rollout.Group("photos-0", "shard", ("a", "b"), frozenset({"a", "b"}))
READY = rollout.Seen(0, is_ready=True, warmth_ratio=1.0)
NEW = dataclasses.replace(READY, incarnation=1)
COLD = dataclasses.replace(NEW, warmth_ratio=0.2)
AWAY = dataclasses.replace(READY, is_ready=False, reason="killed by SIGKILL")


class Rolled:
    """A roll-out that is stepped by hand."""

    def __init__(self, *groups: rollout.Group, **seen: rollout.Seen) -> None:
        self.state = rollout.begin(groups or (GROUP,))
        self.seen = {"a": READY, "b": READY} | seen
        self.now_s = 0.0

    def step(self, passed_s: float = 1.0, **seen: rollout.Seen) -> list[rollout.Action]:
        """Let time pass, see something else, and return what begins."""
        self.seen.update(seen)
        self.now_s += passed_s
        self.state, actions = rollout.step(self.state, self.seen, self.now_s)
        return actions


def test_the_next_begins_when_the_last_is_ready_warm_and_its_predecessor_gone() -> None:
    rolled = Rolled()
    assert rolled.step() == [rollout.Replace("a")]
    assert rolled.step(a=dataclasses.replace(READY, is_busy=True)) == []
    assert rolled.step(a=dataclasses.replace(NEW, is_ready=False)) == []
    assert rolled.state.reason == "waits until a is ready"
    assert rolled.step(a=COLD) == []
    assert rolled.state.reason == "waits until a is warm"
    assert rolled.step(a=dataclasses.replace(NEW, is_busy=True)) == []
    assert rolled.step(a=NEW) == [rollout.Replace("b")]
    assert (rolled.step(b=NEW), rolled.step()) == ([], [])
    assert (rolled.state.outcome, rolled.state.reason) == ("done", "")


def test_warmth_that_nobody_knows_yet_is_none() -> None:
    rolled = Rolled()
    rolled.step()
    unknown = dataclasses.replace(NEW, warmth_ratio=None)
    assert (rolled.step(a=unknown), rolled.step()) == ([], [])


def test_what_stays_cold_is_waited_for_so_long_and_in_each_of_its_runs_anew() -> None:
    rolled = Rolled()
    rolled.step()
    rolled.step(a=COLD)
    assert rolled.step(rollout.WARM_S_MAX - 1) == []
    assert rolled.step(a=dataclasses.replace(COLD, restarts=1)) == []
    assert rolled.step(rollout.WARM_S_MAX - 1) == []
    assert rolled.step() == [rollout.Replace("b")]


def test_nothing_begins_while_another_of_the_group_is_away_by_itself() -> None:
    rolled = Rolled(GROUP, c=AWAY)
    three = rollout.Group("photos-0", "shard", ("a", "b", "c"), frozenset({"a", "b"}))
    rolled.state = rollout.begin((three,))
    assert rolled.step() == []
    assert rolled.state.reason == "waits until c can be used"
    assert rolled.step(c=READY) == [rollout.Replace("a")]


def test_who_cannot_be_used_is_restarted_first() -> None:
    assert Rolled(b=AWAY).step() == [rollout.Replace("b")]


def test_a_few_shards_go_at_once_then_routers_one_by_one() -> None:
    def shard(name: str) -> rollout.Group:
        return rollout.Group(name, "shard", (name,), frozenset({name}))

    routers = rollout.Group("photos", "router", ("r", "s"), frozenset({"r", "s"}))
    names = ["c", "d", "e", "r", "s", "app"]
    rolled = Rolled(
        routers,
        *map(shard, ["c", "d", "e"]),
        rollout.Group("app", "app", ("app",), frozenset({"app"})),
        **dict.fromkeys(names, READY),
    )
    assert rolled.step() == [rollout.Restart("app")]
    assert rolled.step(app=NEW) == []
    assert rolled.step() == [rollout.Replace("c"), rollout.Replace("d")]
    assert rolled.step(d=NEW) == []
    assert rolled.step() == [rollout.Replace("e")]
    rolled.step(c=NEW, e=NEW)
    assert rolled.step() == [rollout.Replace("r")]
    assert rolled.step() == []


def test_servers_are_stopped_and_started_one_after_the_other() -> None:
    servers = [rollout.Group(name, "server", (name,), frozenset({name})) for name in "ab"]
    rolled = Rolled(*servers, a=READY, b=READY)
    assert rolled.step() == [rollout.Restart("a")]
    assert rolled.step() == []
    assert rolled.step(a=NEW) == []
    assert rolled.step() == [rollout.Restart("b")]


def failed(times: int) -> rollout.Seen:
    return dataclasses.replace(READY, failures=times, reason="its successor failed")


def test_a_failure_is_tried_again_before_anything_else_and_then_given_up() -> None:
    other = rollout.Group("photos-1", "shard", ("x",), frozenset({"x"}))
    rolled = Rolled(GROUP, other, x=dataclasses.replace(READY, is_ready=False))
    rolled.state = dataclasses.replace(rolled.state)
    assert rolled.step() == [rollout.Replace("a"), rollout.Replace("x")]
    rolled.step(x=NEW)
    rolled.step()
    for attempt in range(1, rollout.ATTEMPTS_MAX):
        assert rolled.step(a=failed(attempt)) == []
        assert rolled.step(rollout.RETRY_S) == [rollout.Replace("a")]
    assert rolled.step(a=failed(rollout.ATTEMPTS_MAX)) == []
    assert rolled.state.outcome == "failed"
    assert rolled.state.reason == "a was not restarted in 3 attempts: its successor failed"
    assert (rolled.state.done(), rolled.state.begun()) == (["x"], ["a"])
    assert rolled.state.unchanged() == ["a", "b"]
    assert rolled.step(1000.0) == []


@pytest.mark.parametrize(
    ("seen", "limit_s", "reason"),
    [
        (
            dataclasses.replace(READY, is_busy=True),
            rollout.ATTEMPT_S_MAX,
            "the restart of a did not end within 2m",
        ),
        (
            dataclasses.replace(NEW, is_ready=False),
            rollout.READY_S_MAX,
            "a was restarted, and was not ready within 1m",
        ),
    ],
)
def test_every_wait_for_our_own_doing_ends(seen: rollout.Seen, limit_s: float, reason: str) -> None:
    rolled = Rolled()
    rolled.step()
    rolled.step(a=seen)
    rolled.step(limit_s - 1)
    before = rolled.state
    rolled.step(2.0)
    assert before.outcome == "running"
    assert (rolled.state.outcome, rolled.state.reason) == ("failed", reason)


def test_a_process_that_comes_and_goes_is_given_up() -> None:
    rolled = Rolled()
    rolled.step()
    for restarts in range(40):
        run = dataclasses.replace(COLD, restarts=restarts)
        rolled.step(5.0, a=run)
        rolled.step(5.0, a=dataclasses.replace(run, is_ready=False, reason="ended with 1"))
    assert rolled.state.outcome == "failed"
    expected = "a was restarted, and could not be used within 5m: ended with 1"
    assert rolled.state.reason == expected


def test_who_may_take_long_to_stop_is_waited_for_as_long() -> None:
    patient = dataclasses.replace(GROUP, grace_s=3600.0)
    rolled = Rolled(patient)
    rolled.step()
    rolled.step(a=dataclasses.replace(NEW, is_busy=True))
    assert rolled.state.reason == "waits until the predecessor of a has finished what it has"
    rolled.step(rollout.SETTLE_S_MAX + 3600.0)
    assert rolled.state.outcome == "running"
    assert rolled.step(a=NEW) == [rollout.Replace("b")]
    rolled.step(b=dataclasses.replace(NEW, is_busy=True))
    rolled.step(rollout.SETTLE_S_MAX + 3601.0)
    assert rolled.state.reason == "b was restarted, and could not be used within 1h5m"


def test_who_was_told_to_end_keeps_its_time_when_a_later_one_gets_less() -> None:
    rolled = Rolled(dataclasses.replace(GROUP, grace_s=3600.0))
    rolled.step()
    rolled.step(a=dataclasses.replace(NEW, is_busy=True))
    rolled.state = rollout.regrouped(rolled.state, (dataclasses.replace(GROUP, grace_s=5.0),))
    rolled.step(rollout.SETTLE_S_MAX + 3600.0)
    assert rolled.state.outcome == "running"


def test_what_stops_by_itself_is_waited_for_as_long_as_it_may_take() -> None:
    rolled = Rolled(dataclasses.replace(GROUP, grace_s=3600.0), b=AWAY, a=AWAY)
    rolled.step()
    rolled.step(rollout.PAUSE_S_MAX + 3600.0)
    assert rolled.state.outcome == "running"
    rolled.step(1.0)
    assert rolled.state.reason.endswith("can be used, for 1h5m")


def test_a_pause_ends_with_a_reason() -> None:
    rolled = Rolled(a=AWAY, b=AWAY)
    rolled.step()
    rolled.step(rollout.PAUSE_S_MAX - 1)
    before = rolled.state
    rolled.step(2.0)
    assert (before.outcome, rolled.state.outcome) == ("running", "failed")
    assert rolled.state.reason.startswith("waits until b can be used")
    assert rolled.state.reason.endswith(", for 5m")


def test_what_somebody_else_restarted_meanwhile_is_not_restarted_again() -> None:
    rolled = Rolled()
    rolled.step()
    rolled.step(b=NEW)
    rolled.step(a=NEW)
    rolled.step()
    assert (rolled.step(), rolled.state.outcome) == ([], "done")


def test_what_is_not_to_exist_any_more_is_forgotten() -> None:
    rolled = Rolled()
    rolled.step()
    only = rollout.Group("photos-0", "shard", ("b",), frozenset({"b"}))
    rolled.state = rollout.regrouped(rolled.state, (only,))
    del rolled.seen["a"]
    assert rolled.step() == [rollout.Replace("b")]
