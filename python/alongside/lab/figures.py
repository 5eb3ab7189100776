"""Sum up what happened to requests.

In:    records of a load.
Out:   rates, percentiles, failures by kind, hits by what the caches said.
Not:   drawing; judging.
Next:  the demo's table and the bench's JSON.
"""

import collections
import dataclasses
import math
from collections.abc import Sequence

from alongside.lab import cachestatus, load


@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """A load in figures: times in seconds, `requests_per_s` over the time from first to last."""

    requests: int
    seconds: float
    requests_per_s: float
    latency_p50_s: float
    latency_p99_s: float
    failures: dict[str, int]
    outcomes: dict[str, int]

    @property
    def failed(self) -> int:
        """Return how many requests failed."""
        return sum(self.failures.values())

    @property
    def hit_ratio(self) -> float:
        """Return the share of requests that cost the origin nothing, by what the caches said.

        Those answered at once and those that joined another's request; 0 where there were none.
        """
        return (self._count(cachestatus.Outcome.HIT) + self.joined) / max(1, self.requests)

    @property
    def joined(self) -> int:
        """Return how many requests waited for another's request to the origin."""
        return self._count(cachestatus.Outcome.JOINED)

    def _count(self, outcome: cachestatus.Outcome) -> int:
        return self.outcomes.get(outcome.value, 0)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile: the least value that `percent` % do not exceed.

    Raises:
        ValueError: there is no value, or `percent` is not 0 to 100.
    """
    if not values or not 0.0 <= percent <= 100.0:
        raise ValueError(f"percentile {percent} of {len(values)} values; 0 to 100 of at least one")
    rank = math.ceil(percent / 100.0 * len(values))
    return sorted(values)[max(rank, 1) - 1]


def summary(records: Sequence[load.Record]) -> Summary:
    """Return the figures of a load; failed requests count in the rate and in the latencies."""
    if not records:
        return Summary(0, 0.0, 0.0, 0.0, 0.0, {}, {})
    first_s = min(record.started_s for record in records)
    last_s = max(record.started_s + record.latency_s for record in records)
    seconds = max(last_s - first_s, 1e-9)
    latencies = [record.latency_s for record in records]
    failures = collections.Counter(r.failure.value for r in records if r.failure is not None)
    outcomes = collections.Counter(cachestatus.outcome(r.cache_status).value for r in records)
    return Summary(
        requests=len(records),
        seconds=seconds,
        requests_per_s=len(records) / seconds,
        latency_p50_s=percentile(latencies, 50),
        latency_p99_s=percentile(latencies, 99),
        failures=dict(sorted(failures.items())),
        outcomes=dict(sorted(outcomes.items())),
    )
