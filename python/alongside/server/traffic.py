"""Read what the data plane counts out of its metrics, and turn two readings into rates."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REQUESTS = (
    "alongside_route_requests_total",
    "alongside_cache_requests_total",
    "alongside_ambassador_commands_total",
)
HITS = ("hit",)
WARMTH = "alongside_cache_warmth"
"""In percent, one sample a cache; a data plane that does not warm up has none."""
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Sight:
    """What a router says of its nodes, by name, and how often it had to help itself."""

    shares: Mapping[str, float] = field(default_factory=dict)
    """The part of its requests that each node gets, 0 to 1; 0 while it is left."""
    warmths: Mapping[str, float] = field(default_factory=dict)
    """How warm each node says it is, 0 to 1."""
    in_flight: Mapping[str, int] = field(default_factory=dict)
    """Requests that each node is answering for this router."""
    left: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """How often each node was left, by reason."""
    retries: Mapping[str, int] = field(default_factory=dict)
    """Requests tried again elsewhere, by how they were lost."""
    fallbacks: Mapping[str, int] = field(default_factory=dict)
    """Requests for which no replica could be used, by where they went."""
    resumed: int = 0
    """Answers that broke off and went on from elsewhere."""


@dataclass(frozen=True, slots=True)
class PoolSight:
    """What a router says of one pool: its servers, by name, its clients and their commands."""

    left: Mapping[str, str] = field(default_factory=dict)
    """Why each server that it does not use is not used: `down` or `ejected`."""
    in_flight: Mapping[str, int] = field(default_factory=dict)
    """Commands that wait for each server's answer."""
    clients: int = 0
    """Connections of clients that are open."""
    commands: float = 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters of one process at one moment (monotonic seconds)."""

    at_s: float
    requests: float
    hits: float | None
    epoch: int | None = None
    generation: int | None = None
    """Both of the document in force."""
    sight: Sight | None = None
    """None where the process is no router."""
    origin_requests: float = 0.0
    """Sent to the origin by a cache node."""
    pools: Mapping[str, PoolSight] = field(default_factory=dict)
    """By name; none where the process is no router of memcache or Redis."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests a second between two readings, and hits by requests since the start (0 to 1)."""

    requests_per_s: float
    hit_ratio: float | None
    pools: Mapping[str, float] = field(default_factory=dict)
    """Of those that are of one pool, by its name."""


def reading(text: str, *, at_s: float) -> Reading:
    """Return the counters in a Prometheus text; what is missing counts as nothing."""
    counts: dict[str, list[tuple[dict[str, str], float]]] = defaultdict(list)
    for family, labels, value in samples(text):
        counts[family].append((labels, value))
    requests = sum(value for family in REQUESTS for _, value in counts[family])
    asked = counts["alongside_cache_requests_total"]
    hits = sum(value for labels, value in asked if labels.get("outcome") in HITS)
    is_router = any(family.startswith("alongside_route_") for family in counts if counts[family])
    return Reading(
        at_s,
        requests,
        hits if asked else None,
        _only(counts["alongside_document_epoch"]),
        _only(counts["alongside_document_generation"]),
        _sight(counts) if is_router else None,
        sum(value for _, value in counts["alongside_cache_origin_requests_total"]),
        _pool_sights(counts),
    )


def samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Yield family, labels and value of each sample in a Prometheus text; what is none is left."""
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        if line.startswith("#") or not name:
            continue
        family, _, labels = name.partition("{")
        try:
            yield family, dict(_LABEL.findall(labels)), float(value)
        except ValueError:
            continue


def _only(found: list[tuple[dict[str, str], float]]) -> int | None:
    return int(found[0][1]) if found else None


def _sight(counts: Mapping[str, list[tuple[dict[str, str], float]]]) -> Sight:
    def by(label: str, family: str) -> dict[str, float]:
        found: dict[str, float] = {}
        for labels, value in counts.get(f"alongside_route_{family}", []):
            found[labels.get(label, "")] = found.get(labels.get(label, ""), 0.0) + value
        return found

    left: dict[str, Counter[str]] = defaultdict(Counter)
    for labels, value in counts.get("alongside_route_node_left_total", []):
        if value:
            left[labels.get("node", "")][labels.get("reason", "")] += int(value)
    return Sight(
        shares=by("node", "node_share_ratio"),
        warmths=by("node", "node_warmth_ratio"),
        in_flight=_whole(by("node", "node_in_flight")),
        left={node: dict(reasons) for node, reasons in left.items()},
        retries=_happened(by("reason", "retries_total")),
        fallbacks=_happened(by("to", "fallbacks_total")),
        resumed=int(sum(by("route", "resumed_total").values())),
    )


def _pool_sights(
    counts: Mapping[str, list[tuple[dict[str, str], float]]],
) -> dict[str, PoolSight]:
    names = [labels.get("pool", "") for labels, _ in counts["alongside_ambassador_commands_total"]]

    def of(pool: str, family: str) -> list[tuple[dict[str, str], float]]:
        found = counts.get(f"alongside_ambassador_{family}", [])
        return [(labels, value) for labels, value in found if labels.get("pool") == pool]

    def total(pool: str, family: str) -> float:
        return sum(value for _, value in of(pool, family))

    return {
        pool: PoolSight(
            left={
                labels.get("server", ""): labels.get("standing", "")
                for labels, value in of(pool, "server_left")
                if value
            },
            in_flight={
                labels.get("server", ""): int(value) for labels, value in of(pool, "unanswered_now")
            },
            clients=int(total(pool, "open_clients")),
            commands=total(pool, "commands_total"),
        )
        for pool in names
    }


def _whole(found: Mapping[str, float]) -> dict[str, int]:
    return {name: int(value) for name, value in found.items()}


def _happened(found: Mapping[str, float]) -> dict[str, int]:
    """Return what was counted; a router names also what never happened."""
    return {name: count for name, count in _whole(found).items() if count}


def rate(before: Reading | None, after: Reading) -> Rate:
    """Return the rate between two readings; a restart in between counts from zero."""
    ratio = None
    if after.hits is not None and after.requests:
        ratio = after.hits / after.requests
    if before is None or after.at_s <= before.at_s:
        return Rate(0.0, ratio, dict.fromkeys(after.pools, 0.0))
    passed_s, none = after.at_s - before.at_s, PoolSight()
    pools = {
        name: max(0.0, one.commands - before.pools.get(name, none).commands) / passed_s
        for name, one in after.pools.items()
    }
    return Rate(max(0.0, after.requests - before.requests) / passed_s, ratio, pools)


def warmth_ratio(text: str) -> float:
    """Return how warm a process is, 0 to 1, by the coldest of its caches; one that has none is."""
    found = [value / 100 for family, _, value in samples(text) if family == WARMTH]
    return min(found, default=1.0)
