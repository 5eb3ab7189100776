"""Make figures of samples: costs, ratios of one round, medians with their spread."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence

OURS = "alongside"

# What others may take before a sample is thrown away, as a share of the time of the servers' core,
# of the load's core, and of both where it is the hypervisor that takes. Either core spends up to
# a tenth in interrupts and switches, which belong to nobody; stolen time is in no process's
# CPU time, so that it lengthens a run more than it changes a cost.
FOREIGN_MAX = (0.12, 0.15)
STOLEN_MAX = 0.15


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One run of the load against one server.

    `cpu_s` is user and system time of the server's processes; `foreign_s` what processes that
    are no part of the measurement took of the two cores, each; `stolen_s` what the hypervisor
    took of both.
    """

    requests: int
    seconds: float
    cpu_s: float
    p50_ms: float
    p99_ms: float
    foreign_s: tuple[float, float]
    stolen_s: float

    @property
    def cpu_us(self) -> float:
        """Return the CPU time of one request in microseconds."""
        return self.cpu_s / self.requests * 1e6

    @property
    def requests_per_s(self) -> float:
        """Return the rate."""
        return self.requests / self.seconds


Round = Mapping[str, Sample]


@dataclasses.dataclass(frozen=True, slots=True)
class Spread:
    """A median between the least and the greatest of what was measured."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Return the median and the ends.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("no values, so no median")
    return Spread(statistics.median(values), min(values), max(values))


def ratios(rounds: Sequence[Round], peer: str) -> Spread:
    """Return our CPU a request as a multiple of a peer's, each ratio within one round.

    Machines drift from minute to minute; within a round both sides drift alike.
    """
    return spread([one[OURS].cpu_us / one[peer].cpu_us for one in rounds])


def disturbance(one: Round) -> str | None:
    """Return why a round proves nothing: who else was busy while it ran; None where nobody was."""
    places = ("the servers'", "the load's")
    for name, sample in one.items():
        for place, foreign_s, most in zip(places, sample.foreign_s, FOREIGN_MAX, strict=True):
            share = foreign_s / sample.seconds
            if share > most:
                return f"others took {share:.0%} of {place} core beside {name}"
        share = sample.stolen_s / sample.seconds / len(places)
        if share > STOLEN_MAX:
            return f"the hypervisor took {share:.0%} of both cores beside {name}"
    return None


def order(names: Sequence[str], attempt: int) -> list[str]:
    """Return who runs first: forwards in even rounds, backwards in odd ones (ABBA)."""
    return list(names) if attempt % 2 == 0 else list(reversed(names))
