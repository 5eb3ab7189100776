"""What is told and kept of the costs of two proxies."""

from __future__ import annotations

import json

from bench.http import figures
from bench.memcache import arena, cases, report
from scripts import bench_table


def taken(cpu_s: float, together_s: float) -> arena.Taken:
    """Return a sample of 1000 commands in a second."""
    sample = figures.Sample(1000, 1.0, cpu_s, 0.5, 2.0, (0.0, 0.0), 0.0)
    return arena.Taken(sample, together_s)


def outcome(*pairs: tuple[float, float]) -> arena.Outcome:
    """Return rounds in which twemproxy took 10 ms and 20 ms with all the rest."""
    rounds: list[arena.Round] = [
        {figures.OURS: taken(ours, together), cases.NUTCRACKER: taken(0.010, 0.020)}
        for ours, together in pairs
    ]
    return arena.Outcome(cases.CASES[1], rounds, ["others were busy"])


ABOUT: report.About = {
    "machine": "2 cores",
    "commit": "abc",
    "build": "release",
    "version": "1",
    "peer": "twemproxy 0.5.0",
    "command": "python -m bench.memcache",
    "cores": "unpinned",
}


def test_ratios_are_those_within_a_round_of_the_proxy_and_of_all_together() -> None:
    kept = report.result(ABOUT, [outcome((0.005, 0.015), (0.006, 0.016), (0.009, 0.018))])
    proxy, together = kept["rows"]
    assert (proxy["what"], proxy["unit"]) == ("memcache: get, 50 connections", "× twemproxy")
    assert (proxy["ratio"], proxy["low"], proxy["high"], proxy["budget"]) == (0.6, 0.5, 0.9, 0.7)
    assert (proxy["ours"]["cpu_us"], proxy["peer"]["cpu_us"]) == (6.0, 10.0)
    assert together["what"] == "memcache: get, 50 connections, whole machine"
    assert (together["ratio"], together["low"], together["high"]) == (0.8, 0.75, 0.9)
    assert together["budget"] == 0.85
    assert (kept["beside"], kept["discarded"]) == ([], ["get-50: others were busy"])
    [line, whole] = [bench_table.row(row) for row in json.loads(report.text(kept))["rows"]]
    assert "0.60 × twemproxy | 0.50 to 0.90 | ≤ 0.70 | met | 6.0 / 10.0" in line
    assert whole.endswith("| - | - | - |")


def test_twemproxy_alone_has_costs_and_no_ratio() -> None:
    alone = arena.Outcome(cases.CASES[1], [{cases.NUTCRACKER: taken(0.010, 0.020)}], [])
    assert report.result(ABOUT, [alone])["rows"] == []
    [line] = report.lines([alone])
    assert line.startswith("get, 50 connections: nutcracker 10.00 us (20.00 together)")


def test_a_case_that_was_always_disturbed_says_so() -> None:
    [line] = report.lines([arena.Outcome(cases.CASES[0], [], ["a", "b"])])
    assert line == "get, 1 connection: disturbed in every round"
