"""A breaking change is accepted with a note; a unit never is; mistakes are told all at once."""

from __future__ import annotations

import pytest
from tests.unit.contract.compare import snippets

from alongside.base import errors
from alongside.contract.compare import waivers, whole

OLD = "parameters: {wait: {unit: %s, default: '1'}}"
NOTED = """
waivers: 1
accepted:
- {rule: default-changed, where: parameter wait, note: twice is better}
- {rule: version-not-bumped, where: version, note: not released yet}
"""


def verdict(old: str, new: str, text: str) -> waivers.Verdict:
    found = whole.compare(snippets.contract(old), snippets.contract(new))
    return waivers.judge(found, waivers.read(text, "w.yaml"))


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(errors.UsageError) as caught:
        waivers.read(text, "w.yaml")
    return caught.value.problems


def test_a_note_accepts_a_breaking_change() -> None:
    new = (OLD % "s").replace("'1'", "'2'")
    judged = verdict(OLD % "s", new, NOTED)
    assert judged.is_compatible
    assert [one.note for one in judged.changes] == ["twice is better", "not released yet"]
    assert not verdict(OLD % "s", new, "waivers: 1").is_compatible


def test_another_place_is_not_accepted_with_it() -> None:
    new = (OLD % "s").replace("'1'", "'2'")
    judged = verdict(OLD % "s", new, NOTED.replace("parameter wait", "parameter pause"))
    assert not judged.is_compatible
    assert [one.where for one in judged.unused] == ["parameter pause"]


@pytest.mark.parametrize(
    ("old", "new", "rule", "where"),
    [
        ("unit: s", "unit: ms", "unit-changed", "parameter wait"),
        ("type: number, unit: s", "type: duration", "bare-number-refused", "parameter wait"),
        ("type: duration", "type: number, unit: s", "unit-refused", "parameter wait"),
    ],
)
def test_a_change_of_a_unit_is_never_accepted(old: str, new: str, rule: str, where: str) -> None:
    text = f"""
waivers: 1
accepted:
- {{rule: {rule}, where: {where}, note: we are sure}}
- {{rule: version-not-bumped, where: version, note: we are sure}}
"""
    before, after = (f"parameters: {{wait: {{{fields}}}}}" for fields in (old, new))
    judged = verdict(before, after, text)
    assert not judged.is_compatible
    assert [one.rule for one in judged.refused] == [rule]
    assert "can never be waived" in waivers.refusal(judged.refused[0])
    assert [one.change.rule.id for one in judged.changes if one.breaks] == [rule]


def test_a_waiver_of_a_unit_fails_even_where_no_unit_changed() -> None:
    text = "{waivers: 1, accepted: [{rule: unit-changed, where: parameter wait, note: x}]}"
    assert not verdict(OLD % "s", OLD % "s", text).is_compatible


def test_what_did_not_change_needs_no_waiver() -> None:
    judged = verdict(OLD % "s", OLD % "s", NOTED)
    assert judged.is_compatible
    assert [one.rule for one in judged.unused] == ["default-changed", "version-not-bumped"]


def test_every_mistake_is_told_at_once() -> None:
    text = """
waivers: 1
accepted:
- {rule: default-chnged, where: x, note: why}
- {rule: default-changed, where: x, note: '  '}
- {rule: default-changed, where: 7, note: why, until: tomorrow}
"""
    assert problems(text) == (
        'w.yaml: accepted[0]: rule: "default-chnged" is no rule; did you mean default-changed?',
        "w.yaml: accepted[1]: note: is missing; write it, say why it is accepted",
        "w.yaml: accepted[2]: where: is missing; write it, as contract diff prints it",
        'w.yaml: accepted[2]: "until": is no field; leave it out',
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no waivers"),
        ("waivers: 2", "holds no waivers"),
        ("[]", "holds no waivers"),
        ("a: [", "is no YAML"),
        ("{waivers: 1, acepted: []}", "no more"),
        ("{waivers: 1, accepted: [x]}", "rule, where and note"),
        ("waivers: 1 #" + "x" * waivers.BYTES_MAX, "longer than 256Ki"),
        (f"{{waivers: 1, accepted: [{','.join(['{}'] * 501)}]}}", "at most 500"),
        (
            "{waivers: 1, accepted: [{rule: unit-changed, where: x, note: " + "n" * 1001 + "}]}",
            "longer than 1000",
        ),
        (NOTED + NOTED.split("accepted:\n")[1], "accepted twice"),
    ],
)
def test_what_is_no_file_of_waivers_is_refused(text: str, told: str) -> None:
    assert told in " ".join(problems(text))
