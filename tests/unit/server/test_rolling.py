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


def test_one_goes_on_at_a_time_and_what_a_new_version_needs_comes_after() -> None:
    async def scenario() -> None:
        clock_ = fake_clock.FakeClock()
        made = rolling.Rolling(
            cast("engine.Engine", Nothing()), clock_, log.Log(clock_, stream=io.StringIO())
        )
        made.begin(PLAN, ["app"], "asked for")
        with pytest.raises(errors.TemporaryError, match=r"on its way \(0 of 1 done\)"):
            made.begin(PLAN, ["app"], "asked for")
        made.begin_soon(PLAN, ["photos-0-0"], "new version")
        await clock_.advance(1.0)
        before = made.status()
        assert before is not None
        assert (before["number"], before["reason"]) == (1, "waits until app runs")
        made.abandon("the project is being stopped")
        await clock_.advance(1.0)
        after = made.status()
        assert after is not None
        assert (after["number"], after["outcome"]) == (1, "failed")
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
