"""The steps between plans are few, and safe in their order."""

from __future__ import annotations

import dataclasses

import pytest
from tests.unit.plan import fleet

from alongside.plan import shape, stepping


def words(old: shape.Plan, new: shape.Plan) -> list[str]:
    return [stepping.words(action) for action in stepping.changes(old, new)]


APP = fleet.app("app", port=8000)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (fleet.fleet({}), fleet.fleet({}), []),
        (fleet.fleet({"c": 2}, (APP,)), fleet.fleet({"c": 2}, (APP,)), []),
        (
            fleet.fleet({}),
            fleet.fleet({"c": 2}, (APP,)),
            ["start app", "start c-0-0", "start c-1-0", "start c-router-0"],
        ),
        (
            fleet.fleet({"c": 3}),
            fleet.fleet({"c": 4}),
            ["start c-3-0", "configure c-router-0"],
        ),
        (
            fleet.fleet({"c": 4}),
            fleet.fleet({"c": 3}),
            ["configure c-router-0", "stop c-3-0"],
        ),
        (
            fleet.fleet({"c": 1}, (APP,)),
            fleet.fleet({"c": 1}, (fleet.app("app", port=8000, version=1),)),
            ["stop app", "start app"],
        ),
        (
            fleet.fleet({"c": 2}, (APP,)),
            fleet.fleet({}),
            ["stop c-router-0", "stop c-1-0", "stop c-0-0", "stop app"],
        ),
        (
            fleet.fleet({"c": 1}, (APP,)),
            fleet.fleet({"c": 1}, (fleet.app("other", port=8000),)),
            ["stop app", "start other"],
        ),
        (
            fleet.fleet({"c": 1}),
            fleet.fleet({"c": 1}, port=9000),
            ["stop c-router-0", "start c-router-0"],
        ),
    ],
)
def test_takes_only_the_steps_needed(old: shape.Plan, new: shape.Plan, expected: list[str]) -> None:
    assert words(old, new) == expected


SMALL = fleet.fleet({"c": 1})


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            fleet.fleet({"c": 1}, replicas=1),
            fleet.fleet({"c": 1}, replicas=2),
            ["start c-0-1", "configure c-0-0", "configure c-router-0"],
        ),
        (
            fleet.fleet({"c": 1}, replicas=3),
            fleet.fleet({"c": 1}, replicas=1),
            ["configure c-0-0", "configure c-router-0", "stop c-0-2", "stop c-0-1"],
        ),
        (
            fleet.fleet({"c": 2}, replicas=2),
            fleet.fleet({"c": 1}, replicas=2),
            ["configure c-router-0", "stop c-1-1", "stop c-1-0"],
        ),
        (SMALL, fleet.fleet({"c": 1}, routers=2), ["start c-router-1"]),
        (fleet.fleet({"c": 1}, routers=2), SMALL, ["stop c-router-1"]),
        (
            fleet.fleet({"c": 1}, replicas=2, routers=2),
            fleet.fleet({}),
            ["stop c-router-1", "stop c-router-0", "stop c-0-1", "stop c-0-0"],
        ),
        (SMALL, fleet.of(fleet.cache("c", 1, key="request.path")), ["configure c-router-0"]),
    ],
)
def test_scales_live_and_in_a_safe_order(
    old: shape.Plan, new: shape.Plan, expected: list[str]
) -> None:
    assert words(old, new) == expected


def moved(app: shape.Process, *, port: int) -> shape.Plan:
    origin = shape.Origin(f"127.0.0.1:{port}", process=app.name)
    return fleet.of(fleet.cache("c", 1, origin=origin), apps=(app,))


OTHER = fleet.app("other", port=8001)


def test_a_new_origin_is_ready_before_it_takes_the_place_of_the_old_one() -> None:
    assert words(moved(APP, port=8000), moved(OTHER, port=8001)) == [
        "start other",
        "configure c-0-0",
        "configure c-router-0",
        "stop app",
    ]
    plan = moved(OTHER, port=8001)
    observed = stepping._ideal(moved(APP, port=8000))
    observed["other"] = stepping.Seen(OTHER, "starting")
    wanted = stepping._rendered(plan)
    assert stepping.step(plan, wanted, observed) == []
    assert stepping.waits(plan, wanted, observed) == [
        "c-0-0 waits until other can be used",
        "c-router-0 waits until other can be used",
    ]


def test_a_new_origin_that_needs_the_address_of_the_old_one_is_not_waited_for() -> None:
    both = shape.Process("both", "app", claims=("127.0.0.1:8000", "127.0.0.1:8001"))
    assert words(moved(APP, port=8000), moved(both, port=8001)) == [
        "configure c-0-0",
        "configure c-router-0",
        "stop app",
        "start both",
    ]


def test_an_old_origin_stays_for_what_was_begun() -> None:
    plan = moved(OTHER, port=8001)
    observed = stepping._ideal(plan)
    observed["app"] = stepping.Seen(APP, "ready")
    wanted = stepping._rendered(plan)
    node = observed["c-0-0"]
    observed["c-0-0"] = dataclasses.replace(node, finishing=frozenset({"app"}))
    assert stepping.step(plan, wanted, observed) == []
    observed["c-0-0"] = node
    assert stepping.step(plan, wanted, observed) == [stepping.Stop("app")]


def test_a_replica_that_is_down_does_not_hold_up_other_changes() -> None:
    old, new = fleet.fleet({"c": 1}, replicas=2), fleet.fleet({"c": 1}, replicas=3, routers=2)
    observed = stepping._ideal(old)
    observed["c-0-1"] = dataclasses.replace(observed["c-0-1"], state="waiting")
    observed["c-0-2"] = stepping.Seen(new.processes[2], "ready", stepping._rendered(new)["c-0-2"])
    found = stepping.step(new, stepping._rendered(new), observed)
    assert [stepping_name(one) for one in found] == ["c-router-1", "c-0-0", "c-0-1", "c-router-0"]


def stepping_name(action: stepping.Action) -> str:
    return action.process.name if isinstance(action, stepping.Start) else action.name


def test_a_router_waits_for_a_node_that_cannot_be_used_yet() -> None:
    plan = fleet.fleet({"c": 2})
    wanted = stepping._rendered(plan)
    observed = {
        "c-0-0": stepping.Seen(plan.processes[0], "ready", wanted["c-0-0"]),
        "c-1-0": stepping.Seen(plan.processes[1], "waiting", wanted["c-1-0"]),
    }
    assert stepping.step(plan, wanted, observed) == []
    assert stepping.waits(plan, wanted, observed) == ["c-router-0 waits until c-1-0 can be used"]
