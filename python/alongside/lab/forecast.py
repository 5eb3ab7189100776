"""Foretell the hit ratio of a sharded cache for a trace, and judge a measured one by it.

In:    the trace that was sent, each object's share, size and shard, the bytes of a shard.
Out:   a hit ratio, and whether it is exact or the least to expect.
Not:   looking at the cache.
Next:  the demo ends with 1 where the judgement finds something.
"""

import dataclasses
from collections.abc import Sequence

from alongside.lab import replay

TOLERANCE = 0.03  # of a hit ratio: concurrent requests arrive in another order than they are sent


@dataclasses.dataclass(frozen=True, slots=True)
class Forecast:
    """A hit ratio: of exactly this trace where everything fits, else what LRU would reach."""

    hit_ratio: float
    is_exact: bool


def of_shards(
    trace: Sequence[int],
    *,
    shares: Sequence[float],
    sizes: Sequence[int],
    shards: Sequence[int],
    capacity_bytes: int,
) -> Forecast:
    """Return what a cache of shards that start empty gives for a trace.

    Args:
        trace: object numbers in the order asked for.
        shares: the probability of each object, by number.
        sizes: bytes that holding each object takes, by number.
        shards: the shard of each object, by number, from 0.
        capacity_bytes: of each shard.

    Returns:
        Where every shard holds all its objects, 1 - distinct/requests; else the sum over the shards
        of Che's approximation of LRU.
    """
    members: dict[int, list[int]] = {}
    for number, shard in enumerate(shards):
        members.setdefault(shard, []).append(number)
    if all(sum(sizes[n] for n in numbers) <= capacity_bytes for numbers in members.values()):
        return Forecast(replay.unbounded(trace), is_exact=True)
    ratio = sum(
        replay.che(
            [shares[number] for number in numbers],
            sizes=[sizes[number] for number in numbers],
            capacity_bytes=capacity_bytes,
            requests=len(trace),
        )
        for numbers in members.values()
    )
    return Forecast(ratio, is_exact=False)


def problem(forecast: Forecast, measured: float) -> str | None:
    """Return how a measured hit ratio breaks a forecast, None where it does not."""
    if forecast.is_exact and abs(measured - forecast.hit_ratio) > TOLERANCE:
        return (
            f"hit ratio {measured:.1%} is more than {TOLERANCE:.0%} from"
            f" {forecast.hit_ratio:.1%}, which a replay of the trace gives"
        )
    if not forecast.is_exact and measured < forecast.hit_ratio:
        return f"hit ratio {measured:.1%} is below {forecast.hit_ratio:.1%}, which LRU would reach"
    return None
