"""A pod ends as Kubernetes ends it: hooks, signals, order and grace, from wherever it stands."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.engines.pods.stage import HOOK, LOOK, Stage

from alongside.engines.pods import lifecycle, lifecycle_ends
from alongside.engines.pods import lifecycle_events as events
from alongside.plan import pods

WEB = pods.Container("web")
MORE = pods.Container("more")
INIT = pods.Container("init", "init")
SIDE = pods.Container("side", "sidecar")
LATE = pods.Container("late", "sidecar")
HOOKED = replace(WEB, pre_stop=HOOK)


def stage(*containers: pods.Container, held: str = "") -> Stage:
    """Return a pod that stands, with nothing noted; held words divide by commas."""
    found = Stage(pods.Pod("p", containers or (WEB,)), *filter(None, held.split(",")))
    found.to(5.0)
    found.clear()
    return found


def stop(one: Stage, grace_s: float = 30.0) -> None:
    """Ask for the pod's end."""
    one.feed(events.Stop(grace_s))


def test_containers_get_sigterm_and_then_the_sandbox_is_removed() -> None:
    one = stage(WEB, MORE, held="remove")
    stop(one)
    assert one.did() == ["TERM web", "TERM more", "remove"]
    assert (one.word, one.state.is_over) == ("stopping", False)
    one.feed(events.Removed(0))
    assert one.state.is_over
    assert not one.state.was_killed


def test_what_does_not_end_is_killed_when_its_grace_is_over() -> None:
    one = stage(WEB, MORE, held="TERM web")
    stop(one, 7.0)
    one.to(20.0)
    assert one.did() == ["TERM web", "TERM more", "KILL web", "remove"]
    assert one.when("KILL web") == [12.0]
    assert one.state.was_killed


def test_a_pod_that_is_given_up_ends_in_order_and_has_failed() -> None:
    one = stage(SIDE, WEB, held="TERM web")
    one.feed(events.GiveUp("its Job failed"))
    one.feed(events.GiveUp("its Job failed"))
    assert one.did() == ["TERM web"]
    one.exit("web")
    assert one.did() == ["TERM web", "TERM side", "remove"]
    assert (one.phase, one.word, one.reason) == ("Failed", "ended", "its Job failed")


def test_a_pod_that_is_given_up_while_its_sandbox_is_lost_begins_no_more() -> None:
    one = stage(WEB, held="remove")
    one.feed(events.Lost(0, "killed"), events.GiveUp("its Job failed"), events.Removed(0))
    one.to(60.0)
    assert "create" not in one.did()
    assert (one.phase, one.reason) == ("Failed", "its Job failed")


def test_nothing_starts_again_in_a_pod_that_is_given_up() -> None:
    one = stage(WEB)
    one.exit("web", 1)
    one.feed(events.GiveUp("its Job failed"))
    one.to(60.0)
    assert "start web" not in one.did()


def test_pre_stop_comes_before_sigterm() -> None:
    one = stage(HOOKED, held="hook web pre_stop")
    stop(one)
    assert one.did() == ["hook web pre_stop"]
    one.to(9.0)
    one.feed(events.Hooked("web", 0, "pre_stop", is_good=True))
    assert one.when("TERM web") == [9.0]


def test_the_grace_covers_pre_stop() -> None:
    one = stage(HOOKED, held="hook web pre_stop,TERM web")
    stop(one, 10.0)
    one.to(9.0)
    one.feed(events.Hooked("web", 0, "pre_stop", is_good=True))
    one.to(20.0)
    assert (one.when("TERM web"), one.when("KILL web")) == ([9.0], [15.0])


def test_pre_stop_is_told_how_long_it_may_take() -> None:
    pod = pods.Pod("p", (HOOKED,))
    state = lifecycle.begin(pod, 0.0)
    for event in (None, events.Created(0), events.Started("web", 0)):
        state, _ = lifecycle.step(pod, state, event, 0.0)
    _, actions = lifecycle.step(pod, state, events.Stop(12.0), 3.0)
    assert actions == [events.RunHook("web", 0, "pre_stop", HOOK, 12.0)]


