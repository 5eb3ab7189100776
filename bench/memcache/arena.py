"""Measure one case: everybody fresh, filled and warm, in turn, as often as rounds are wanted."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.http import figures, machine
from bench.memcache import cases, contestants, load

WARM_S = 1
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """How to measure; `names` take part, `is_strict` discards rounds that others disturb."""

    rounds: int
    seconds: int
    names: Sequence[str]
    cores: contestants.Cores
    folder: Path
    binary: Path
    load: Path
    is_strict: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Taken:
    """One sample, and what proxy, shards and load took together, in CPU seconds."""

    sample: figures.Sample
    together_s: float

    @property
    def together_us(self) -> float:
        """Return the CPU time that one command costs all of them, in microseconds."""
        return self.together_s / self.sample.requests * 1e6


Round = Mapping[str, Taken]


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a case gave: the rounds that count, and why others do not."""

    case: cases.Case
    rounds: list[Round]
    discarded: list[str]


def measure(case: cases.Case, plan: Plan, say: Say) -> Outcome:
    """Return what a case gave, after at most twice as many rounds as planned.

    Raises:
        load.LoadError: a command failed.
        servers.ServerError: somebody does not serve.
    """
    outcome = Outcome(case, [], [])
    while len(outcome.rounds) < plan.rounds:
        tried = len(outcome.rounds) + len(outcome.discarded)
        if tried >= 2 * plan.rounds:
            break
        one = {name: _take(name, case, plan) for name in figures.order(plan.names, tried)}
        reason = figures.disturbance({name: taken.sample for name, taken in one.items()})
        if reason and plan.is_strict:
            outcome.discarded.append(reason)
        else:
            outcome.rounds.append(one)
        told = ", ".join(
            f"{name} {taken.sample.cpu_us:.2f} us of {taken.together_us:.2f}"
            for name, taken in sorted(one.items())
        )
        say(f"{case.name}: {told}{f'  disturbed: {reason}' if reason else ''}")
    return outcome


def _take(name: str, case: cases.Case, plan: Plan) -> Taken:
    """Start somebody afresh, for an aged process costs more, and measure one run of the load."""
    sender = load.Load(plan.load, case, plan.cores.rest)
    with contestants.running(name, case, plan.cores, plan.folder, plan.binary) as fresh:
        sender.fill(fresh.port)
        sender.run(fresh.port, WARM_S)
        proxy, shards = machine.family(fresh.proxy), machine.family(fresh.shards)
        numbers = sorted(os.sched_getaffinity(0))
        began_s = time.monotonic()
        before = [machine.core(number) for number in numbers]
        proxy_s, shards_s = machine.cpu_s(proxy), machine.cpu_s(shards)
        report, load_s = sender.run(fresh.port, plan.seconds)
        proxy_s, shards_s = machine.cpu_s(proxy) - proxy_s, machine.cpu_s(shards) - shards_s
        after = [machine.core(number) for number in numbers]
        took_s = time.monotonic() - began_s
    together_s = proxy_s + shards_s + load_s
    idle_s = sum(b.idle_s - a.idle_s for a, b in zip(before, after, strict=True))
    stolen_s = sum(b.stolen_s - a.stolen_s for a, b in zip(before, after, strict=True))
    # Unpinned, nobody has a core of his own: each of the two shares is that of all cores.
    foreign = max(0.0, took_s * len(numbers) - idle_s - stolen_s - together_s) / len(numbers)
    sample = figures.Sample(
        requests=report.requests,
        seconds=report.seconds,
        cpu_s=proxy_s,
        p50_ms=report.p50_ms,
        p99_ms=report.p99_ms,
        foreign_s=(foreign, foreign),
        stolen_s=stolen_s,
    )
    return Taken(sample, together_s)
