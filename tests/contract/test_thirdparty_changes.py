"""What git-sync changed from v3 to v4, and from 4.3 to 4.4, is named as its users met it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from alongside.contract import promise, written
from alongside.contract.compare import waivers, whole

FOLDER = Path(__file__).parent / "thirdparty"


def git_sync(major: int) -> promise.Contract:
    name = f"git-sync-{major}.yaml"
    return written.from_text((FOLDER / name).read_text(), name)


V3, V4 = git_sync(3), git_sync(4)
FOUND = {(one.rule.id, one.where): one for one in whole.compare(V3, V4)}


@pytest.mark.parametrize(
    ("rule", "where", "old", "new"),
    [
        ("default-changed", "parameter depth", "default 0", "default 1"),
        ("default-changed", "parameter branch -> ref", "default master", "default HEAD"),
        ("default-changed", "parameter root", "default /tmp/git", "default /git"),
        ("default-changed", "parameter wait -> period", "default 1", "default 10s"),
        ("minimum-raised", "parameter wait -> period", "no minimum", "minimum 10ms"),
        ("parameter-renamed", "parameter wait -> period", "wait", "period"),
        ("parameter-renamed", "parameter timeout -> sync_timeout", "timeout", "sync_timeout"),
        ("parameter-renamed", "parameter rev -> ref", "rev", "ref"),
        ("parameter-renamed", "parameter dest -> link", "dest", "link"),
        ("deprecated", "flag --wait", "", "stays until 5.0, instead --period"),
        ("deprecated", "flag --timeout", "", "stays until 5.0, instead --sync-timeout"),
        ("flag-added", "flag --period", "", "sets period"),
        (
            "parameter-removed",
            "parameter change_permissions",
            "mode of everything in the checkout",
            "",
        ),
    ],
)
def test_names_what_v4_changed(rule: str, where: str, old: str, new: str) -> None:
    change = FOUND[(rule, where)]
    assert (change.old, change.new) == (old, new)


def test_names_nothing_else_as_breaking() -> None:
    breaking = {key for key, change in FOUND.items() if change.is_breaking}
    assert breaking == {
        ("default-changed", "parameter depth"),
        ("default-changed", "parameter branch -> ref"),
        ("default-changed", "parameter root"),
        ("default-changed", "parameter wait -> period"),
        ("minimum-raised", "parameter wait -> period"),
        ("parameter-removed", "parameter change_permissions"),
    }


def test_old_names_that_keep_their_unit_are_no_change_of_a_unit() -> None:
    assert all(change.rule.is_waivable for change in FOUND.values())


@pytest.mark.parametrize("name", ["period", "sync_timeout"])
def test_old_names_that_counted_something_else_could_never_be_waived(name: str) -> None:
    without_units = tuple(
        dataclasses.replace(
            one, aliases=tuple(dataclasses.replace(each, unit="") for each in one.aliases)
        )
        if one.name == name
        else one
        for one in V4.parameters
    )
    found = whole.compare(V3, dataclasses.replace(V4, parameters=without_units))
    never = [one for one in found if not one.rule.is_waivable]
    assert {one.rule.id for one in never} == {"bare-number-refused"}
    notes = [waivers.Waiver(one.rule.id, one.where, one.old, one.new, "sure") for one in found]
    assert not waivers.judge(found, notes).is_compatible


def test_the_order_of_variables_was_reversed_in_a_minor_version() -> None:
    flag, new, old, default = V4.precedence
    before = dataclasses.replace(V4, version="4.3.0", precedence=(flag, old, new, default))
    found = {one.rule.id for one in whole.compare(before, V4)}
    assert found == {"precedence-changed", "version-not-bumped"}
