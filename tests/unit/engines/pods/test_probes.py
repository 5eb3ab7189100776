"""Probes are counted as Kubernetes counts them, and the first success is seen soon."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from tests.unit.engines.pods.stage import HOOK, LOOK, Stage

from alongside.engines.pods import lifecycle_events as events
from alongside.plan import pods

WEB = pods.Container("web")
READY = replace(WEB, readiness=LOOK)
ALIVE = replace(WEB, liveness=LOOK)
BEGUN = replace(WEB, startup=replace(LOOK, failures=3))


def stage(container: pods.Container, *held: str, bad: str = "", grace_s: float = 30.0) -> Stage:
    """Return a pod of one container before its first step; `bad` names what finds it bad."""
    found = Stage(pods.Pod("p", (container,), grace_s=grace_s), *held)
    found.good = dict.fromkeys(filter(None, bad.split(",")), False)
    return found


def test_without_a_readiness_probe_a_container_is_ready_when_it_has_started() -> None:
    one = stage(WEB)
    one.to(0.0)
    assert (one.status("web").is_started, one.status("web").is_ready, one.word) == (
        True,
        True,
        "ready",
    )


def test_a_container_is_ready_when_its_probe_succeeds() -> None:
    one = stage(READY, "look web readiness")
    one.to(0.0)
    assert (one.status("web").is_ready, one.word) == (False, "starting")
    one.feed(events.Looked("web", 0, "readiness", is_good=True))
    assert (one.status("web").is_ready, one.word) == (True, "ready")


def test_the_first_success_of_readiness_is_seen_soon() -> None:
    one = stage(READY, bad="look web readiness")
    one.to(0.3)
    one.good.clear()
    one.to(0.8)
    assert one.word == "ready"
    assert one.when("look web readiness") == pytest.approx([0.0, 0.05, 0.15, 0.35])


def test_after_the_first_success_looks_come_at_the_period() -> None:
    one = stage(READY)
    one.to(35.0)
    assert one.when("look web readiness") == [0.0, 10.0, 20.0, 30.0]


def test_early_looks_never_come_later_than_the_period() -> None:
    one = stage(READY, bad="look web readiness")
    one.to(60.0)
    found = one.when("look web readiness")
    gaps_s = [after - before for before, after in itertools.pairwise(found)]
    assert max(gaps_s) <= 10.0
    assert {0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0} <= set(found)


def test_no_look_comes_before_the_initial_delay() -> None:
    one = stage(replace(WEB, readiness=replace(LOOK, delay_s=7.0)))
    one.to(20.0)
    assert one.when("look web readiness") == [7.0, 17.0]


def test_readiness_needs_as_many_successes_in_a_row_as_it_says() -> None:
    one = stage(replace(WEB, readiness=replace(LOOK, successes=3)))
    one.to(19.0)
    assert not one.status("web").is_ready
    one.to(20.0)
    assert one.status("web").is_ready


def test_a_failure_between_begins_the_count_of_successes_anew() -> None:
    one = stage(replace(WEB, readiness=replace(LOOK, successes=2)))
    one.to(5.0)
    one.good["look web readiness"] = False
    one.to(15.0)
    one.good.clear()
    one.to(25.0)
    assert not one.status("web").is_ready
    one.to(30.0)
    assert one.status("web").is_ready


def test_a_ready_container_is_unready_after_as_many_failures_as_it_says() -> None:
    one = stage(READY)
    one.to(5.0)
    one.good["look web readiness"] = False
    one.to(29.0)
    assert one.word == "ready"
    one.to(30.0)
    assert (one.word, one.reason) == ("unready", "web: its readiness probe fails: no")
    assert one.status("web").stage == "running"


def test_a_success_between_begins_the_count_of_failures_anew() -> None:
    one = stage(READY)
    one.to(5.0)
    one.good["look web readiness"] = False
    one.to(25.0)
    one.good.clear()
    one.to(35.0)
    one.good["look web readiness"] = False
    one.to(55.0)
    assert one.word == "ready"


def test_failing_readiness_ends_nothing_and_one_success_makes_it_ready_again() -> None:
    one = stage(READY)
    one.to(5.0)
    one.good["look web readiness"] = False
    one.to(500.0)
    assert one.word == "unready"
    one.good.clear()
    one.to(511.0)
    assert (one.word, one.did()) == ("ready", ["create", "start web"])


def test_a_look_on_its_way_is_waited_for() -> None:
    one = stage(READY, "look web readiness")
    one.to(100.0)
    assert one.when("look web readiness") == [0.0]
    one.feed(events.Looked("web", 0, "readiness", is_good=False))
    assert one.when("look web readiness") == [0.0, 100.0]


def test_liveness_is_looked_at_from_the_start_at_the_period() -> None:
    one = stage(ALIVE)
    one.to(25.0)
    assert one.when("look web liveness") == [0.0, 10.0, 20.0]


def test_liveness_that_fails_as_often_as_it_says_ends_the_container() -> None:
    one = stage(ALIVE, bad="look web liveness")
    one.to(19.0)
    assert "TERM web" not in one.did()
    one.to(20.5)
    assert one.when("TERM web") == [20.0]
    assert one.when("start web") == pytest.approx([0.0, 20.1])
    assert one.status("web").restarts == 1
    last = one.status("web").last
    assert last is not None
    assert last.message == "its liveness probe failed: no; killed by SIGTERM"


def test_liveness_needs_one_success_whatever_it_says() -> None:
    one = stage(replace(WEB, liveness=replace(LOOK, successes=5, failures=2)))
    one.good["look web liveness"] = False
    one.to(0.0)
    one.good.clear()
    one.to(10.0)
    one.good["look web liveness"] = False
    one.to(20.0)
    assert "TERM web" not in one.did()


def test_a_container_that_liveness_ends_has_the_grace_of_its_probe() -> None:
    quick = replace(LOOK, failures=1, grace_s=3.0)
    one = stage(replace(WEB, liveness=quick), "TERM web", bad="look web liveness")
    one.to(3.0)
    assert (one.when("TERM web"), one.when("KILL web")) == ([0.0], [3.0])


def test_a_container_that_liveness_ends_has_the_grace_of_its_pod() -> None:
    quick = replace(WEB, liveness=replace(LOOK, failures=1))
    one = stage(quick, "TERM web", bad="look web liveness", grace_s=8.0)
    one.to(8.0)
    assert one.when("KILL web") == [8.0]


def test_liveness_runs_pre_stop_before_it_ends_a_container() -> None:
    hooked = replace(WEB, liveness=replace(LOOK, failures=1), pre_stop=HOOK)
    one = stage(hooked, bad="look web liveness")
    one.to(0.0)
    assert one.did() == ["create", "start web", "hook web pre_stop", "TERM web"]


def test_no_second_run_begins_before_the_first_has_ended() -> None:
    quick = replace(WEB, liveness=replace(LOOK, failures=1))
    one = stage(quick, "TERM web", "KILL web", bad="look web liveness", grace_s=1.0)
    one.to(100.0)
    assert one.did().count("start web") == 1
    one.exit("web", 137)
    one.to(100.2)
    assert one.did().count("start web") == 2


def test_a_container_that_is_being_ended_is_not_looked_at() -> None:
    both = replace(WEB, liveness=replace(LOOK, failures=1), readiness=LOOK)
    one = stage(both, "TERM web", bad="look web liveness")
    one.to(25.0)
    assert one.when("look web readiness") == [0.0]
    assert (one.status("web").is_ready, one.word) == (False, "unready")


@pytest.mark.parametrize(("restart", "runs"), [("always", 2), ("on-failure", 2), ("never", 1)])
def test_liveness_restarts_what_ends_with_0_unless_it_may_never(
    restart: pods.Restart, runs: int
) -> None:
    quick = replace(WEB, liveness=replace(LOOK, failures=1), restart=restart)
    one = stage(quick, bad="look web liveness")
    one.codes["web"] = 0
    one.to(0.15)
    assert one.did().count("start web") == runs


def test_until_its_startup_probe_succeeds_there_is_no_other_probe() -> None:
    gated = replace(WEB, startup=replace(LOOK, failures=30), readiness=LOOK, liveness=LOOK)
    one = stage(gated, bad="look web startup")
    one.to(99.0)
    assert one.when("look web readiness") == one.when("look web liveness") == []
    assert not one.status("web").is_started
    assert one.reason == "web: its startup probe does not succeed yet: no"
    one.good.clear()
    one.to(100.0)
    assert one.when("look web readiness") == one.when("look web liveness") == [100.0]
    assert one.status("web").is_started
    assert one.word == "ready"


def test_a_startup_probe_ends_with_its_success() -> None:
    one = stage(BEGUN)
    one.to(100.0)
    assert one.when("look web startup") == [0.0]


def test_the_success_of_a_startup_probe_is_seen_soon() -> None:
    one = stage(BEGUN, bad="look web startup")
    one.to(0.3)
    one.good.clear()
    one.to(0.4)
    assert one.word == "ready"


def test_early_looks_of_a_startup_probe_do_not_shorten_its_time() -> None:
    one = stage(BEGUN, bad="look web startup")
    one.to(19.9)
    assert len(one.when("look web startup")) > 8
    assert "TERM web" not in one.did()
    one.to(20.5)
    assert one.when("TERM web") == [20.0]
    assert one.when("start web") == pytest.approx([0.0, 20.1])


def test_a_container_that_its_startup_probe_ends_has_the_grace_of_that_probe() -> None:
    slow = replace(WEB, startup=replace(LOOK, failures=1, grace_s=2.5))
    one = stage(slow, "TERM web", bad="look web startup")
    one.to(2.5)
    assert (one.when("TERM web"), one.when("KILL web")) == ([0.0], [2.5])


def test_delays_behind_a_startup_probe_count_from_the_containers_start() -> None:
    gated = replace(BEGUN, liveness=replace(LOOK, delay_s=15.0))
    one = stage(gated, bad="look web startup")
    one.to(9.0)
    one.good.clear()
    one.to(20.0)
    assert one.when("look web startup")[-1] == 10.0
    assert one.when("look web liveness") == [15.0]


def test_a_new_run_is_probed_anew() -> None:
    one = stage(replace(READY, startup=LOOK))
    one.to(50.0)
    one.exit("web", 1)
    one.good["look web startup"] = False
    one.to(51.0)
    assert (one.status("web").is_started, one.status("web").is_ready) == (False, False)
    assert one.word == "starting"


def test_probes_begin_when_post_start_is_done() -> None:
    hooked = replace(READY, post_start=HOOK)
    one = stage(hooked, "hook web post_start")
    one.to(5.0)
    assert one.when("look web readiness") == []
    assert (one.status("web").stage, one.word) == ("running", "starting")
    one.feed(events.Hooked("web", 0, "post_start", is_good=True))
    assert one.when("look web readiness") == [5.0]


def test_a_failing_post_start_ends_the_container_which_starts_again() -> None:
    one = stage(replace(WEB, post_start=HOOK), bad="hook web post_start")
    one.to(0.15)
    assert one.did()[:5] == ["create", "start web", "hook web post_start", "TERM web", "start web"]
    assert [say.event for say in one.said][:2] == ["container_ending", "container_ended"]


def test_a_failing_post_start_of_what_may_not_start_again_fails_the_pod() -> None:
    never = replace(WEB, post_start=HOOK, restart="never")
    one = stage(never, bad="hook web post_start")
    one.to(0.0)
    assert (one.phase, one.did()[-2:]) == ("Failed", ["TERM web", "remove"])


def test_a_container_that_ends_during_post_start_has_ended() -> None:
    one = stage(replace(WEB, post_start=HOOK), "hook web post_start")
    one.to(1.0)
    one.exit("web", 4)
    one.feed(events.Hooked("web", 0, "post_start", is_good=True))
    assert one.status("web").reason == "CrashLoopBackOff"


def test_a_probe_that_takes_longer_than_its_period_is_done_again_at_once() -> None:
    one = stage(replace(WEB, liveness=replace(LOOK, period_s=1.0)), "look web liveness")
    one.to(5.0)
    one.feed(events.Looked("web", 0, "liveness", is_good=True))
    assert one.when("look web liveness") == [0.0, 5.0]


def test_a_pod_is_ready_when_all_of_its_containers_and_sidecars_are() -> None:
    side = replace(READY, name="side", kind="sidecar")
    one = Stage(pods.Pod("p", (side, READY, WEB)))
    one.good = {"look side readiness": False, "look web readiness": False}
    one.to(1.0)
    assert one.word == "starting"
    del one.good["look web readiness"]
    one.to(15.0)
    assert one.word == "starting"
    one.good.clear()
    one.to(30.0)
    assert one.word == "ready"
