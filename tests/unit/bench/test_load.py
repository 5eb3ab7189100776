"""What a run of the load says, and what is sent."""

from __future__ import annotations

import pytest
from bench.http import load

LINE = '{"requests": 120, "failed": %d, "seconds": 3.01, "p50_ms": 1.5, "p99_ms": 4.25}\n'


def test_figures_stand_in_the_last_line() -> None:
    said = "Running 3s test\n  1 threads and 64 connections\n" + LINE % 0
    assert load.reported(said) == load.Figures(120, 3.01, 1.5, 4.25)


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (LINE % 7, "7 of 120 requests failed"),
        ("unable to connect\n", "unable to connect"),
        ("", "no figures"),
    ],
)
def test_a_failed_request_ends_the_measurement(said: str, complaint: str) -> None:
    with pytest.raises(load.LoadError, match=complaint):
        load.reported(said)


def test_targets_are_many_and_the_same_in_every_run() -> None:
    found = load.targets()
    assert found == load.targets()
    assert len(set(found)) == load.KEYS >= 200
