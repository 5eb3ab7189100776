"""The table of rules is whole: each has its mirror or says why not, and tells what to do."""

from __future__ import annotations

import re

import pytest

from alongside.contract.compare import changes, whole

RULES = list(whole.RULES.values())
UNITS = {
    "unit-changed",
    "described-unit-changed",
    "unit-changed-by-rename",
    "bare-number-refused",
    "unit-refused",
    "field-unit-changed",
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_has_its_mirror_or_says_why_not(rule: changes.Rule) -> None:
    assert bool(rule.mirrors) != bool(rule.no_mirror)
    for mirror in rule.mirrors:
        assert rule.id in whole.RULES[mirror].mirrors


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_says_what_it_does_and_what_to_do(rule: changes.Rule) -> None:
    assert re.fullmatch(r"[a-z]+(?:-[a-z]+)*", rule.id)
    assert bool(rule.instead) == (rule.severity is not changes.Severity.INFO)
    for text in (rule.says, rule.instead):
        assert text == text.strip().rstrip(".")
        assert text[:1] == text[:1].lower()


def test_no_rule_stands_twice() -> None:
    assert len(RULES) == sum(len(rules) for rules in whole.SUBJECTS.values())


def test_a_unit_and_nothing_else_can_never_be_waived() -> None:
    assert {rule.id for rule in RULES if not rule.is_waivable} == UNITS
