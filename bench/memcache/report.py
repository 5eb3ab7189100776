"""Make the result of what was measured: a record to keep, lines to read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import NotRequired, TypedDict

from bench.http import figures
from bench.memcache import arena, cases

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


class Ratio(TypedDict):
    """Our multiple of twemproxy's cost with its spread, and what is allowed, None for any."""

    ratio: float
    low: float
    high: float
    budget: float | None


class Row(TypedDict):
    """One case; the ratios of the proxy and of all together where both were measured."""

    name: str
    what: str
    costs: dict[str, Beside]
    proxy: NotRequired[Ratio]
    together: NotRequired[Ratio]


class Record(TypedDict):
    """The whole; `about` is what a number needs to mean anything."""

    about: dict[str, str]
    method: str
    rows: list[Row]
    discarded: list[str]


def record(about: dict[str, str], outcomes: Sequence[arena.Outcome]) -> Record:
    """Return what is kept of a run."""
    return {
        "about": about,
        "method": METHOD,
        "rows": [_row(outcome) for outcome in outcomes if outcome.rounds],
        "discarded": [f"{one.case.name}: {why}" for one in outcomes for why in one.discarded],
    }


def text(result: Record) -> str:
    """Return a record as it is kept."""
    return json.dumps(result, indent=1) + "\n"


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


def _row(outcome: arena.Outcome) -> Row:
    case, rounds = outcome.case, outcome.rounds
    costs = {name: _beside(rounds, name) for name in rounds[0]}
    row: Row = {"name": case.name, "what": case.what, "costs": costs}
    if figures.OURS in rounds[0]:
        proxy, together = _ratios(rounds)
        row["proxy"] = _ratio(proxy, case.budget)
        row["together"] = _ratio(together, _machine_budget(case))
    return row


def _ratio(found: figures.Spread, budget: float | None) -> Ratio:
    low, median, high = (round(value, 3) for value in (found.low, found.median, found.high))
    return {"ratio": median, "low": low, "high": high, "budget": budget}


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
