import collections

import pytest

from alongside.lab import popularity


def test_shares_fall_by_the_exponent_and_sum_to_one() -> None:
    shares = popularity.Zipf(objects=100, exponent=0.9).probabilities()
    assert sum(shares) == pytest.approx(1.0)
    assert shares[0] / shares[9] == pytest.approx(10**0.9)


def test_exponent_zero_is_uniform() -> None:
    assert popularity.Zipf(objects=4, exponent=0.0).probabilities() == [0.25] * 4


def test_a_seed_names_a_trace() -> None:
    law = popularity.Zipf(objects=1000, exponent=1.1)
    assert law.trace(seed=7, requests=500) == law.trace(seed=7, requests=500)
    assert law.trace(seed=7, requests=500) != law.trace(seed=8, requests=500)
    assert law.trace(seed=7, requests=500)[:100] == law.trace(seed=7, requests=100)


def test_a_trace_is_the_same_on_every_machine() -> None:
    assert popularity.Zipf(objects=10, exponent=1.0).trace(seed=1, requests=12) == [
        0, 6, 4, 0, 1, 1, 3, 5, 0, 0, 5, 1,
    ]  # fmt: skip


def test_a_long_trace_follows_the_shares() -> None:
    law = popularity.Zipf(objects=50, exponent=0.8)
    counts = collections.Counter(law.trace(seed=3, requests=100_000))
    for number, share in enumerate(law.probabilities()):
        assert counts[number] / 100_000 == pytest.approx(share, abs=0.005)


@pytest.mark.parametrize(
    ("objects", "exponent"), [(0, 1.0), (-1, 1.0), (1, -0.1), (1, 11.0), (1, float("nan"))]
)
def test_refuses_a_law_that_is_none(objects: int, exponent: float) -> None:
    with pytest.raises(ValueError, match="objects start at 1"):
        popularity.Zipf(objects=objects, exponent=exponent)
