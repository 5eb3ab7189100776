"""The steps between plans are few, and safe in their order."""

from __future__ import annotations

import pytest
from tests.unit.plan import fleet

from alongside.plan import shape, stepping


def words(old: shape.Plan, new: shape.Plan) -> list[str]:
    named = []
    for action in stepping.changes(old, new):
        match action:
            case stepping.Start(process, _):
                named.append(f"start {process.name}")
            case stepping.Configure(name, _):
                named.append(f"configure {name}")
            case stepping.Stop(name):
                named.append(f"stop {name}")
    return named


APP = fleet.app("app", port=8000)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (fleet.fleet({}), fleet.fleet({}), []),
        (fleet.fleet({"c": 2}, (APP,)), fleet.fleet({"c": 2}, (APP,)), []),
        (
            fleet.fleet({}),
            fleet.fleet({"c": 2}, (APP,)),
            ["start app", "start c-0", "start c-1", "start c-router"],
        ),
        (
            fleet.fleet({"c": 3}),
            fleet.fleet({"c": 4}),
            ["start c-3", "configure c-router"],
        ),
        (
            fleet.fleet({"c": 4}),
            fleet.fleet({"c": 3}),
            ["configure c-router", "stop c-3"],
        ),
        (
            fleet.fleet({"c": 1}, (APP,)),
            fleet.fleet({"c": 1}, (fleet.app("app", port=8000, version=1),)),
            ["stop app", "start app"],
        ),
        (
            fleet.fleet({"c": 2}, (APP,)),
            fleet.fleet({}),
            ["stop c-router", "stop c-1", "stop c-0", "stop app"],
        ),
        (
            fleet.fleet({"c": 1}, (APP,)),
            fleet.fleet({"c": 1}, (fleet.app("other", port=8000),)),
            ["stop app", "start other"],
        ),
        (
            fleet.fleet({"c": 1}),
            fleet.fleet({"c": 1}, port=9000),
            ["stop c-router", "start c-router"],
        ),
    ],
)
def test_takes_only_the_steps_needed(old: shape.Plan, new: shape.Plan, expected: list[str]) -> None:
    assert words(old, new) == expected


def test_a_router_waits_for_a_node_that_cannot_be_used_yet() -> None:
    plan = fleet.fleet({"c": 2})
    wanted = stepping._rendered(plan)
    observed = {
        "c-0": stepping.Seen(plan.processes[0], "ready", wanted["c-0"]),
        "c-1": stepping.Seen(plan.processes[1], "waiting", wanted["c-1"]),
    }
    assert stepping.step(plan, wanted, observed) == []
    assert stepping.waits(plan, wanted, observed) == ["c-router waits until c-1 can be used"]
