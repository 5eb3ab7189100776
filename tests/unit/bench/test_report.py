"""The record of a run: rows with a budget for the README, the others beside."""

from __future__ import annotations

from bench.http import arena, cases, figures, report

ABOUT = report.About(
    machine="2 cores of something",
    commit="abc",
    version="0.1.0",
    command="python -m bench.http",
    peers={"alongside": "0.1.0", "nginx": "1.22.1", "wrk": "4.1.0"},
    rounds=2,
    seconds=3,
)


def sample(cpu_us: float) -> figures.Sample:
    """Return a run of a thousand requests."""
    return figures.Sample(1000, 1.0, cpu_us / 1000, 1.0, 2.0, (0.0, 0.0), 0.0)


def record(*costs: tuple[float, float, float]) -> report.Result:
    """Return the record of rounds, each the cost of ours, nginx and the prototype."""
    names = (figures.OURS, cases.NGINX, cases.PROTOTYPE)
    rounds: list[figures.Round] = [
        dict(zip(names, map(sample, each), strict=True)) for each in costs
    ]
    case = cases.Case("routing", "routing", {cases.NGINX: 0.85}, cases.routers)
    return report.result(ABOUT, [arena.Outcome(case, rounds, ["others took 9%"])])


def test_a_row_holds_ratio_spread_and_budget() -> None:
    row = record((8.0, 10.0, 7.0), (9.0, 10.0, 7.0))["rows"][0]
    assert (row["ratio"], row["low"], row["high"]) == (0.85, 0.8, 0.9)
    assert (row["budget"], row["unit"]) == (0.85, "× nginx")
    assert (row["ours"]["cpu_us"], row["peer"]["cpu_us"]) == (8.5, 10.0)


def test_a_peer_without_a_budget_stands_beside() -> None:
    found = record((8.0, 10.0, 4.0))
    assert [row["unit"] for row in found["rows"]] == ["× nginx"]
    assert [(row["unit"], row["ratio"]) for row in found["beside"]] == [("× prototype", 2.0)]


def test_what_was_discarded_is_said() -> None:
    found = record((8.0, 10.0, 7.0))
    assert found["cases"][0]["discarded"] == ["others took 9%"]
    assert list(report.lines(found))[-1] == "1 rounds discarded: others took 9%"


def test_a_missed_budget_is_named() -> None:
    assert any("MISSED" in line for line in report.lines(record((9.0, 10.0, 7.0))))
    assert not any("MISSED" in line for line in report.lines(record((8.0, 10.0, 7.0))))
