import pytest
from hypothesis import given
from hypothesis import strategies as st

from alongside.lab import popularity, replay


@pytest.mark.parametrize(
    ("trace", "expected"),
    [([], 0.0), ([1], 0.0), ([1, 1, 1, 2], 0.5), ([3, 4, 3, 4, 3], 0.6)],
)
def test_an_unbounded_cache_misses_each_object_once(trace: list[int], expected: float) -> None:
    assert replay.unbounded(trace) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("trace", "capacity_bytes", "expected"),
    [
        ([], 10, 0.0),
        ([0, 0, 0], 0, 0.0),  # nothing fits
        ([0, 1, 0, 1], 3, 0.5),  # both fit: 1 + 2 bytes
        ([0, 1, 0, 1], 2, 0.0),  # each drives the other out
        ([2, 0, 2, 0], 3, 0.25),  # 4 bytes are larger than the cache, and drive nothing out
    ],
)
def test_lru_by_hand(trace: list[int], capacity_bytes: int, expected: float) -> None:
    found = replay.lru(trace, sizes=[1, 2, 4], capacity_bytes=capacity_bytes)
    assert found == pytest.approx(expected)


def lru_by_looking_back(trace: list[int], sizes: list[int], capacity_bytes: int) -> float:
    """Return LRU's hit ratio as a list in order of use, without any cleverness."""
    held: list[int] = []
    hits = 0
    for item in trace:
        hits += item in held
        if item in held or sizes[item] <= capacity_bytes:
            held = [other for other in held if other != item] + [item]
        while sum(sizes[other] for other in held) > capacity_bytes:
            held = held[1:]
    return hits / len(trace) if trace else 0.0


@given(
    trace=st.lists(st.integers(0, 7), max_size=60),
    sizes=st.lists(st.integers(1, 9), min_size=8, max_size=8),
    capacity_bytes=st.integers(0, 30),
)
def test_lru_is_what_looking_back_says(
    trace: list[int], sizes: list[int], capacity_bytes: int
) -> None:
    found = replay.lru(trace, sizes=sizes, capacity_bytes=capacity_bytes)
    assert found == pytest.approx(lru_by_looking_back(trace, sizes, capacity_bytes))


@given(trace=st.lists(st.integers(0, 7), max_size=60))
def test_lru_that_holds_everything_is_the_unbounded_cache(trace: list[int]) -> None:
    found = replay.lru(trace, sizes=[1] * 8, capacity_bytes=8)
    assert found == pytest.approx(replay.unbounded(trace))


@pytest.mark.parametrize("exponent", [0.6, 0.9, 1.1])
@pytest.mark.parametrize("capacity", [20, 100, 400])
@pytest.mark.parametrize("sizes", [[1000] * 1000, [500 + 997 * n % 1000 for n in range(1000)]])
def test_che_is_near_a_simulated_lru(exponent: float, capacity: int, sizes: list[int]) -> None:
    law = popularity.Zipf(objects=1000, exponent=exponent)
    trace = law.trace(seed=11, requests=12_000)
    exact = replay.lru(trace, sizes=sizes, capacity_bytes=capacity * 1000)
    guess = replay.che(
        law.probabilities(), sizes=sizes, capacity_bytes=capacity * 1000, requests=len(trace)
    )
    assert guess == pytest.approx(exact, abs=0.015)


def test_che_of_an_unbounded_cache_is_the_expected_share_of_repeats() -> None:
    law = popularity.Zipf(objects=300, exponent=0.9)
    guess = replay.che(law.probabilities(), sizes=[1] * 300, capacity_bytes=300, requests=2000)
    seen = [replay.unbounded(law.trace(seed=seed, requests=2000)) for seed in range(20)]
    assert guess == pytest.approx(sum(seen) / len(seen), abs=0.005)


def test_che_nears_its_steady_state_with_the_length_of_the_trace() -> None:
    shares = popularity.Zipf(objects=500, exponent=0.8).probabilities()
    guesses = [
        replay.che(shares, sizes=[1] * 500, capacity_bytes=50, requests=requests)
        for requests in (100, 1000, 100_000)
    ]
    steady = replay.che(shares, sizes=[1] * 500, capacity_bytes=50)
    assert guesses == sorted(guesses)
    assert guesses[-1] == pytest.approx(steady, abs=0.001)


@pytest.mark.parametrize(
    ("capacity_bytes", "expected"), [(0, 0.0), (9, 0.0), (10, 1.0), (10_000, 1.0)]
)
def test_che_of_one_object(capacity_bytes: int, expected: float) -> None:
    assert replay.che([1.0], sizes=[10], capacity_bytes=capacity_bytes) == expected
