"""A Job counts what fails, tries again after a while, and gives up as its limits say."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

import pytest

from alongside.control import jobs


@dataclass
class World:
    """A Job's pods under a clock of their own."""

    limits: jobs.Limits
    pods: dict[str, jobs.Pod] = field(default_factory=dict)
    state: jobs.State = field(default_factory=lambda: jobs.State(0.0))
    now_s: float = 0.0
    did: list[jobs.Action] = field(default_factory=list)

    def see(self, name: str, stage: jobs.Stage, restarts: int = 0) -> list[jobs.Action]:
        """Let a pod be so; return what is to be done."""
        self.pods[name] = jobs.Pod(name, stage, restarts)
        return self.step()

    def step(self) -> list[jobs.Action]:
        """Return what is to be done now."""
        self.state, actions = jobs.step(
            self.limits, self.state, list(self.pods.values()), self.now_s
        )
        return actions

    def pass_(self, wait_s: float) -> list[jobs.Action]:
        """Let time pass."""
        self.now_s += wait_s
        return self.step()

    def fail(self, name: str) -> list[jobs.Action]:
        """Let a new pod of a name begin and fail."""
        self.see(name, "going")
        return self.see(name, "failed")


def world(retries: int = 6, deadline_s: float | None = None, pods: int = 1) -> World:
    made = World(jobs.Limits("Job/j", retries, deadline_s))
    made.pods = {f"j-{at}": jobs.Pod(f"j-{at}", "absent") for at in range(pods)}
    return made


def again(actions: list[jobs.Action]) -> list[str]:
    return [one.pod for one in actions if isinstance(one, jobs.Again)]


def ended(actions: list[jobs.Action]) -> list[str]:
    return [one.pod for one in actions if isinstance(one, jobs.End)]


def test_a_failed_pod_has_a_successor_after_a_wait_that_doubles() -> None:
    own = world()
    for delay_s in (0.1, 0.2, 0.4, 0.8):
        assert again(own.fail("j-0")) == []
        assert jobs.next_s(own.limits, own.state) == own.now_s + delay_s
        assert again(own.pass_(delay_s)) == ["j-0"]
        assert again(own.step()) == []  # once is enough


def test_a_failure_is_counted_once_however_often_it_is_seen() -> None:
    own = world(retries=1)
    own.fail("j-0")
    for _ in range(5):
        own.step()
    assert (own.state.failed, own.state.verdict) == (1, "")


def test_gives_up_when_more_pods_failed_than_may() -> None:
    own = world(retries=2)
    for _ in range(2):
        assert ended(own.fail("j-0")) == []
        assert again(own.pass_(10.0)) == ["j-0"]
    assert ended(own.fail("j-0")) == ["j-0"]
    assert own.state.verdict.startswith("BackoffLimitExceeded: Job/j failed 3 times")
    assert again(own.pass_(1000.0)) == []


def test_no_retry_means_that_the_first_failure_is_the_last() -> None:
    own = world(retries=0)
    assert ended(own.fail("j-0")) == ["j-0"]
    assert again(own.pass_(1000.0)) == []


def test_the_pods_of_a_job_fail_together() -> None:
    own = world(retries=1, pods=4)
    own.see("j-2", "succeeded")
    own.see("j-1", "going")
    own.fail("j-0")
    own.pass_(10.0)
    # What succeeded stays so; what was never started is not there to be ended.
    assert ended(own.fail("j-0")) == ["j-0", "j-1"]
    assert again(own.pass_(1000.0)) == []


def test_a_success_ends_the_row_of_failures() -> None:
    own = world(pods=2)
    for _ in range(3):
        own.fail("j-0")
        own.pass_(10.0)
    own.see("j-1", "succeeded")
    own.fail("j-0")
    assert jobs.next_s(own.limits, own.state) == own.now_s + jobs.DELAY_S_MIN
    assert own.state.failed == 4


def test_containers_that_start_again_count_over_all_pods() -> None:
    own = world(retries=3, pods=2)
    assert ended(own.see("j-0", "going", restarts=2)) == []
    assert ended(own.see("j-1", "going", restarts=1)) == []
    assert ended(own.see("j-1", "going", restarts=2)) == ["j-0", "j-1"]
    assert "4 times" in own.state.verdict


