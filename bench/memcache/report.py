"""Make the result of what was measured: a record to keep, lines to read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from bench.http import figures
from bench.memcache import arena, cases

METHOD = (
    "user and system time of the proxy's threads, from the scheduler, over commands; beside it "
    "that of proxy, memcacheds and load together; proxy saturated by a closed loop of our own "
    "(load.c), all processes started afresh for every sample and warmed for a second; rounds "
    "interleaved, the order turned round every time; ratios within a round, then their median, "
    "least and greatest"
)
Number = float | None
Beside = dict[str, float]
Row = dict[str, str | Number | Beside]
Record = dict[str, str | list[Row] | list[str]]


def record(about: dict[str, str], outcomes: Sequence[arena.Outcome]) -> Record:
    """Return what is kept of a run; `about` is what a number needs to mean anything."""
    rows = [_row(outcome) for outcome in outcomes if outcome.rounds]
    discarded = [f"{one.case.name}: {why}" for one in outcomes for why in one.discarded]
    return {**about, "method": METHOD, "rows": rows, "discarded": discarded}


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
    row: Row = {"name": case.name, "what": case.what}
    row |= {name: _beside(rounds, name) for name in rounds[0]}
    if figures.OURS in rounds[0]:
        proxy, together = _ratios(rounds)
        row |= {"ratio": round(proxy.median, 3), "low": round(proxy.low, 3)}
        row |= {"high": round(proxy.high, 3), "budget": case.budget}
        row |= {"together": round(together.median, 3), "together_budget": _machine_budget(case)}
    return row


def _machine_budget(case: cases.Case) -> Number:
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
