"""The pods of a workload take turns: when they start, and which goes next."""

from __future__ import annotations

import dataclasses

import pytest

from alongside.plan import shape, stepping

ORDERED = shape.Workload("StatefulSet/db", "ordered")


def ordered(count: int, *, version: int = 0) -> shape.Plan:
    pods = tuple(
        shape.Process(
            f"db-{at}",
            "app",
            argv=(str(version),),
            after=(f"db-{at - 1}",) if at else (),
            group=ORDERED.name,
        )
        for at in range(count)
    )
    return shape.Plan(pods, workloads=(ORDERED,))


def web(
    count: int,
    version: str,
    *,
    way: shape.Way = "rolling",
    surge: int = 1,
    port: int | None = None,
) -> shape.Plan:
    pods = tuple(
        shape.Process(
            f"web-{version}-{at}",
            "app",
            claims=(f"127.0.0.1:{port}",) if port is not None else (),
            group="Deployment/web",
        )
        for at in range(count)
    )
    return shape.Plan(pods, workloads=(shape.Workload("Deployment/web", way, surge),))


def words(actions: list[stepping.Action]) -> list[str]:
    assert not any(isinstance(action, stepping.Configure) for action in actions)
    return [stepping.words(action) for action in actions]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (shape.Plan(), ordered(3), ["start db-0", "start db-1", "start db-2"]),
        (ordered(3), ordered(1), ["stop db-2", "stop db-1"]),
        (ordered(3), shape.Plan(), ["stop db-2", "stop db-1", "stop db-0"]),
        (
            ordered(2),
            ordered(2, version=1),
            ["stop db-1", "start db-1", "stop db-0", "start db-0"],
        ),
        (
            web(2, "a"),
            web(2, "b"),
            ["start web-b-0", "stop web-a-1", "start web-b-1", "stop web-a-0"],
        ),
        (web(1, "a", port=80), web(1, "b", port=80), ["stop web-a-0", "start web-b-0"]),
        (
            web(2, "a", way="recreate"),
            web(2, "b", way="recreate"),
            ["stop web-a-0", "stop web-a-1", "start web-b-0", "start web-b-1"],
        ),
        (web(3, "a"), web(1, "a"), ["stop web-a-2", "stop web-a-1"]),
        (web(2, "a"), web(0, "a"), ["stop web-a-1", "stop web-a-0"]),
    ],
)
def test_pods_of_a_workload_go_and_come_in_their_turns(
    old: shape.Plan, new: shape.Plan, expected: list[str]
) -> None:
    assert words(stepping.changes(old, new)) == expected


def test_the_next_pod_of_a_stateful_set_waits_for_the_one_before() -> None:
    plan = ordered(2)
    observed = {"db-0": stepping.Seen(plan.processes[0], "starting")}
    assert stepping.step(plan, {}, observed) == []
    assert stepping.waits(plan, {}, observed) == ["db-1 waits until db-0 can be used"]
    observed["db-0"] = stepping.Seen(plan.processes[0], "ready")
    assert words(stepping.step(plan, {}, observed)) == ["start db-1"]


def test_a_job_that_ended_well_is_as_good_as_ready() -> None:
    first = shape.Process("migrate", "app", restart="on-failure", group="Job/migrate")
    second = shape.Process("web", "app", after=("migrate",))
    plan = shape.Plan((first, second))
    failed = stepping.Seen(first, "ended")
    assert stepping.step(plan, {}, {"migrate": failed}) == []
    done = dataclasses.replace(failed, has_succeeded=True)
    assert words(stepping.step(plan, {}, {"migrate": done})) == ["start web"]


def test_a_stateful_set_goes_on_only_when_its_new_pod_is_ready() -> None:
    old, new = ordered(3), ordered(3, version=1)
    observed = stepping._ideal(old)
    observed["db-2"] = stepping.Seen(new.processes[2], "starting")
    assert stepping.step(new, {}, observed) == []
    observed["db-2"] = stepping.Seen(new.processes[2], "ready")
    assert words(stepping.step(new, {}, observed)) == ["stop db-1"]


def test_a_pod_that_cannot_start_behind_a_broken_one_does_not_hold_that_up() -> None:
    broken, mended = ordered(2), ordered(2, version=1)
    observed = {"db-0": stepping.Seen(broken.processes[0], "waiting")}
    assert words(stepping.step(mended, {}, observed)) == ["stop db-0"]


def test_a_deployment_that_is_not_ready_keeps_its_old_pods() -> None:
    old, new = web(2, "a"), web(2, "b")
    observed = stepping._ideal(old)
    observed["web-b-0"] = stepping.Seen(new.processes[0], "waiting")
    assert stepping.step(new, {}, observed) == []


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (("starting", "starting", "starting"), ["stop web-a-2", "stop web-a-1"]),
        (("waiting", "unready", "waiting"), ["stop web-a-2", "stop web-a-1"]),
        (("ready", "unready", "ready"), ["stop web-a-1", "stop web-a-2"]),
        # Those that are ready stand in for one that stays and is not.
        (("starting", "unready", "ready"), ["stop web-a-1"]),
        (("starting", "ready", "ready"), ["stop web-a-2"]),
    ],
)
def test_a_smaller_deployment_ends_first_and_at_once_what_is_not_ready(
    states: tuple[stepping.State, ...], expected: list[str]
) -> None:
    old, new = web(3, "a"), web(1, "a")
    pairs = zip(old.processes, states, strict=True)
    observed = {process.name: stepping.Seen(process, state) for process, state in pairs}
    assert words(stepping.step(new, {}, observed)) == expected


def test_pods_that_serve_nobody_make_room_first() -> None:
    old, new = web(2, "a"), web(2, "b")
    observed = stepping._ideal(old)
    observed["web-a-0"] = dataclasses.replace(observed["web-a-0"], state="waiting")
    assert words(stepping.step(new, {}, observed)) == ["start web-b-0", "stop web-a-0"]