def test_the_containers_of_a_pod_that_succeeded_count_no_more() -> None:
    own = world(retries=1, pods=2)
    own.see("j-0", "going", restarts=1)
    own.see("j-0", "succeeded", restarts=1)
    assert ended(own.see("j-1", "going", restarts=1)) == []


def test_the_deadline_is_that_of_all_pods_from_the_jobs_start() -> None:
    own = world(deadline_s=10.0, pods=3)
    own.see("j-0", "going")
    own.now_s = 9.0
    own.see("j-0", "succeeded")
    own.see("j-1", "going")
    assert jobs.next_s(own.limits, own.state) == 10.0
    assert ended(own.pass_(1.0)) == ["j-1"]
    assert own.state.verdict == "DeadlineExceeded: Job/j was active longer than 10s"
    assert jobs.next_s(own.limits, own.state) is None


def test_no_pod_is_made_after_the_deadline() -> None:
    own = world(deadline_s=10.0)
    own.now_s = 9.95
    own.fail("j-0")
    assert ended(own.pass_(0.1)) == ["j-0"]
    assert again(own.pass_(1000.0)) == []


def test_a_job_that_is_done_has_no_deadline() -> None:
    own = world(deadline_s=10.0)
    own.see("j-0", "succeeded")
    assert jobs.next_s(own.limits, own.state) is None
    assert own.pass_(100.0) == []
    assert own.state.verdict == ""


def test_a_failed_job_ends_each_pod_once_also_one_that_comes_late() -> None:
    own = world(retries=0, pods=2)
    own.fail("j-0")
    assert own.step() == []
    assert ended(own.see("j-1", "going")) == ["j-1"]
    assert own.step() == []


def test_more_retries_let_a_failed_job_begin_again() -> None:
    own = world(retries=0)
    own.fail("j-0")
    more = replace(own.limits, retries=2)
    own.state = jobs.adapted(own.state, own.limits, more, own.now_s)
    own.limits = more
    assert own.state.verdict == ""
    own.step()
    assert own.state.failed == 1
    assert again(own.pass_(1.0)) == ["j-0"]


def test_other_limits_change_nothing_of_what_a_job_that_goes_on_has_behind_it() -> None:
    own = world(retries=3)
    own.fail("j-0")
    state = jobs.adapted(own.state, own.limits, replace(own.limits, retries=1), 5.0)
    assert state == own.state


def obey(own: World, actions: list[jobs.Action], chance: random.Random) -> None:
    """Do what is to be done, after a look whether it may be."""
    for one in actions:
        stage = own.pods[one.pod].stage
        if isinstance(one, jobs.Again):
            assert stage == "failed"
            assert not own.state.verdict
            own.pods[one.pod] = jobs.Pod(one.pod, chance.choice(["leaving", "absent"]))
        elif isinstance(one, jobs.End) and stage == "going":
            own.pods[one.pod] = jobs.Pod(one.pod, "failed")


def happen(own: World, chance: random.Random, bad: float) -> bool:
    """Let something happen to a pod; return whether it failed."""
    name = chance.choice(list(own.pods))
    stage = own.pods[name].stage
    is_bad = stage == "going" and chance.random() < bad
    following: dict[str, jobs.Stage] = {
        "leaving": "absent",
        "absent": "absent" if own.state.verdict else "going",
        "going": "failed" if is_bad else "succeeded",
    }
    own.pods[name] = jobs.Pod(name, following.get(stage, stage))
    return is_bad


@pytest.mark.parametrize("seed", range(200))
def test_whatever_fails_a_job_ends_within_its_limits(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    retries, bad = chance.randrange(4), chance.choice([0.0, 0.3, 0.9])
    own = world(retries, chance.choice([None, 5.0]), chance.randrange(1, 5))
    failed = 0
    for _ in range(10_000):
        obey(own, own.pass_(chance.choice([0.0, 0.05, 0.3])), chance)
        stages = {one.stage for one in own.pods.values()}
        if own.state.is_done or (own.state.verdict and not stages & {"going", "leaving"}):
            break
        failed += happen(own, chance, bad)
    if own.state.verdict:
        assert failed > retries or own.state.verdict.startswith("DeadlineExceeded")
    else:
        assert own.state.is_done, f"it neither succeeds nor fails: {own.state}"
        assert failed <= retries
