"""Read requests and hits out of the data plane's metrics, and turn two readings into rates."""

from __future__ import annotations

from dataclasses import dataclass

REQUESTS = "alongside_{role}_requests_total"
HITS = ("hit",)


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters of one process at one moment (monotonic seconds)."""

    at_s: float
    requests: float
    hits: float | None


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests a second between two readings, and hits by requests since the start (0 to 1)."""

    requests_per_s: float
    hit_ratio: float | None


def reading(text: str, *, at_s: float) -> Reading:
    """Return the counters in a Prometheus text; what is missing counts as nothing."""
    requests = hits = 0.0
    is_cache = False
    for line in text.splitlines():
        if line.startswith("#") or "_requests_total" not in line:
            continue
        name, _, value = line.rpartition(" ")
        family = name.partition("{")[0]
        if family not in {REQUESTS.format(role=role) for role in ("route", "cache")}:
            continue
        is_cache = is_cache or family == REQUESTS.format(role="cache")
        try:
            count = float(value)
        except ValueError:
            continue
        requests += count
        hits += count if any(f'="{hit}"' in name for hit in HITS) else 0.0
    return Reading(at_s, requests, hits if is_cache else None)


def rate(before: Reading | None, after: Reading) -> Rate:
    """Return the rate between two readings; a restart in between counts from zero."""
    ratio = None
    if after.hits is not None and after.requests:
        ratio = after.hits / after.requests
    if before is None or after.at_s <= before.at_s:
        return Rate(0.0, ratio)
    count = after.requests - before.requests
    return Rate(max(0.0, count) / (after.at_s - before.at_s), ratio)
