"""Make the result of what was measured: a record to keep, lines to read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import NotRequired, TypedDict

from bench.http import figures
from bench.memcache import arena, cases

TITLE = "twemproxy"
METHOD = (
    "user and system time of the proxy's threads, from the scheduler, over commands; beside it "
    "that of proxy, shards and load together; proxy saturated by a closed loop of our own "
    "(load.c), all processes started afresh for every sample and warmed for a second; rounds "
    "interleaved, the order turned round every time; ratios within a round, then their median, "
    "least and greatest"
)


class Beside(TypedDict):
    """What one contestant took: CPU in microseconds a command, latency in milliseconds."""

    cpu_us: float
    together_us: float
    p50_ms: float
    p99_ms: float
    requests_per_s: float


class Row(TypedDict):
    """Our multiple of twemproxy's cost with its spread; the budget, where there is one."""

    what: str
    ratio: float
    low: float
    high: float
    budget: NotRequired[float]
    unit: str
    ours: NotRequired[Beside]
    peer: NotRequired[Beside]


class About(TypedDict):
    """What a number needs to mean anything."""

    machine: str
    commit: str
    build: str
    version: str
    peer: str
    command: str
    cores: str


class Result(About):
    """The whole, as `bench.http` keeps its own; `rows` have budgets, `beside` has none."""

    method: str
    rows: list[Row]
    beside: list[Row]
    discarded: list[str]


UNIT = f"× {TITLE}"


def result(about: About, outcomes: Sequence[arena.Outcome]) -> Result:
    """Return what is kept of a run."""
    rows = [row for outcome in outcomes for row in _rows(outcome)]
    return {
        **about,
        "method": METHOD,
        "rows": [row for row in rows if "budget" in row],
        "beside": [row for row in rows if "budget" not in row],
        "discarded": [f"{one.case.name}: {why}" for one in outcomes for why in one.discarded],
    }


def text(record: Result) -> str:
    """Return a record as it is kept."""
    return json.dumps(record, indent=1) + "\n"


def lines(outcomes: Sequence[arena.Outcome]) -> Iterator[str]:
    """Yield what a person wants to see at the end."""
    for outcome in outcomes:
        if not outcome.rounds:
            yield f"{outcome.case.what}: disturbed in every round"
            continue
        costs = {name: _beside(outcome.rounds, name) for name in outcome.rounds[0]}
        told = ", ".join(
            f"{name} {cost['cpu_us']:.2f} us ({cost['together_us']:.2f} together), "
            f"p50 {cost['p50_ms']:.2f} ms, {cost['requests_per_s']:.0f}/s"
            for name, cost in sorted(costs.items())
        )
        yield f"{outcome.case.what}: {told}{_verdict(outcome)}"


def _verdict(outcome: arena.Outcome) -> str:
    if figures.OURS not in outcome.rounds[0]:
        return ""
    proxy, together = _ratios(outcome.rounds)
    budget = outcome.case.budget
    limit = "" if budget is None else f" of {budget:.2f} allowed"
    return f"; {proxy.median:.2f}{limit}, together {together.median:.2f}"


def _rows(outcome: arena.Outcome) -> Iterator[Row]:
    """Yield the ratio of the proxies, and that of all that worked."""
    case, rounds = outcome.case, outcome.rounds
    if not rounds or figures.OURS not in rounds[0]:
        return
    proxy, together = _ratios(rounds)
    row = _ratio(f"{case.protocol}: {case.what}", proxy, case.budget)
    row["ours"] = _beside(rounds, figures.OURS)
    row["peer"] = _beside(rounds, cases.NUTCRACKER)
    yield row
    yield _ratio(f"{case.protocol}: {case.what}, whole machine", together, _machine_budget(case))


def _ratio(what: str, found: figures.Spread, budget: float | None) -> Row:
    low, median, high = (round(value, 3) for value in (found.low, found.median, found.high))
    row: Row = {"what": what, "ratio": median, "low": low, "high": high, "unit": UNIT}
    if budget is not None:
        row["budget"] = budget
    return row


def _machine_budget(case: cases.Case) -> float | None:
    is_plain = case.budget is not None and case.depth == 1 and case.keys_per_get == 1
    return cases.MACHINE_BUDGET if is_plain else None


def _ratios(rounds: Sequence[arena.Round]) -> tuple[figures.Spread, figures.Spread]:
    """Return our multiples of twemproxy's CPU a command: the proxy's, and that of all together."""
    samples = [{name: taken.sample for name, taken in one.items()} for one in rounds]
    pairs = [(one[figures.OURS], one[cases.NUTCRACKER]) for one in rounds]
    together = [our.together_us / their.together_us for our, their in pairs]
    return figures.ratios(samples, cases.NUTCRACKER), figures.spread(together)


def _beside(rounds: Sequence[arena.Round], name: str) -> Beside:
    def median(values: list[float]) -> float:
        return round(figures.spread(values).median, 3)

    taken = [one[name] for one in rounds]
    return {
        "cpu_us": median([one.sample.cpu_us for one in taken]),
        "together_us": median([one.together_us for one in taken]),
        "p50_ms": median([one.sample.p50_ms for one in taken]),
        "p99_ms": median([one.sample.p99_ms for one in taken]),
        "requests_per_s": median([one.sample.requests_per_s for one in taken]),
    }
