"""Make the result of what was measured: a record to keep, lines to read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import NotRequired, TypedDict

from bench.http import arena, cases, figures, load

METHOD = (
    "user and system time of the server's processes, from the scheduler, over requests; servers "
    "pinned to one core, origin (nginx, from memory) and load (wrk) to another; one worker each; "
    "contestants of a round run one after the other, the order turned round every time (ABBA); "
    "ratios within a round, then their median, least and greatest; rounds discarded where others "
    f"took more than {figures.FOREIGN_MAX[0]:.0%} of the servers' core; ours with guard, metrics, "
    "health and both doors on, every limit as shipped; nginx with sendfile and tcp_nopush as "
    "Debian ships it, without logs, as many requests on a connection as ours; the tuned one keeps "
    "cached files open and reads them (open_file_cache, sendfile off); caches hold every target "
    "before the first run; latency as wrk reports it in a closed loop, medians over the rounds"
)


class Beside(TypedDict):
    """What one contestant took: CPU in microseconds a request, latency in milliseconds."""

    cpu_us: float
    p50_ms: float
    p99_ms: float
    requests_per_s: float


class Row(TypedDict):
    """A ratio of ours to a peer with its spread; held against a budget where there is one."""

    what: str
    ratio: float
    low: float
    high: float
    budget: NotRequired[float]
    unit: str
    ours: Beside
    peer: Beside


class Taken(TypedDict):
    """One sample; `others` and `stolen` as shares of a core's time, the first for each core."""

    requests: int
    seconds: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    others: list[float]
    stolen: float


class Measured(TypedDict):
    """One case: its rounds by contestant, in the order of time; and what was discarded."""

    name: str
    connections: int
    body_bytes: int
    targets: int
    rounds: list[dict[str, Taken]]
    discarded: list[str]


class Result(TypedDict):
    """The whole; `rows` have budgets, `beside` has none."""

    machine: str
    commit: str
    build: str
    version: str
    peer: str
    versions: dict[str, str]
    command: str
    method: str
    rows: list[Row]
    beside: list[Row]
    cases: list[Measured]


@dataclasses.dataclass(frozen=True, slots=True)
class About:
    """What a number needs to mean anything."""

    machine: str
    commit: str
    version: str
    command: str
    peers: dict[str, str]
    rounds: int
    seconds: int


def result(about: About, outcomes: Sequence[arena.Outcome]) -> Result:
    """Return the record of a run."""
    rows = [row for outcome in outcomes for row in _rows(outcome)]
    names = [name for name in about.peers if name != figures.OURS]
    return {
        "machine": about.machine,
        "commit": about.commit,
        "build": "release",
        "version": about.version,
        "peer": ", ".join(f"{name} {about.peers[name]}" for name in names if name != "wrk"),
        "versions": about.peers,
        "command": about.command,
        "method": METHOD,
        "rows": [row for row in rows if "budget" in row],
        "beside": [row for row in rows if "budget" not in row],
        "cases": [_measured(outcome) for outcome in outcomes],
    }


def text(record: Result) -> str:
    """Return a record as it is kept."""
    return json.dumps(record, indent=1) + "\n"


def lines(record: Result) -> Iterator[str]:
    """Yield what a person wants to see at the end."""
    for row in [*record["rows"], *record["beside"]]:
        budget = row.get("budget")
        verdict = ""
        if budget is not None:
            verdict = f"  budget {budget:.2f} {'met' if row['ratio'] <= budget else 'MISSED'}"
        yield (
            f"{row['what']}: {row['ratio']:.3f} ({row['low']:.3f} to {row['high']:.3f}) "
            f"{row['unit']}{verdict}; {row['ours']['cpu_us']:.2f} and "
            f"{row['peer']['cpu_us']:.2f} us; p50 {row['ours']['p50_ms']:.2f} and "
            f"{row['peer']['p50_ms']:.2f} ms, p99 {row['ours']['p99_ms']:.2f} and "
            f"{row['peer']['p99_ms']:.2f} ms"
        )
    discarded = [reason for case in record["cases"] for reason in case["discarded"]]
    yield f"{len(discarded)} rounds discarded{': ' if discarded else ''}{'; '.join(discarded)}"


def _rows(outcome: arena.Outcome) -> Iterator[Row]:
    case = outcome.case
    for name in outcome.rounds[0]:
        if name == figures.OURS:
            continue
        found = figures.ratios(outcome.rounds, name)
        row: Row = {
            "what": case.what,
            "ratio": round(found.median, 3),
            "low": round(found.low, 3),
            "high": round(found.high, 3),
            "unit": f"× {TITLES.get(name, name)}",
            "ours": _beside(outcome.rounds, figures.OURS),
            "peer": _beside(outcome.rounds, name),
        }
        if name in case.budgets:
            row["budget"] = case.budgets[name]
        yield row


TITLES = {
    cases.NGINX: "nginx",
    cases.TUNED: "nginx, tuned",
    cases.VARNISH: "Varnish",
    cases.PROTOTYPE: "prototype",
}


def _beside(rounds: Sequence[figures.Round], name: str) -> Beside:
    samples = [one[name] for one in rounds]
    return {
        "cpu_us": round(figures.spread([one.cpu_us for one in samples]).median, 2),
        "p50_ms": round(figures.spread([one.p50_ms for one in samples]).median, 3),
        "p99_ms": round(figures.spread([one.p99_ms for one in samples]).median, 3),
        "requests_per_s": round(figures.spread([one.requests_per_s for one in samples]).median),
    }


def _measured(outcome: arena.Outcome) -> Measured:
    case = outcome.case
    return {
        "name": case.name,
        "connections": case.connections,
        "body_bytes": case.body_bytes,
        "targets": load.KEYS,
        "rounds": [{name: _taken(one) for name, one in each.items()} for each in outcome.rounds],
        "discarded": outcome.discarded,
    }


def _taken(sample: figures.Sample) -> Taken:
    return {
        "requests": sample.requests,
        "seconds": round(sample.seconds, 3),
        "cpu_us": round(sample.cpu_us, 3),
        "p50_ms": sample.p50_ms,
        "p99_ms": sample.p99_ms,
        "others": [round(one / sample.seconds, 3) for one in sample.foreign_s],
        "stolen": round(sample.stolen_s / sample.seconds, 3),
    }
