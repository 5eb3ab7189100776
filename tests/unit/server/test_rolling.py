"""Names mean processes, and groups say who may be away together."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from tests.unit.plan import fleet

from alongside.base import errors, fake_clock, log
from alongside.plan import pods, shape
from alongside.server import rolling, traffic

if TYPE_CHECKING:
    from alongside.engines.local import engine

PLAN = fleet.fleet({"photos": 2}, (fleet.app("app", port=8000),), replicas=2, routers=2)
NODES = ["photos-0-0", "photos-0-1", "photos-1-0", "photos-1-1"]
ROUTERS = ["photos-router-0", "photos-router-1"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], ["app", *NODES, *ROUTERS]),
        (["photos"], [*NODES, *ROUTERS]),
        (["photos-1-0", "app"], ["app", "photos-1-0"]),
    ],
)
def test_a_name_is_a_cache_or_a_process_and_none_is_everything(
    names: Sequence[str], expected: Sequence[str]
) -> None:
    assert rolling.chosen(PLAN, names) == expected


def test_a_workload_is_its_pods_and_a_job_is_run_again_only_where_it_is_named() -> None:
    def of(group: str, name: str) -> shape.Process:
        return shape.Process(name, "app", pod=pods.Pod(name, ()), group=group)

    plan = shape.Plan(
        (
            of("Deployment/web", "web-1-0"),
            of("Deployment/web", "web-1-1"),
            of("Job/once", "once-0"),
        ),
        jobs=(shape.Job("Job/once"),),
    )
    assert rolling.chosen(plan, []) == ["web-1-0", "web-1-1"]
    assert rolling.chosen(plan, ["web"]) == ["web-1-0", "web-1-1"]
    assert rolling.chosen(plan, ["once"]) == ["once-0"]


def test_a_name_means_all_that_have_it_but_a_job_only_where_nothing_else_does() -> None:
    def of(group: str, name: str) -> shape.Process:
        return shape.Process(name, "app", pod=pods.Pod(name, ()), group=group)

    plan = shape.Plan(
        (of("Deployment/web", "web-1-0"), of("", "web"), of("Job/web", "web-once")),
        jobs=(shape.Job("Job/web"),),
    )
    assert rolling.chosen(plan, ["web"]) == ["web-1-0", "web"]
    assert rolling.chosen(plan, ["Job/web"]) == ["web-once"]
    with pytest.raises(errors.UsageError, match="write web, Job/web, web-1-0, web-once"):
        rolling.chosen(plan, ["zzzzzz"])


def test_every_wrong_name_is_told_of() -> None:
    with pytest.raises(errors.UsageError) as caught:
        rolling.chosen(PLAN, ["photo", "zzz", "app"])
    assert [problem.partition("; ")[2] for problem in caught.value.problems] == [
        'did you mean "photos"?',
        f"write photos, app, {', '.join([*NODES, *ROUTERS])}",
    ]


def test_groups_are_shards_the_routers_of_a_cache_and_each_application() -> None:
    groups = list(rolling.groups(PLAN, ["photos-0-1", "app"]))
    assert [(one.name, one.role, one.members) for one in groups] == [
        ("app", "app", ("app",)),
        ("photos-0", "shard", ("photos-0-0", "photos-0-1")),
        ("photos-1", "shard", ("photos-1-0", "photos-1-1")),
        ("photos", "router", tuple(ROUTERS)),
    ]
    assert [sorted(one.asked) for one in groups] == [["app"], ["photos-0-1"], [], []]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 1.0),
        ('alongside_cache_warmth{cache="a"} 40\nalongside_cache_warmth{cache="b"} 90\n', 0.4),
        ("alongside_cache_warmth_other 3\n", 1.0),
        ('alongside_cache_warmth{cache="a"} x\n', 1.0),
    ],
)
def test_the_coldest_cache_of_a_process_says_how_warm_it_is(text: str, expected: float) -> None:
    assert traffic.warmth_ratio(text) == expected


class Nothing:
    """An engine in which nothing runs."""

    children: dict[str, SimpleNamespace] = {}  # noqa: RUF012 - never changed

    def outdated(self) -> list[str]:
        """Return what runs another version."""
        return ["photos-0-0"]


def test_one_goes_on_at_a_time_and_what_a_new_version_needs_comes_after() -> None:
    async def scenario() -> None:
        clock_ = fake_clock.FakeClock()
        made = rolling.Rolling(
            cast("engine.Engine", Nothing()), clock_, log.Log(clock_, stream=io.StringIO())
        )
        assert made.begin(PLAN, ["app"], "asked for") == 1
        with pytest.raises(errors.TemporaryError, match=r"on its way \(0 of 1 done\)"):
            made.begin(PLAN, ["app"], "asked for")
        assert made.begin_soon(PLAN, ["photos-0-0"], "new version") == 2
        await clock_.advance(1.0)
        before = made.status()
        assert before is not None
        assert (before["number"], before["reason"]) == (1, "waits until app runs")
        made.abandon("the project is being stopped")
        await clock_.advance(1.0)
        after = made.status()
        assert after is not None
        assert (after["number"], after["outcome"]) == (1, "failed")
        assert (outcome_of(made, 1)[0], made.restart(3)) == ("failed", None)
        never = made.restart(2)
        assert never is not None
        assert (never["outcome"], never["reason"]) == ("failed", "the project is being stopped")
        await made.close()

    asyncio.run(scenario())


def test_no_supervisor_gives_a_number_that_another_of_its_project_gave() -> None:
    async def scenario() -> None:
        clock_ = fake_clock.FakeClock()
        numbers: list[int] = []
        for epoch in (7, 8):
            log_ = log.Log(clock_, stream=io.StringIO())
            engine_ = cast("engine.Engine", Nothing())
            made = rolling.Rolling(engine_, clock_, log_, epoch=epoch)
            assert all(made.restart(number) is None for number in numbers)
            numbers.append(made.begin(PLAN, ["app"], "asked for"))
            assert made.restart(numbers[-1]) is not None
            await made.close()
        assert len(set(numbers)) == 2

    asyncio.run(scenario())


def test_one_that_is_done_is_told_of_after_the_next_began() -> None:
    async def scenario() -> None:
        clock_ = fake_clock.FakeClock()
        made = rolling.Rolling(
            cast("engine.Engine", Nothing()), clock_, log.Log(clock_, stream=io.StringIO())
        )
        first = made.begin(PLAN, ["app"], "asked for")
        second = made.begin_soon(PLAN, ["photos-0-0", "photos-0-1"], "new version")
        assert made.begin_soon(PLAN, ["photos-0-0"], "newer version") == second
        assert outcome_of(made, second) == ("waiting", "waits for the end of the restart before it")
        made.follow(fleet.fleet({"photos": 2}, (), replicas=2, routers=2))  # the first is done
        await clock_.advance(1.0)
        assert outcome_of(made, first) == ("done", "")
        assert outcome_of(made, second) == ("running", "waits until photos-0-0 runs")
        restart = made.restart(second)
        assert restart is not None
        assert (restart["unchanged"], restart["begun"]) == (["photos-0-0"], [])
        await made.close()
        assert outcome_of(made, second) == ("failed", "the supervisor ends")
        restart = made.restart(second)
        assert restart is not None
        assert restart["unchanged"] == [], "nothing goes on"

    asyncio.run(scenario())


def outcome_of(made: rolling.Rolling, number: int) -> tuple[str, str]:
    restart = made.restart(number)
    assert restart is not None
    assert restart["number"] == number
    return restart["outcome"], restart["reason"]


def test_only_the_last_ones_are_kept() -> None:
    async def scenario() -> None:
        clock_ = fake_clock.FakeClock()
        made = rolling.Rolling(
            cast("engine.Engine", Nothing()), clock_, log.Log(clock_, stream=io.StringIO())
        )
        for _ in range(rolling.ENDED_MAX + 2):
            last = made.begin(PLAN, ["app"], "asked for")
            made.abandon("because")
        assert (made.restart(1), outcome_of(made, last)) == (None, ("failed", "because"))
        assert outcome_of(made, 3) == ("failed", "because")
        await made.close()

    asyncio.run(scenario())


def test_an_abandoned_one_is_told_of_until_the_next(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock_ = fake_clock.FakeClock()
        made = rolling.Rolling(
            cast("engine.Engine", Nothing()), clock_, log.Log(clock_, stream=io.StringIO())
        )
        made.begin(PLAN, ["app"], "asked for")
        made.abandon("because")
        assert made.warnings() == ["the last restart stopped: because; app stayed as before"]
        made.begin(PLAN, ["app"], "asked for")
        assert made.warnings() == []
        await made.close()

    asyncio.run(scenario())
