"""Figures of a measurement: medians, ratios within a round, what makes a round worthless."""

from __future__ import annotations

import pytest
from bench.http import figures


def sample(
    cpu_us: float, *, foreign: tuple[float, float] = (0.0, 0.0), stolen: float = 0.0
) -> figures.Sample:
    """Return a run of one second and a thousand requests."""
    return figures.Sample(
        requests=1000,
        seconds=1.0,
        cpu_s=cpu_us / 1000,
        p50_ms=1.0,
        p99_ms=2.0,
        foreign_s=foreign,
        stolen_s=stolen,
    )


def test_cost_is_cpu_time_over_requests() -> None:
    assert sample(12.5).cpu_us == pytest.approx(12.5)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3.0], figures.Spread(3.0, 3.0, 3.0)),
        ([3.0, 1.0, 2.0], figures.Spread(2.0, 1.0, 3.0)),
        ([4.0, 1.0, 2.0, 3.0], figures.Spread(2.5, 1.0, 4.0)),
    ],
)
def test_spread_is_the_median_between_the_ends(
    values: list[float], expected: figures.Spread
) -> None:
    assert figures.spread(values) == expected


def test_nothing_has_no_median() -> None:
    with pytest.raises(ValueError, match="no values"):
        figures.spread([])


def test_ratios_are_taken_within_a_round() -> None:
    # The machine is twice as slow in the second round; the ratio is not.
    rounds = [
        {"alongside": sample(8.0), "nginx": sample(10.0)},
        {"alongside": sample(16.0), "nginx": sample(20.0)},
        {"alongside": sample(9.0), "nginx": sample(10.0)},
    ]
    found = figures.ratios(rounds, "nginx")
    assert (found.median, found.low, found.high) == pytest.approx((0.8, 0.8, 0.9))


def test_a_quiet_round_counts() -> None:
    one = {"alongside": sample(8.0, foreign=(0.01, 0.02)), "nginx": sample(9.0)}
    assert figures.disturbance(one) is None


@pytest.mark.parametrize(
    ("busy", "said"),
    [
        (sample(8.0, foreign=(0.2, 0.0)), "others took 20% of the servers' core beside nginx"),
        (sample(8.0, foreign=(0.0, 0.3)), "others took 30% of the load's core beside nginx"),
        (sample(8.0, stolen=0.4), "the hypervisor took 20% of both cores beside nginx"),
    ],
)
def test_a_round_in_which_others_worked_does_not(busy: figures.Sample, said: str) -> None:
    assert figures.disturbance({"alongside": sample(8.0), "nginx": busy}) == said


def test_the_order_turns_round_every_time() -> None:
    turns = [figures.order(["a", "b", "c"], attempt) for attempt in range(3)]
    assert turns == [["a", "b", "c"], ["c", "b", "a"], ["a", "b", "c"]]
