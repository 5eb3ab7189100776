"""Containers start in Kubernetes' order, start again by their policy, and wait longer each time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.engines.pods.stage import HOOK, LOOK, Stage

from alongside.engines.pods import lifecycle_events as events
from alongside.engines.pods import runtime
from alongside.plan import pods

WEB = pods.Container("web")
INIT = pods.Container("init", "init")
SIDE = pods.Container("side", "sidecar")


def stage(*containers: pods.Container, held: str = "") -> Stage:
    """Return a pod of containers after its first steps; held words divide by commas."""
    found = Stage(pods.Pod("p", containers or (WEB,)), *filter(None, held.split(",")))
    found.to(0.0)
    return found


def test_the_sandbox_comes_before_any_container() -> None:
    one = stage(held="create")
    assert (one.did(), one.phase, one.word) == (["create"], "Pending", "starting")
    one.feed(events.Created(0))
    assert one.did() == ["create", "start web"]
    assert (one.phase, one.word) == ("Running", "ready")


def test_main_containers_start_together() -> None:
    one = stage(WEB, replace(WEB, name="more"), held="start web,start more")
    assert one.did() == ["create", "start web", "start more"]


def test_init_containers_run_one_after_the_other() -> None:
    one = stage(INIT, replace(INIT, name="next"), WEB)
    assert one.did() == ["create", "start init"]
    one.exit("init")
    assert one.did() == ["create", "start init", "start next"]
    one.exit("next")
    assert one.did() == ["create", "start init", "start next", "start web"]


def test_a_failed_init_container_runs_again_before_anything_else() -> None:
    one = stage(INIT, WEB)
    one.exit("init", 1)
    one.to(5.0)
    assert one.did() == ["create", "start init", "start init"]
    one.exit("init")
    assert one.did()[-1] == "start web"


@pytest.mark.parametrize("restart", ["always", "on-failure"])
def test_an_init_container_that_succeeded_does_not_run_again(restart: pods.Restart) -> None:
    one = stage(replace(INIT, restart=restart), WEB)
    one.exit("init")
    one.to(1000.0)
    assert one.did().count("start init") == 1
    assert one.status("init").is_ready


def test_a_failed_init_container_that_may_not_run_again_fails_the_pod() -> None:
    one = stage(replace(INIT, restart="never"), replace(WEB, restart="never"))
    one.exit("init", 3)
    assert one.did() == ["create", "start init", "remove"]
    assert (one.phase, one.word, one.reason) == ("Failed", "ended", "init: ended with 3")


def test_a_failed_init_container_ends_the_sidecars_of_its_pod() -> None:
    one = stage(SIDE, replace(INIT, restart="never"), WEB)
    one.exit("init", 3)
    assert one.did() == ["create", "start side", "start init", "TERM side", "remove"]


def test_init_containers_have_no_probes_and_hooks() -> None:
    one = stage(replace(INIT, readiness=LOOK, liveness=LOOK, startup=LOOK, post_start=HOOK), WEB)
    one.to(100.0)
    assert [word for _, word in one.story] == ["create", "start init"]


def test_what_follows_a_sidecar_starts_while_it_runs() -> None:
    one = stage(SIDE, INIT, WEB)
    assert one.did() == ["create", "start side", "start init"]
    one.exit("init")
    assert one.did()[-1] == "start web"
    assert one.word == "ready"


def test_what_follows_a_sidecar_waits_for_its_startup_probe() -> None:
    one = Stage(pods.Pod("p", (replace(SIDE, startup=LOOK), WEB)))
    one.good["look side startup"] = False
    one.to(5.0)
    assert one.did() == ["create", "start side"]
    one.good["look side startup"] = True
    one.to(11.0)
    assert one.did() == ["create", "start side", "start web"]


def test_what_follows_a_sidecar_waits_for_its_post_start() -> None:
    one = stage(replace(SIDE, post_start=HOOK), WEB, held="hook side post_start")
    assert one.did() == ["create", "start side", "hook side post_start"]
    one.feed(events.Hooked("side", 0, "post_start", is_good=True))
    assert one.did()[-1] == "start web"


def test_what_follows_a_sidecar_does_not_wait_for_its_readiness() -> None:
    one = Stage(pods.Pod("p", (replace(SIDE, readiness=LOOK), WEB)))
    one.good["look side readiness"] = False
    one.to(0.0)
    assert one.did() == ["create", "start side", "start web"]
    assert one.word == "starting"


def test_a_sidecar_that_ends_before_it_has_started_holds_up_what_follows() -> None:
    one = Stage(pods.Pod("p", (replace(SIDE, startup=LOOK), WEB)))
    one.good["look side startup"] = False
    one.to(1.0)
    one.exit("side", 1)
    assert "start web" not in one.did()
    one.good["look side startup"] = True
    one.to(2.0)
    assert one.did() == ["create", "start side", "start side", "start web"]


def test_a_sidecar_that_ends_later_starts_again_alone() -> None:
    one = stage(SIDE, INIT, WEB)
    one.exit("init")
    one.exit("side", 0)
    assert one.word == "waiting"
    one.to(1.0)
    assert one.did() == ["create", "start side", "start init", "start web", "start side"]
    assert one.word == "ready"


def test_a_sidecar_that_ends_during_an_init_container_lets_it_go_on() -> None:
    one = stage(SIDE, INIT, WEB)
    one.exit("side", 1)
    one.exit("init")
    assert one.did() == ["create", "start side", "start init", "start web"]


@pytest.mark.parametrize(
    ("restart", "code", "is_again"),
    [
        ("always", 0, True),
        ("always", 1, True),
        ("on-failure", 0, False),
        ("on-failure", 1, True),
        ("never", 0, False),
        ("never", 1, False),
    ],
)
def test_a_container_starts_again_as_its_policy_says(
    restart: pods.Restart, code: int, is_again: bool
) -> None:
    one = stage(replace(WEB, restart=restart), replace(WEB, name="more"))
    one.exit("web", code)
    one.to(1.0)
    assert one.did().count("start web") == (2 if is_again else 1)
    assert one.status("web").restarts == (1 if is_again else 0)


@pytest.mark.parametrize(
    ("codes", "phase", "reason"),
    [((0, 0), "Succeeded", "ended with 0"), ((0, 2), "Failed", "web: ended with 0")],
)
def test_a_pod_whose_containers_have_all_ended_is_over(
    codes: tuple[int, int], phase: str, reason: str
) -> None:
    web = replace(WEB, restart="never")
    one = stage(web, replace(web, name="more"))
    one.exit("web", codes[0])
    assert (one.phase, one.word) == ("Running", "unready")
    one.exit("more", codes[1])
    assert (one.phase, one.word) == (phase, "ended")
    assert one.reason.startswith(reason)
    assert one.did()[-1] == "remove"


def test_a_job_like_pod_that_failed_runs_to_its_success() -> None:
    one = stage(replace(WEB, restart="on-failure"))
    one.exit("web", 1)
    one.to(1.0)
    one.exit("web", 0)
    assert (one.phase, one.did()) == ("Succeeded", ["create", "start web", "start web", "remove"])


def test_a_pod_that_is_over_ends_its_sidecars_in_reverse_order() -> None:
    one = stage(SIDE, replace(SIDE, name="late"), replace(WEB, restart="never"), held="TERM late")
    one.exit("web", 0)
    assert one.did()[-1] == "TERM late"
    one.exit("late", 143)
    assert one.did()[-3:] == ["TERM late", "TERM side", "remove"]
    assert one.phase == "Succeeded"


def test_a_sidecar_that_ends_while_its_pod_is_over_does_not_start_again() -> None:
    one = stage(SIDE, replace(SIDE, name="late"), replace(WEB, restart="never"), held="TERM late")
    one.exit("web", 0)
    one.exit("side", 1)
    one.to(20.0)
    assert one.did().count("start side") == 1


def test_the_back_off_doubles_up_to_five_minutes() -> None:
    one = stage()
    waits_s = []
    for _ in range(14):
        ended_s = one.now_s
        one.exit("web", 1)
        one.to(ended_s + 300.0)
        waits_s.append(one.when("start web")[-1] - ended_s)
    assert waits_s == pytest.approx([min(0.1 * 2**n, 300.0) for n in range(14)])


def test_a_container_that_ran_ten_minutes_begins_its_back_off_anew() -> None:
    one = stage()
    for _ in range(5):
        one.exit("web", 1)
        one.to(one.now_s + 100.0)
    one.to(one.now_s + 600.0)
    ended_s = one.now_s
    one.exit("web", 1)
    one.to(ended_s + 100.0)
    assert one.when("start web")[-1] - ended_s == pytest.approx(0.1)


def test_a_container_that_ran_less_keeps_its_back_off() -> None:
    one = stage()
    one.exit("web", 1)
    one.to(590.0)
    one.exit("web", 1)
    one.to(600.0)
    assert one.when("start web")[-1] == pytest.approx(590.2)


def test_each_container_has_a_back_off_of_its_own() -> None:
    one = stage(WEB, replace(WEB, name="more"))
    for _ in range(3):
        one.exit("web", 1)
        one.to(one.now_s + 10.0)
    one.exit("more", 1)
    one.to(one.now_s + 10.0)
    assert one.when("start more")[-1] == pytest.approx(30.1)


def test_a_container_in_back_off_is_shown_so() -> None:
    one = stage()
    one.exit("web", 2)
    status = one.status("web")
    assert (status.stage, status.reason) == ("waiting", "CrashLoopBackOff")
    assert (one.phase, one.word) == ("Running", "waiting")
    assert one.reason == "web: ended with 2; starts again in 100ms"


@pytest.mark.parametrize(
    ("exit_", "reason", "message"),
    [
        (runtime.Exit(0), "Completed", "ended with 0"),
        (runtime.Exit(7), "Error", "ended with 7"),
        (runtime.Exit(137, 9), "Error", "killed by SIGKILL"),
        (
            runtime.Exit(137, 9, is_out_of_memory=True),
            "OOMKilled",
            "killed because it ran out of memory",
        ),
        (runtime.Exit(0, 11), "Error", "killed by SIGSEGV"),
        (runtime.Exit(128 + 77, 77), "Error", "killed by signal 77"),
    ],
)
def test_an_end_is_shown_in_kubernetes_words(
    exit_: runtime.Exit, reason: str, message: str
) -> None:
    one = stage(replace(WEB, restart="never"), replace(WEB, name="more"))
    one.feed(events.Exited("web", 0, exit_))
    last = one.status("web").last
    assert last is not None
    assert (one.status("web").stage, last.reason, last.message) == ("terminated", reason, message)
    assert last.is_success == (reason == "Completed")


def test_containers_that_wait_for_init_containers_say_so() -> None:
    one = stage(INIT, WEB)
    assert (one.status("init").stage, one.status("web").reason) == ("running", "PodInitializing")
    assert one.phase == "Pending"


def test_a_container_that_is_being_started_says_so() -> None:
    one = stage(held="start web")
    assert (one.status("web").stage, one.status("web").reason) == ("waiting", "ContainerCreating")
    assert (one.phase, one.word) == ("Pending", "starting")


def test_a_container_that_cannot_be_started_is_tried_again_after_a_wait() -> None:
    one = stage(held="start web")
    one.feed(events.StartFailed("web", 0, "web: not found"))
    assert one.status("web").reason == "CrashLoopBackOff"
    assert one.reason == "web: web: not found; starts again in 100ms"
    one.to(0.15)
    assert one.when("start web") == [0.0, 0.1]


def test_a_container_that_cannot_be_started_and_may_not_be_again_fails_the_pod() -> None:
    one = stage(replace(WEB, restart="never"), held="start web")
    one.feed(events.StartFailed("web", 0, "web: not found"))
    assert (one.phase, one.status("web").reason) == ("Failed", "StartError")


def test_a_start_that_did_not_come_about_is_none_whatever_the_policy() -> None:
    one = stage(replace(WEB, restart="never"), held="start web")
    for until_s, wait in ((1.0, "100ms"), (2.0, "200ms")):
        one.feed(events.StartFailed("web", 0, "the engine is silent", is_tried=False))
        assert (one.phase, one.status("web").reason) == ("Pending", "ContainerCreating")
        assert one.reason == f"web: the engine is silent; starts again in {wait}"
        one.to(until_s)
    assert one.when("start web") == pytest.approx([0.0, 0.1, 1.2])
    one.feed(events.Started("web", 0))
    assert (one.phase, one.status("web").restarts) == ("Running", 0)


@pytest.mark.parametrize("is_lost_first", [True, False])
def test_a_pod_that_may_not_run_again_begins_anew_where_it_had_not_begun(
    is_lost_first: bool,
) -> None:
    one = stage(replace(WEB, restart="never"), held="start web")
    told: list[events.Event] = [
        events.Lost(0, "taken"),
        events.StartFailed("web", 0, "taken", is_tried=False),
    ]
    for event in told if is_lost_first else reversed(told):
        one.feed(event)
    one.to(5.0)
    assert len(one.when("create")) == 2
    assert one.phase == "Pending"
    assert one.status("web").restarts == 0


def test_a_sandbox_that_cannot_be_made_is_tried_again_after_a_growing_wait() -> None:
    one = stage(held="create")
    one.feed(events.CreateFailed(0, "no bridge"))
    assert (one.word, one.reason) == ("waiting", "no bridge; tried again in 100ms")
    one.to(0.2)
    one.feed(events.CreateFailed(1, "no bridge"))
    one.to(10.0)
    assert one.when("create") == pytest.approx([0.0, 0.1, 0.4])
    one.feed(events.Created(2))
    assert one.word == "ready"


def test_restarts_are_counted_over_all_containers() -> None:
    one = stage(WEB, replace(WEB, name="more"))
    one.exit("web", 1)
    one.exit("more", 1)
    one.to(1.0)
    one.exit("web", 1)
    one.to(2.0)
    assert (one.status("web").restarts, one.status("more").restarts) == (2, 1)


@pytest.mark.parametrize(
    "event",
    [
        events.Exited("web", 0, runtime.Exit(1)),
        events.StartFailed("web", 0, "late"),
        events.Looked("web", 0, "liveness", is_good=False, reason="late"),
        events.Hooked("web", 0, "post_start", is_good=False, reason="late"),
        events.Exited("nobody", 0, runtime.Exit(1)),
        events.Created(7),
        events.Lost(7, "late"),
        events.Removed(0),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_comes_from_an_earlier_run_changes_nothing(event: events.Event) -> None:
    one = stage(replace(WEB, liveness=LOOK))
    one.exit("web", 1)
    one.to(5.0)
    before = one.state
    one.feed(event)
    assert (one.state, one.word) == (before, "ready")


def test_a_sandbox_that_vanished_is_replaced_with_all_containers_in_order() -> None:
    one = stage(SIDE, INIT, WEB)
    one.exit("init")
    one.clear()
    one.feed(events.Lost(0, "killed"))
    assert one.did() == ["TERM web", "TERM side", "remove"]
    assert (one.word, one.reason) == (
        "waiting",
        "its sandbox vanished: killed; tried again in 100ms",
    )
    one.to(5.0)
    assert one.did()[3:] == ["create", "start side", "start init"]
    one.exit("init")
    assert one.did()[-1] == "start web"
    assert [one.status(name).restarts for name in ("side", "init", "web")] == [1, 1, 1]


def test_a_sandbox_that_vanishes_again_and_again_is_replaced_more_slowly() -> None:
    one = stage()
    for number in range(4):
        one.feed(events.Lost(number, "killed"))
        one.to(one.now_s + 5.0)
    made_s = one.when("create")
    assert [made_s[n] - 5.0 * (n - 1) for n in range(1, 5)] == pytest.approx([0.1, 0.2, 0.4, 0.8])


def test_a_pod_that_may_not_run_again_fails_with_its_sandbox() -> None:
    one = stage(replace(WEB, restart="never"))
    one.feed(events.Lost(0, "killed"))
    assert (one.phase, one.did()) == ("Failed", ["create", "start web", "TERM web", "remove"])
    assert one.reason == "its sandbox vanished: killed"


def test_what_succeeded_before_its_sandbox_vanished_does_not_run_again() -> None:
    one = stage(replace(WEB, restart="on-failure"), replace(WEB, name="more", restart="on-failure"))
    one.exit("web", 0)
    one.feed(events.Lost(0, "killed"))
    one.to(5.0)
    assert one.did().count("start web") == 1
    assert one.did().count("start more") == 2


def test_a_pod_whose_init_container_may_not_run_again_fails_with_its_sandbox() -> None:
    never = replace(INIT, restart="never")
    one = stage(never, replace(WEB, restart="never"))
    one.feed(events.Lost(0, "killed"))
    assert (one.phase, one.did()) == ("Failed", ["create", "start init", "TERM init", "remove"])


def test_a_back_off_goes_on_in_another_sandbox() -> None:
    one = stage()
    for _ in range(8):
        one.exit("web", 1)
        one.to(one.now_s + 30.0)
    one.exit("web", 1)  # 25.6 s
    one.feed(events.Lost(0, "killed"))
    one.to(one.now_s + 30.0)
    assert one.when("create")[-1] == pytest.approx(240.1)
    assert one.when("start web")[-1] == pytest.approx(265.6)


def test_an_active_deadline_fails_the_pod_and_ends_it_with_its_grace() -> None:
    pod = pods.Pod("p", (SIDE, WEB), deadline_s=60.0, grace_s=5.0)
    one = Stage(pod, "TERM web")
    one.to(66.0)
    assert one.when("TERM web") == [60.0]
    assert one.when("KILL web") == [65.0]
    assert (one.phase, one.reason) == ("Failed", "DeadlineExceeded: it ran longer than 1m")
    assert one.when("TERM side") == one.when("remove") == [65.0]


def test_an_active_deadline_counts_from_the_pod_and_not_from_its_containers() -> None:
    one = Stage(pods.Pod("p", (INIT, WEB), deadline_s=10.0))
    one.to(9.0)
    one.exit("init", 1)
    one.to(11.0)
    assert one.when("TERM init") == [10.0]
    assert one.phase == "Failed"


def test_a_pod_that_is_over_before_its_deadline_stays_so() -> None:
    one = Stage(pods.Pod("p", (replace(WEB, restart="never"),), deadline_s=10.0))
    one.to(9.0)
    one.exit("web", 0)
    one.to(20.0)
    assert one.phase == "Succeeded"
