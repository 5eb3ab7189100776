import dataclasses
import json

import pytest

from alongside.lab import figures, findings, forecast

REPLAY = forecast.Forecast(0.95, is_exact=True)


def phase(
    *, requests: int = 1000, hits: int = 950, origin: int = 50, failures: int = 0
) -> findings.Phase:
    """Return a phase in which everything is well unless said otherwise."""
    summary = figures.Summary(
        requests=requests,
        seconds=2.0,
        requests_per_s=requests / 2.0,
        latency_p50_s=0.001,
        latency_p99_s=0.01,
        failures={"reset": failures} if failures else {},
        outcomes={"hit": hits, "missed": requests - hits},
    )
    return findings.Phase(summary, origin)


SHARD = findings.Shard(
    name="photos-0",
    keys=30,
    requests=600,
    served=600,
    objects=30,
    stored_bytes=1 << 20,
    memory_bytes=None,
)
WELL = findings.Findings(
    traffic="50 objects",
    distinct=50,
    straight=phase(hits=0, origin=1000),
    cached=phase(),
    foretold=REPLAY,
    shards=[SHARD],
    strays=[],
)


def test_nothing_is_wrong_where_all_is_as_foretold() -> None:
    assert WELL.problems() == []


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            dataclasses.replace(WELL, straight=phase(failures=2)),
            "2 requests failed without the cache: reset 2",
        ),
        (
            dataclasses.replace(WELL, cached=phase(failures=1)),
            "1 requests failed with the cache: reset 1",
        ),
        (
            dataclasses.replace(WELL, straight=phase(requests=0, hits=0, origin=0)),
            "no request was sent without the cache",
        ),
        (
            dataclasses.replace(WELL, cached=phase(hits=900)),
            "by Cache-Status, hit ratio 90.0% is more than 3% from 95.0%",
        ),
        (
            dataclasses.replace(WELL, cached=phase(origin=100)),
            "by the service's own count, hit ratio 90.0% is more than 3% from 95.0%",
        ),
        (
            dataclasses.replace(WELL, shards=[dataclasses.replace(SHARD, served=599)]),
            "photos-0 served 599 requests, but placement gives it 600",
        ),
        (
            dataclasses.replace(WELL, shards=[dataclasses.replace(SHARD, objects=29)]),
            "photos-0 holds 29 objects in 1 nodes, but placement gives it 30",
        ),
        (dataclasses.replace(WELL, strays=["two paths got one body"]), "two paths got one body"),
    ],
)
def test_names_what_is_wrong(wrong: findings.Findings, sentence: str) -> None:
    problems = wrong.problems()
    assert len(problems) == 1
    assert problems[0].startswith(sentence)


def test_a_cache_too_small_may_hold_less() -> None:
    small = dataclasses.replace(
        WELL,
        foretold=forecast.Forecast(0.90, is_exact=False),
        shards=[dataclasses.replace(SHARD, objects=20)],
    )
    assert small.problems() == []


def test_writes_every_figure_as_json() -> None:
    written = json.loads(json.dumps(WELL.as_json()))
    assert written["with_cache"]["hit_ratio"] == pytest.approx(0.95)
    assert written["with_cache"]["spared_ratio"] == pytest.approx(0.95)
    assert written["without_cache"]["requests_per_s"] == pytest.approx(500)
    assert written["foretold"] == {"hit_ratio": 0.95, "by": "replay"}
    assert written["shards"][0]["keys"] == 30
    assert written["problems"] == []