def test_a_pre_stop_that_takes_all_of_the_grace_leaves_a_moment_for_sigterm() -> None:
    one = stage(HOOKED, held="hook web pre_stop,TERM web")
    stop(one, 10.0)
    one.to(30.0)
    assert (one.when("TERM web"), one.when("KILL web")) == ([15.0], [17.0])


def test_that_moment_is_never_longer_than_the_grace() -> None:
    one = stage(HOOKED, held="hook web pre_stop,TERM web")
    stop(one, 0.5)
    one.to(30.0)
    assert (one.when("TERM web"), one.when("KILL web")) == ([5.5], [6.0])


def test_a_failing_pre_stop_is_said_and_changes_nothing() -> None:
    one = stage(HOOKED)
    one.good["hook web pre_stop"] = False
    stop(one)
    assert one.did() == ["hook web pre_stop", "TERM web", "remove"]
    assert [say.reason for say in one.said] == ["its preStop failed: no"]


def test_all_pre_stops_begin_at_once() -> None:
    side = replace(SIDE, pre_stop=HOOK)
    more = replace(MORE, pre_stop=HOOK)
    one = stage(side, HOOKED, more, held="hook web pre_stop,hook more pre_stop,hook side pre_stop")
    stop(one)
    assert one.did() == ["hook side pre_stop", "hook web pre_stop", "hook more pre_stop"]


def test_sidecars_end_after_all_others_the_last_one_first() -> None:
    one = stage(SIDE, LATE, WEB, MORE, held="TERM web,TERM more,TERM late")
    stop(one)
    assert one.did() == ["TERM web", "TERM more"]
    one.exit("web")
    assert one.did() == ["TERM web", "TERM more"]
    one.exit("more")
    assert one.did()[2:] == ["TERM late"]
    one.exit("late")
    assert one.did()[3:] == ["TERM side", "remove"]


def test_a_sidecar_whose_pre_stop_goes_on_is_not_told_yet() -> None:
    one = stage(replace(SIDE, pre_stop=HOOK), WEB, held="hook side pre_stop")
    stop(one)
    assert one.did() == ["hook side pre_stop", "TERM web"]
    one.feed(events.Hooked("side", 0, "pre_stop", is_good=True))
    assert one.did()[2:] == ["TERM side", "remove"]


def test_sidecars_that_never_had_their_turn_are_told_when_the_grace_is_over() -> None:
    one = stage(SIDE, LATE, WEB, held="TERM web,KILL web,TERM side,TERM late")
    stop(one, 10.0)
    one.to(16.9)
    assert one.when("KILL web")[0] == 15.0
    assert one.when("TERM side") == one.when("TERM late") == [15.0]
    one.to(17.0)
    assert one.when("KILL side")[0] == one.when("KILL late")[0] == 17.0


def test_a_sidecar_that_ends_early_does_not_start_again() -> None:
    one = stage(SIDE, WEB, held="TERM web")
    stop(one)
    one.exit("side", 1)
    one.to(20.0)
    assert one.did() == ["TERM web"]
    assert one.state.runs["side"].stage == "terminated"
    one.exit("web")
    assert one.did() == ["TERM web", "remove"]


def test_nothing_is_probed_while_a_pod_ends() -> None:
    both = replace(WEB, readiness=LOOK, liveness=LOOK)
    one = stage(both, held="TERM web")
    stop(one)
    one.to(30.0)
    assert one.did() == [word for _, word in one.story] == ["TERM web"]


def test_a_look_that_comes_late_ends_nothing() -> None:
    one = stage(replace(WEB, liveness=replace(LOOK, failures=1)), held="TERM web,look web liveness")
    stop(one)
    before = one.state
    one.feed(events.Looked("web", 0, "liveness", is_good=False))
    assert one.state == before


