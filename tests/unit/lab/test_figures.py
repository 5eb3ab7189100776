import pytest

from alongside.lab import figures, load


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([5.0], 50, 5.0),
        ([5.0], 0, 5.0),
        ([3.0, 1.0, 2.0], 50, 2.0),
        ([1.0, 2.0, 3.0, 4.0], 50, 2.0),
        ([float(n) for n in range(1, 101)], 99, 99.0),
        ([float(n) for n in range(1, 101)], 100, 100.0),
        ([float(n) for n in range(1, 1001)], 99, 990.0),
    ],
)
def test_percentile_is_the_nearest_rank(
    values: list[float], percent: float, expected: float
) -> None:
    assert figures.percentile(values, percent) == expected


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], -1), ([1.0], 101)])
def test_percentile_of_nothing_is_refused(values: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        figures.percentile(values, percent)


def record(
    number: int, status: str | None = None, failure: load.Failure | None = None
) -> load.Record:
    return load.Record(
        number=number,
        path="/",
        started_s=float(number),
        latency_s=0.5,
        status=200,
        body_bytes=1,
        cache_status=status,
        failure=failure,
    )


def test_sums_up_rates_failures_and_hits() -> None:
    summary = figures.summary(
        [
            record(0, "c; fwd=uri-miss"),
            record(1, "c; hit"),
            record(2, "c; fwd=uri-miss; collapsed"),
            record(3, None, load.Failure.RESET),
        ]
    )
    assert summary.requests == 4
    assert summary.seconds == pytest.approx(3.5)
    assert summary.requests_per_s == pytest.approx(4 / 3.5)
    assert summary.failures == {"reset": 1}
    assert summary.failed == 1
    assert summary.outcomes == {"hit": 1, "joined": 1, "missed": 1, "silent": 1}
    assert summary.joined == 1
    assert summary.hit_ratio == pytest.approx(0.5)


def test_sums_up_nothing() -> None:
    summary = figures.summary([])
    assert (summary.requests, summary.failed, summary.hit_ratio) == (0, 0, 0.0)
