"""A version says that something breaks: the major one, and below 1.0 the minor one."""

from __future__ import annotations

import dataclasses

import pytest
from tests.unit.contract.compare import snippets

from alongside.contract.compare import versions, whole

BEFORE = snippets.contract("parameters: {wait: {default: '1'}}")
AFTER = snippets.contract("parameters: {wait: {default: '2'}}")


def rules(old: str, new: str, *, breaks: bool) -> list[str]:
    before = dataclasses.replace(BEFORE, version=old)
    after = dataclasses.replace(AFTER if breaks else BEFORE, version=new)
    found = [change.rule for change in whole.compare(before, after)]
    return [rule.id for rule in found if rule in versions.RULES]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("1.2.3", "1.3.0", ["version-not-bumped"]),
        ("1.2.3", "1.2.3", ["version-not-bumped"]),
        ("1.2.3", "2.0.0", []),
        ("v1.2", "v2", []),
        ("1.2.3", "2.0.0-rc1", []),
        ("0.1.0", "0.1.1", ["version-not-bumped"]),
        ("0.1.0", "0.2.0", []),
        ("0.9.0", "1.0.0", []),
        ("2.0.0", "1.0.0", ["version-not-bumped", "version-went-back"]),
        ("", "2.0.0", ["version-unsaid"]),
        ("1.0.0", "latest", ["version-unsaid"]),
        ("1.0.0", "1.2.3.4", ["version-unsaid"]),
        ("1.0.0", "1" * 5000, ["version-unsaid"]),
    ],
)
def test_a_breaking_change_needs_a_higher_version(old: str, new: str, expected: list[str]) -> None:
    assert rules(old, new, breaks=True) == expected


def test_without_a_breaking_change_any_version_will_do() -> None:
    assert rules("1.2.3", "1.2.3", breaks=False) == []
    assert rules("1.2.3", "9.0", breaks=False) == []
    assert rules("", "", breaks=False) == []
    assert rules("1.2.3", "1.2.2", breaks=False) == ["version-went-back"]