def test_a_grace_of_nothing_kills_at_once() -> None:
    one = stage(SIDE, HOOKED)
    stop(one, 0.0)
    assert one.did() == ["KILL side", "KILL web", "remove"]


def test_a_second_stop_may_hurry_the_first() -> None:
    one = stage(held="TERM web")
    stop(one, 100.0)
    one.to(15.0)
    stop(one, 12.0)
    one.to(16.9)
    assert "KILL web" not in one.did()
    one.to(17.0)
    assert one.when("KILL web") == [17.0]


def test_a_second_stop_without_grace_kills_at_once() -> None:
    one = stage(SIDE, HOOKED, held="hook web pre_stop")
    stop(one, 100.0)
    one.to(15.0)
    stop(one, 0.0)
    assert one.when("KILL web") == one.when("KILL side") == [15.0]


def test_a_second_stop_with_a_longer_grace_changes_nothing() -> None:
    one = stage(held="TERM web")
    stop(one, 10.0)
    stop(one, 100.0)
    one.to(15.0)
    assert one.when("KILL web") == [15.0]


def test_a_stop_hurries_what_ends_for_another_reason() -> None:
    alive = replace(WEB, liveness=replace(LOOK, failures=1, grace_s=500.0))
    one = stage(alive, held="TERM web")
    one.good["look web liveness"] = False
    one.to(11.0)
    stop(one, 3.0)
    one.to(14.0)
    assert (one.when("TERM web"), one.when("KILL web")) == ([10.0], [14.0])


def test_a_stop_does_not_lengthen_what_ends_for_another_reason() -> None:
    alive = replace(WEB, liveness=replace(LOOK, failures=1, grace_s=5.0))
    one = stage(alive, held="TERM web")
    one.good["look web liveness"] = False
    one.to(11.0)
    stop(one, 300.0)
    one.to(16.0)
    assert one.when("KILL web") == [15.0]


def test_a_stop_hurries_a_pod_that_is_over() -> None:
    one = stage(SIDE, replace(WEB, restart="never"), held="TERM side")
    one.exit("web", 0)
    one.to(10.0)
    stop(one, 2.0)
    one.to(12.0)
    assert one.when("KILL side") == [12.0]
    assert (one.word, one.phase) == ("stopping", "Succeeded")


def test_a_stop_without_a_sandbox_is_over_at_once() -> None:
    one = Stage(pods.Pod("p", (WEB,)), "create")
    one.to(0.0)
    one.feed(events.CreateFailed(0, "no"))
    stop(one)
    assert (one.did(), one.state.is_over) == (["create"], True)


def test_a_stop_while_the_sandbox_is_made_waits_for_it_and_starts_nothing() -> None:
    one = stage(held="create")
    stop(one)
    assert one.did() == []
    one.feed(events.Created(0))
    assert one.did() == ["remove"]


def test_a_stop_while_the_sandbox_fails_is_over() -> None:
    one = stage(held="create")
    stop(one)
    one.feed(events.CreateFailed(0, "no"))
    assert (one.did(), one.state.is_over) == ([], True)


def test_a_sandbox_that_is_never_made_is_given_up() -> None:
    one = stage(held="create")
    stop(one, 1.0)
    one.to(100.0)
    assert one.when("remove") == [5.0 + 1.0 + 1.0 + lifecycle.KILL_WAIT_S]


def test_a_sandbox_that_comes_after_it_was_given_up_is_not_used() -> None:
    one = stage(held="create,remove")
    stop(one, 1.0)
    one.to(100.0)
    one.feed(events.Created(0))
    assert one.did() == ["remove"]
    one.feed(events.Removed(0))
    assert one.state.is_over


def test_a_stop_while_a_container_is_started_ends_it_when_it_has() -> None:
    one = stage(HOOKED, held="start web")
    stop(one)
    assert one.did() == []
    one.to(6.0)
    one.feed(events.Started("web", 0))
    assert one.did() == ["hook web pre_stop", "TERM web", "remove"]


