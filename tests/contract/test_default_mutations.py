"""A default that can be changed without any test failing is promised by nobody."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from alongside.contract import catalogue

ROOT = Path(__file__).resolve().parents[2]
WHERE = ["tests/unit/components", "tests/unit/cli"]
"""Where defaults are meant to be held: not the pages and baselines, which notice every letter."""
FAILED = 1


def defaults() -> list[str]:
    """Return every default of ours, as `cache.memory`."""
    contracts = [catalogue.contract_of(name) for name in catalogue.NAMES]
    return [
        f"{contract.component}.{parameter.name}"
        for contract in contracts
        for parameter in contract.parameters
        if parameter.default is not None
    ]


@pytest.mark.soak
@pytest.mark.timeout(330)
def test_without_a_change_nothing_fails() -> None:
    """Else a test that fails anyway would seem to hold every default."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", *WHERE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2000:]


def run(default: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "tests.mutation", *WHERE],
        cwd=ROOT,
        env={**os.environ, "MUTATE_DEFAULT": default},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_default_that_is_not_there_cannot_be_changed() -> None:
    assert run("cache.no_such_thing").returncode not in {0, FAILED}


@pytest.mark.soak
@pytest.mark.timeout(330)
@pytest.mark.parametrize("default", defaults())
def test_another_default_makes_a_test_fail(default: str) -> None:
    ran = run(default)
    assert ran.returncode == FAILED, f"{default} may be anything: {ran.stdout[-2000:]}"
