"""What is told and kept of the costs of two proxies."""

from __future__ import annotations

from bench.http import figures
from bench.memcache import arena, cases, report


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


def test_ratios_are_those_within_a_round_of_the_proxy_and_of_all_together() -> None:
    kept = report.record({}, [outcome((0.005, 0.015), (0.006, 0.016), (0.009, 0.018))])
    [row] = kept["rows"]
    assert row["proxy"] == {"ratio": 0.6, "low": 0.5, "high": 0.9, "budget": 0.7}
    assert row["together"] == {"ratio": 0.8, "low": 0.75, "high": 0.9, "budget": 0.85}
    assert kept["discarded"] == ["get-50: others were busy"]


def test_twemproxy_alone_has_costs_and_no_ratio() -> None:
    alone = arena.Outcome(cases.CASES[1], [{cases.NUTCRACKER: taken(0.010, 0.020)}], [])
    [row] = report.record({}, [alone])["rows"]
    assert "proxy" not in row
    [line] = report.lines([alone])
    assert line.startswith("get, 50 connections: nutcracker 10.00 us (20.00 together)")


def test_a_case_that_was_always_disturbed_says_so() -> None:
    [line] = report.lines([arena.Outcome(cases.CASES[0], [], ["a", "b"])])
    assert line == "get, 1 connection: disturbed in every round"