def test_a_start_that_takes_all_of_the_grace_is_given_up() -> None:
    one = stage(held="start web,KILL web")
    stop(one, 10.0)
    one.to(15.0)
    assert one.did() == ["KILL web"]
    one.feed(events.StartFailed("web", 0, "given up"))
    assert one.did() == ["KILL web", "remove"]


def test_a_container_that_starts_after_all_of_the_grace_has_its_moment_for_sigterm() -> None:
    one = stage(held="start web,TERM web,KILL web")
    stop(one, 10.0)
    one.to(15.5)
    one.feed(events.Started("web", 0))
    one.to(18.0)
    assert (one.when("TERM web"), one.when("KILL web")) == ([15.5], [15.0, 17.5])


def test_a_stop_during_an_init_container_starts_nothing_more() -> None:
    one = stage(SIDE, INIT, WEB)
    stop(one)
    assert one.did() == ["TERM init", "TERM side", "remove"]
    assert one.status("web").stage == "waiting"


def test_a_stop_during_post_start_does_not_wait_for_it() -> None:
    one = stage(replace(WEB, post_start=HOOK), held="hook web post_start")
    stop(one)
    assert one.did() == ["TERM web", "remove"]


def test_a_stop_in_back_off_is_over_at_once() -> None:
    one = stage()
    one.exit("web", 1)
    one.clear()
    stop(one)
    assert one.did() == ["remove"]
    assert (one.status("web").stage, one.status("web").reason) == ("terminated", "Error")


def test_a_stop_while_the_sandbox_is_lost_ends_for_good() -> None:
    one = stage(held="TERM web")
    one.feed(events.Lost(0, "killed"))
    stop(one, 2.0)
    one.to(20.0)
    assert one.did() == ["TERM web", "KILL web", "remove"]
    assert one.state.is_over


def test_an_active_deadline_ends_a_pod_whose_sandbox_is_lost_for_good() -> None:
    one = Stage(pods.Pod("p", (WEB,), deadline_s=10.0, grace_s=20.0), "TERM web")
    one.to(5.0)
    one.feed(events.Lost(0, "killed"))
    one.to(40.0)
    assert (one.state.is_over, one.phase, one.did().count("create")) == (True, "Failed", 1)


def test_what_cannot_be_killed_is_signalled_again_and_its_sandbox_removed() -> None:
    one = stage(held="TERM web,KILL web")
    stop(one, 10.0)
    one.to(100.0)
    kills_s = one.when("KILL web")
    assert kills_s[:3] == [
        15.0,
        15.0 + lifecycle_ends.KILL_AGAIN_S,
        15.0 + 2 * lifecycle_ends.KILL_AGAIN_S,
    ]
    assert one.when("remove") == [5.0 + 10.0 + lifecycle_ends.LATE_GRACE_S + lifecycle.KILL_WAIT_S]
    assert (one.state.is_over, one.status("web").stage) == (True, "terminated")


def test_a_sandbox_that_cannot_be_removed_is_tried_again_and_given_up_in_the_end() -> None:
    one = stage(held="remove")
    stop(one)
    for count in range(1, lifecycle.REMOVALS_MAX + 1):
        assert not one.state.is_over
        assert one.did().count("remove") == count
        one.feed(events.RemoveFailed(0, "busy"))
        one.to(one.now_s + 10.0)
    assert one.state.is_over
    assert [say.event for say in one.said] == ["removal_failed"] * lifecycle.REMOVALS_MAX


@pytest.mark.parametrize("event", [events.Stop(1.0), events.Created(0), events.Lost(0, ""), None])
def test_a_pod_that_is_gone_stays_so(event: events.Event | None) -> None:
    one = stage()
    stop(one)
    before = one.state
    one.feed(event)
    assert one.state == before
    assert lifecycle.next_s(one.state) is None
