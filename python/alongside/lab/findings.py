"""Judge what a sharded cache did for a service: the same traffic without it and with it.

In:    the figures of both loads, what a replay foretold, what each shard served.
Out:   every figure that is not as it must be, as sentences; all figures as JSON values.
Not:   measuring; drawing.
Next:  the demo draws them and ends with their verdict.
"""

import dataclasses

from alongside.lab import figures, forecast, trial

HITS_LOST_MAX = 0.03
"""By how much the hit ratio may fall where nobody should notice, 0 to 1."""

Json = dict[str, "Json"] | list["Json"] | str | int | float | None
"""A value that JSON can hold."""


@dataclasses.dataclass(frozen=True, slots=True)
class Phase:
    """One load in figures, and how many requests the service itself counted meanwhile."""

    load: figures.Summary
    origin_requests: int

    @property
    def spared_ratio(self) -> float:
        """Return the share of requests that the service never saw."""
        return 1.0 - self.origin_requests / self.load.requests if self.load.requests else 0.0

    def as_json(self) -> dict[str, Json]:
        """Return the figures; times in seconds, ratios 0 to 1."""
        return {
            "requests": self.load.requests,
            "seconds": self.load.seconds,
            "requests_per_s": self.load.requests_per_s,
            "latency_p50_s": self.load.latency_p50_s,
            "latency_p99_s": self.load.latency_p99_s,
            "failed": self.load.failed,
            "failures": dict(self.load.failures),
            "outcomes": dict(self.load.outcomes),
            "hit_ratio": self.load.hit_ratio,
            "origin_requests": self.origin_requests,
            "spared_ratio": self.spared_ratio,
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Shard:
    """One shard: keys and requests as placement gives them, the rest as its nodes tell together."""

    name: str
    keys: int
    requests: int
    served: int
    objects: int
    stored_bytes: int
    memory_bytes: int | None  # of the nodes' processes, where the system says
    replicas: int = 1  # nodes, each of which may hold any of the shard's keys


@dataclasses.dataclass(frozen=True, slots=True)
class Findings:
    """All that was measured; `strays` is what must not be, found on the way."""

    traffic: str
    distinct: int
    straight: Phase
    cached: Phase
    foretold: forecast.Forecast
    shards: list[Shard]
    strays: list[str]
    unnoticed: list[trial.Trial] = dataclasses.field(default_factory=list)
    """Acts that no client may notice."""
    alone: trial.Trial | None = None
    """A kill without a sibling, which costs hits but no request."""

    def problems(self) -> list[str]:
        """Return everything that is not as it must be, each as a sentence; empty is a success."""
        found = list(self.strays)
        for word, phase in (("without", self.straight), ("with", self.cached)):
            if not phase.load.requests:
                found.append(f"no request was sent {word} the cache")
            if phase.load.failed:
                kinds = ", ".join(f"{kind} {count}" for kind, count in phase.load.failures.items())
                found.append(f"{phase.load.failed} requests failed {word} the cache: {kinds}")
        for way, ratio in (
            ("by Cache-Status", self.cached.load.hit_ratio),
            ("by the service's own count", self.cached.spared_ratio),
        ):
            problem = forecast.problem(self.foretold, ratio)
            if problem is not None:
                found.append(f"{way}, {problem}")
        if self.foretold.is_exact:
            found += [
                f"{shard.name} holds {shard.objects} objects in {shard.replicas} nodes, "
                f"but placement gives it {shard.keys}"
                for shard in self.shards
                if not shard.keys <= shard.objects <= shard.keys * shard.replicas
            ]
        found += [
            f"{shard.name} served {shard.served} requests, but placement gives it {shard.requests}"
            for shard in self.shards
            if shard.served != shard.requests
        ]
        return found + self._noticed()

    def _noticed(self) -> list[str]:
        """Return what clients noticed and should not have."""
        acts = [*self.unnoticed, *([self.alone] if self.alone is not None else [])]
        found = [
            f"{act.failed} requests failed while {act.name}: {act.failures}"
            for act in acts
            if act.failed
        ]
        found += [f"no request was sent while {act.name}" for act in acts if not act.after.requests]
        return found + [
            f"the hit ratio fell by {act.hits_lost:.1%} while {act.name}"
            for act in self.unnoticed
            if act.hits_lost > HITS_LOST_MAX
        ]

    def as_json(self) -> dict[str, Json]:
        """Return the figures and the problems; sizes in bytes."""
        return {
            "traffic": self.traffic,
            "distinct": self.distinct,
            "without_cache": self.straight.as_json(),
            "with_cache": self.cached.as_json(),
            "foretold": {
                "hit_ratio": self.foretold.hit_ratio,
                "by": "replay" if self.foretold.is_exact else "lru",
            },
            "shards": [
                {
                    "name": shard.name,
                    "replicas": shard.replicas,
                    "keys": shard.keys,
                    "requests": shard.requests,
                    "served": shard.served,
                    "objects": shard.objects,
                    "stored_bytes": shard.stored_bytes,
                    "memory_bytes": shard.memory_bytes,
                }
                for shard in self.shards
            ],
            "trials": [
                {
                    "name": act.name,
                    "requests": act.requests,
                    "failed": act.failed,
                    "latency_s_max": act.latency_max_s,
                    "hit_ratio_before": act.before.hit_ratio,
                    "hit_ratio_after": act.after.hit_ratio,
                }
                for act in [*self.unnoticed, *([self.alone] if self.alone is not None else [])]
            ],
            "problems": [*self.problems()],
        }
