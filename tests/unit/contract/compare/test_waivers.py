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
- {rule: default-changed, where: parameter wait, was: default 1, now: default 2,
   note: twice is better}
- {rule: version-not-bumped, where: version, was: 1.0.0, now: 1.0.0, note: not released yet}
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


def test_another_value_at_the_same_place_is_not_accepted() -> None:
    judged = verdict(OLD % "s", (OLD % "s").replace("'1'", "'3'"), NOTED)
    assert not judged.is_compatible
    assert [one.now for one in judged.unused] == ["default 2"]


def test_another_version_is_not_accepted() -> None:
    changed = (OLD % "s").replace("'1'", "'2'")
    judged = verdict(OLD % "s", f"{{version: 1.0.1, {changed}}}", NOTED)
    assert [one.change.rule.id for one in judged.changes if one.breaks] == ["version-not-bumped"]
    assert [one.rule for one in judged.unused] == ["version-not-bumped"]


def test_what_was_not_there_was_nothing_and_blanks_do_not_count() -> None:
    row = "{rule: required-parameter-added, where: parameter wait, was: %s, now: waits  long, "
    row += "note: x}"
    new = "{version: 2.0.0, parameters: {wait: {required: true, description: waits long}}}"
    assert verdict("", new, f"{{waivers: 1, accepted: [{row % 'nothing'}]}}").is_compatible
    assert not verdict("", new, f"{{waivers: 1, accepted: [{row % 'else'}]}}").is_compatible


def test_what_is_shown_in_part_is_accepted_in_whole_alone() -> None:
    long = "x" * 500
    old, new = (f"exits: [{{code: 3, meaning: {long}{last}}}]" for last in "ab")
    row = "{rule: exit-meaning-changed, where: exit 3, was: %s, now: %s, note: words}"
    noted = NOTED.replace("accepted:\n", f"accepted:\n- {row}\n")
    whole_words = verdict(old, new, noted % (f"{long}a", f"{long}b"))
    assert [one.rule for one in whole_words.unused] == ["default-changed"]
    assert whole_words.is_compatible
    assert not verdict(old, new, noted % (f"{long[:400]}…", f"{long[:400]}…")).is_compatible


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
- {{rule: {rule}, where: {where}, was: a, now: b, note: we are sure}}
- {{rule: version-not-bumped, where: version, was: 1.0.0, now: 1.0.0, note: we are sure}}
"""
    before, after = (f"parameters: {{wait: {{{fields}}}}}" for fields in (old, new))
    judged = verdict(before, after, text)
    assert not judged.is_compatible
    assert [one.rule for one in judged.refused] == [rule]
    assert "can never be waived" in waivers.refusal(judged.refused[0])
    assert [one.change.rule.id for one in judged.changes if one.breaks] == [rule]


def test_a_waiver_of_a_unit_fails_even_where_no_unit_changed() -> None:
    row = "{rule: unit-changed, where: parameter wait, was: a, now: b, note: x}"
    text = f"{{waivers: 1, accepted: [{row}]}}"
    assert not verdict(OLD % "s", OLD % "s", text).is_compatible


def test_what_did_not_change_needs_no_waiver() -> None:
    judged = verdict(OLD % "s", OLD % "s", NOTED)
    assert judged.is_compatible
    assert [one.rule for one in judged.unused] == ["default-changed", "version-not-bumped"]


def test_every_mistake_is_told_at_once() -> None:
    text = """
waivers: 1
accepted:
- {rule: default-chnged, where: x, was: a, now: b, note: why}
- {rule: default-changed, where: x, was: a, now: b, note: '  '}
- {rule: default-changed, where: 7, was: a, note: why, until: tomorrow}
"""
    assert problems(text) == (
        'w.yaml: accepted[0]: rule: "default-chnged" is no rule; did you mean default-changed?',
        "w.yaml: accepted[1]: note: is missing; write it, say why it is accepted",
        "w.yaml: accepted[2]: where: is no text; write it in quotes",
        "w.yaml: accepted[2]: now: is missing; write it, as contract diff prints it",
        'w.yaml: accepted[2]: "until": is no field; leave it out',
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no waivers"),
        ("waivers: 2", "holds no waivers"),
        ("[]", "holds no waivers"),
        ("a: [", "is neither YAML nor JSON"),
        ("{waivers: 1, accepted: &a [*a]}", "anchor"),
        ("<<: {waivers: 1}", "merge"),
        ("{waivers: 1, acepted: []}", "no more"),
        ("{waivers: 1, accepted: [x]}", "rule, where, was, now and note"),
        ("waivers: 1 #" + "x" * waivers.BYTES_MAX, "longer than 256Ki"),
        (f"{{waivers: 1, accepted: [{','.join(['{}'] * 501)}]}}", "at most 500"),
        (
            "{waivers: 1, accepted: [{rule: unit-changed, where: x, note: " + "n" * 1001 + "}]}",
            "longer than 1000",
        ),
        (
            "{waivers: 1, accepted: [{rule: unit-changed, where: x, was: " + "n" * 16385 + "}]}",
            "longer than 16384",
        ),
        (NOTED + NOTED.split("accepted:\n")[1], "accepted twice"),
    ],
)
def test_what_is_no_file_of_waivers_is_refused(text: str, told: str) -> None:
    assert told in " ".join(problems(text))
