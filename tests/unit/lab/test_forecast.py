import pytest

from alongside.lab import forecast, popularity, replay

LAW = popularity.Zipf(objects=600, exponent=0.9)
TRACE = LAW.trace(seed=5, requests=8000)
SIZES = [400 + 13 * (number % 100) for number in range(600)]
SHARDS = [number * 7 % 3 for number in range(600)]


def test_where_everything_fits_the_replay_is_exact() -> None:
    found = forecast.of_shards(
        TRACE,
        shares=LAW.probabilities(),
        sizes=SIZES,
        shards=SHARDS,
        capacity_bytes=sum(SIZES),
    )
    assert found == forecast.Forecast(replay.unbounded(TRACE), is_exact=True)


def test_one_shard_that_overflows_makes_it_a_floor() -> None:
    found = forecast.of_shards(
        [0, 1, 0, 1], shares=[0.5, 0.5], sizes=[1, 1], shards=[0, 0], capacity_bytes=1
    )
    assert not found.is_exact


def test_a_floor_is_what_lru_shards_reach() -> None:
    capacity_bytes = 40_000
    found = forecast.of_shards(
        TRACE,
        shares=LAW.probabilities(),
        sizes=SIZES,
        shards=SHARDS,
        capacity_bytes=capacity_bytes,
    )
    hits = 0.0
    for shard in range(3):
        part = [number for number in TRACE if SHARDS[number] == shard]
        hits += replay.lru(part, sizes=SIZES, capacity_bytes=capacity_bytes) * len(part)
    assert not found.is_exact
    assert found.hit_ratio == pytest.approx(hits / len(TRACE), abs=0.015)


@pytest.mark.parametrize(
    ("is_exact", "measured", "finds"),
    [
        (True, 0.90, None),
        (True, 0.871, None),
        (True, 0.929, None),
        (True, 0.869, "more than 3% from 90.0%"),
        (True, 0.931, "more than 3% from 90.0%"),
        (False, 0.90, None),
        (False, 0.99, None),
        (False, 0.899, "below 90.0%"),
    ],
)
def test_judges_a_measured_ratio(*, is_exact: bool, measured: float, finds: str | None) -> None:
    found = forecast.problem(forecast.Forecast(0.90, is_exact=is_exact), measured)
    assert found is None if finds is None else finds in str(found)
