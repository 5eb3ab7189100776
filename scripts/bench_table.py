"""Write the README's table of costs from what `make bench` measured.

In:    bench/results/*.json, each {"machine": str, "commit": str, "peer": str, "command": str,
       "rows": [{"what": str, "ratio": float, "low": float, "high": float, "budget": float,
       "unit": str, "ours": {"cpu_us", "p50_ms", "p99_ms"}, "peer": the same}, …]}; `low` and
       `high` are the spread over the rounds, `unit` what a ratio is of, such as "× nginx"; what
       the ratio is made of may be left out.
Out:   the table between the README's bench marks; a missed budget is said to be missed.
Not:   measuring.
Next:  `python scripts/bench_table.py --write`; without it the region is printed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NotRequired, TypedDict

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
START, END = "<!-- bench -->\n", "<!-- /bench -->"
NOTHING = "Not measured yet on this tree: run `make bench`.\n"


class Beside(TypedDict):
    """What one side took: CPU in microseconds a request, latency in milliseconds."""

    cpu_us: float
    p50_ms: float
    p99_ms: float


class Measured(TypedDict):
    """One row: a ratio with its spread, and the budget it is held against."""

    what: str
    ratio: float
    low: float
    high: float
    budget: float
    unit: str
    ours: NotRequired[Beside]
    peer: NotRequired[Beside]


class Result(TypedDict):
    """What one bench wrote."""

    machine: str
    commit: str
    peer: str
    command: str
    rows: list[Measured]


def row(measured: Measured) -> str:
    """Return a row of the table."""
    verdict = "met" if measured["ratio"] <= measured["budget"] else "**missed**"
    spread = f"{measured['low']:.2f} to {measured['high']:.2f}"
    cells = (
        measured["what"],
        f"{measured['ratio']:.2f} {measured['unit']}",
        spread,
        f"≤ {measured['budget']:.2f}",
        verdict,
        *sides(measured),
    )
    return f"| {' | '.join(cells)} |"


def sides(measured: Measured) -> tuple[str, str, str]:
    """Return CPU, median and 99th percentile of both sides, ours first; dashes where unknown."""
    if "ours" not in measured or "peer" not in measured:
        return "-", "-", "-"
    ours, peer = measured["ours"], measured["peer"]
    return (
        f"{ours['cpu_us']:.1f} / {peer['cpu_us']:.1f}",
        f"{ours['p50_ms']:.2f} / {peer['p50_ms']:.2f}",
        f"{ours['p99_ms']:.2f} / {peer['p99_ms']:.2f}",
    )


def region(results: list[Result]) -> str:
    """Return the text between the marks."""
    if not results:
        return NOTHING
    lines = [
        "| what | CPU a request | spread | budget | | µs, ours / theirs | p50 ms | p99 ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [row(measured) for result in results for measured in result["rows"]]
    lines.append("")
    lines += [
        f"`{result['command']}` at {result['commit']}, against {result['peer']}, "
        f"on {result['machine']}."
        for result in results
    ]
    return "\n".join(lines) + "\n"


def render(page: str, results: list[Result]) -> str:
    """Return the page with the region made anew."""
    before, _, rest = page.partition(START)
    return before + START + region(results) + END + rest.partition(END)[2]


def read() -> list[Result]:
    """Return what was measured, in the order of file names."""
    files = sorted((ROOT / "bench" / "results").glob("*.json"))
    return [json.loads(file.read_text()) for file in files]


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        README.write_text(render(README.read_text(), read()))
    else:
        sys.stdout.write(region(read()))
