"""Our own contracts break nobody since they were accepted, unless somebody said why."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from scripts import contract_baseline as baseline

from alongside.base import release
from alongside.contract import catalogue, promise

REMEDY = (
    "keep what was promised; or accept it with a note in schema/contracts/{0}.waivers.yaml: "
    "alongside contract diff schema/contracts/{0}.json {0}"
)
NOTED = """
waivers: 1
accepted:
- {rule: parameter-removed, where: parameter threads, was: worker threads, now: nothing,
   note: one is always enough}
- {rule: version-not-bumped, where: version, was: VERSION, now: VERSION, note: not released yet}
""".replace("VERSION", release.version())


def old(component: str) -> promise.Contract:
    contract = baseline.accepted(component)
    assert contract is not None, "run scripts/contract_baseline.py --accept"
    return contract


def without(contract: promise.Contract, name: str) -> promise.Contract:
    kept = tuple(one for one in contract.parameters if one.name != name)
    return dataclasses.replace(contract, parameters=kept)


@pytest.mark.parametrize("component", catalogue.NAMES)
def test_nothing_that_was_promised_breaks(component: str) -> None:
    before, after = old(component), baseline.now(component)
    found = baseline.verdict(before, after)
    told = "\n".join(baseline.told(before, after, found))
    assert found.is_compatible, f"{told}\n{REMEDY.format(component)}"
    assert found.unused == ()


def test_every_accepted_contract_is_of_a_component() -> None:
    names = {path.name.partition(".")[0] for path in baseline.FOLDER.iterdir()}
    assert names == set(catalogue.NAMES)


def test_a_parameter_that_is_gone_is_refused(tmp_path: Path) -> None:
    before = old("cache")
    after = without(before, "threads")
    assert not baseline.verdict(before, after, tmp_path).is_compatible
    baseline.waivers_of("cache", tmp_path).write_text(NOTED)
    assert baseline.verdict(before, after, tmp_path).is_compatible


def test_a_waiver_that_outlived_its_change_is_told(tmp_path: Path) -> None:
    baseline.waivers_of("cache", tmp_path).write_text(NOTED)
    found = baseline.verdict(old("cache"), old("cache"), tmp_path)
    assert [one.rule for one in found.unused] == ["parameter-removed", "version-not-bumped"]
