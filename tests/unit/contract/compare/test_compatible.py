"""What breaks nobody is not said to: new things, wider things, other notations, kept names."""

from __future__ import annotations

import pytest
from tests.unit.contract.compare import snippets

from alongside.contract.compare import changes, whole


def goes(old: str, new: str) -> tuple[str, str]:
    """Return a parameter `wait` with some fields, before and after."""
    return f"parameters: {{wait: {{{old}}}}}", f"parameters: {{wait: {{{new}}}}}"


ROUTE = "routes: [{door: web, method: GET, path: /x%s}]"
FILE = "files: [{path: /data, access: writes%s}]"
METRIC = "metrics: [{name: a_total, type: counter, labels: [%s]}]"
PORT = "ports: [{name: web, parameter: '', protocol: HTTP, description: %s}]"
DURATION = "type: duration"
GOES = "deprecated: {since: '1.0', until: '2.0'}"
CASES: dict[str, tuple[tuple[str, str], str]] = {
    # Notation is no change at all.
    "a_default_in_another_unit": (
        goes("type: size, default: 64Ki", "type: size, default: 65536B"),
        "",
    ),
    "a_default_of_sixty_seconds_becomes_a_minute": (
        goes(f"{DURATION}, default: 60s", f"{DURATION}, default: 1m"),
        "",
    ),
    "bounds_in_another_unit": (
        goes(
            f"{DURATION}, minimum: 1s, maximum: 24h", f"{DURATION}, minimum: 1000ms, maximum: 1440m"
        ),
        "",
    ),
    "a_unit_in_other_words": (goes("unit: seconds", "unit: s"), ""),
    "a_bound_that_the_type_implies": (
        goes("type: port", "type: port, minimum: '1', maximum: '65535'"),
        "",
    ),
    "a_number_with_zeros_behind": (
        goes("type: number, default: '1.50'", "type: number, default: '1.5'"),
        "",
    ),
    "a_url_with_its_usual_port": (
        goes("type: url, default: 'http://a'", "type: url, default: 'http://a:80'"),
        "",
    ),
    "repeated_defaults_set_apart_otherwise": (
        goes(
            "type: text, repeated: true, default: 'a b'",
            "type: text, repeated: true, default: 'a,b'",
        ),
        "",
    ),
    "a_boolean_says_that_it_is_off": (
        goes("type: boolean", "type: boolean, default: 'false'"),
        "",
    ),
    "choices_in_another_order": (
        goes("type: choice, choices: [a, b]", "type: choice, choices: [b, a]"),
        "",
    ),
    # Words for people.
    "a_description_an_example_and_a_group": (
        goes("description: old", "description: new, example: '2', group: Other, since: '1.0'"),
        "",
    ),
    "a_summary_and_examples": (("summary: a", "{summary: b, examples: [sync]}"), ""),
    "a_meaning_with_other_blanks_and_capitals": (
        (
            "exits: [{code: 3, meaning: 'an address is taken'}]",
            "exits: [{code: 3, meaning: 'An address  is taken.'}]",
        ),
        "",
    ),
    "parameters_in_another_order": (
        ("parameters: {a: {}, b: {}}", "parameters: {b: {}, a: {}}"),
        "",
    ),
    "the_description_of_a_metric_and_a_port": (
        (PORT % "old", PORT % "new"),
        "",
    ),
    "a_question_is_answered": (("questions: [what is it]", ""), ""),
    "a_description_names_the_same_unit_in_other_words": (
        goes("description: seconds between looks", "description: 'between two looks, in s'"),
        "",
    ),
    "a_description_beside_a_unit": (
        goes("unit: s, description: seconds", "unit: s, description: at most 5 minutes"),
        "",
    ),
    "a_description_of_values_that_carry_their_unit": (
        goes(f"{DURATION}, description: as seconds", f"{DURATION}, description: as minutes"),
        "",
    ),
    "an_ordinal_is_no_unit": (
        goes("description: the second try", "description: lets us try"),
        "",
    ),
    "two_arguments_of_a_unit_stay_where_they_are_and_one_comes_behind": (
        (
            "parameters: {a: {argument: true, unit: s}}",
            "parameters: {a: {argument: true, unit: s}, b: {argument: true, unit: ms}}",
        ),
        "parameter-added at parameter b",
    ),
    "a_name_in_another_unit_comes_when_the_old_one_goes_as_promised": (
        (
            f"parameters: {{update_frequency: {{unit: s, {GOES}}}}}",
            "{version: 2.0.0, parameters: {update_period: {unit: ms}}}",
        ),
        "parameter-removed-as-promised at parameter update_frequency"
        " & parameter-added at parameter update_period",
    ),
    # New things.
    "an_optional_parameter_is_added": (
        ("", "parameters: {wait: {}}"),
        "parameter-added at parameter wait",
    ),
    "an_alias_is_added": (
        goes("", "aliases: [{name: --pause}]"),
        "flag-added at flag --pause",
    ),
    "a_route_is_added": (("", ROUTE % ""), "route-added at route GET /x at web"),
    "an_answer_says_more": (
        (ROUTE % "", ROUTE % ", fields: [{path: age, type: number}]"),
        "field-added at field age of GET /x at web",
    ),
    "an_answer_is_added": (
        (ROUTE % "", ROUTE % ", answers: [{status: 429, meaning: too many}]"),
        "answer-added at answer 429 of GET /x at web",
    ),
    "a_metric_is_added": (("", METRIC % ""), "metric-added at metric a_total"),
    "a_label_is_added": (
        (METRIC % "", METRIC % "x"),
        "metric-label-added at label x of metric a_total",
    ),
    "a_port_is_added": (("", PORT % "x"), "port-added at port web"),
    "an_optional_volume_is_added": (
        ("", "volumes: [{path: /git, description: x}]"),
        "volume-added at volume /git",
    ),
    "an_exit_code_is_added": (
        ("", "exits: [{code: 3, meaning: x}]"),
        "exit-added at exit 3",
    ),
    "a_signal_is_added": (
        (
            "signals: [{name: SIGTERM, effect: stops}]",
            "signals: [{name: 'SIGTERM, SIGINT', effect: stops}]",
        ),
        "signal-added at signal SIGINT",
    ),
    "the_mode_of_a_file_is_promised": (
        (FILE % "", FILE % ", mode: '0600'"),
        "file-more-promised at mode of file /data",
    ),
    "values_may_come_from_a_file_too": (
        ("precedence: [flag, default]", "precedence: [flag, file, default]"),
        "source-added at source file",
    ),
    # Wider things.
    "a_privilege_is_no_longer_needed": (
        ("privileges: [{name: get secrets, description: x}]", ""),
        "privilege-removed at privilege get secrets",
    ),
    "an_integer_becomes_a_number": (
        goes("type: integer", "type: number"),
        "type-widened at parameter wait",
    ),
    "a_choice_becomes_a_text": (
        goes("type: choice, choices: [a]", "type: text"),
        "type-widened at parameter wait",
    ),
    "a_choice_becomes_a_text_that_holds_its_words": (
        goes("type: choice, choices: [abc, d]", "type: text, minimum: '1', maximum: '3'"),
        "type-widened at parameter wait",
    ),
    "a_port_becomes_an_integer_with_its_bounds": (
        goes("type: port", "type: integer, minimum: '1', maximum: '65535'"),
        "type-widened at parameter wait",
    ),
    "a_choice_without_blanks_becomes_several": (
        goes("type: choice, choices: [a, b]", "type: choice, choices: [a, b], repeated: true"),
        "repetition-accepted at parameter wait",
    ),
    "a_choice_is_added": (
        goes("type: choice, choices: [a]", "type: choice, choices: [a, b]"),
        "choice-added at choice b of parameter wait",
    ),
    "bounds_are_taken_away": (
        goes("minimum: '1', maximum: '9'", ""),
        "minimum-lowered at parameter wait & maximum-raised at parameter wait",
    ),
    "a_required_parameter_becomes_optional": (
        goes("required: true", "default: '1'"),
        "parameter-made-optional at parameter wait",
    ),
    "one_address_becomes_several": (
        goes("type: address", "type: address, repeated: true"),
        "repetition-accepted at parameter wait",
    ),
    "a_number_of_seconds_may_carry_its_unit": (
        goes("type: number, unit: s", f"{DURATION}, unit: s"),
        "unit-accepted at parameter wait",
    ),
    "a_bare_number_is_understood_where_it_was_refused": (
        goes(DURATION, f"{DURATION}, unit: s"),
        "bare-number-accepted at parameter wait",
    ),
    # Old names stay.
    "a_rename_keeps_both_old_names_and_their_unit": (
        (
            "parameters: {wait: {type: number, unit: s, default: '60'}}",
            "parameters: {period: {type: duration, default: 1m, aliases: "
            "[{name: --wait, unit: s}, {name: SYNC_WAIT, unit: s}]}}",
        ),
        "unit-accepted at parameter wait -> period & "
        "parameter-renamed at parameter wait -> period & "
        "flag-added at flag --period & variable-added at variable SYNC_PERIOD",
    ),
    "two_parameters_become_one_that_keeps_their_names": (
        (
            "parameters: {branch: {type: text}, rev: {type: text}}",
            "parameters: {ref: {type: text, aliases: [{name: --branch}, {name: --rev}, "
            "{name: SYNC_BRANCH}, {name: SYNC_REV}]}}",
        ),
        "parameter-renamed at parameter branch -> ref & parameter-renamed at parameter rev -> ref"
        " & flag-added at flag --ref & variable-added at variable SYNC_REF",
    ),
    "an_argument_has_another_name": (
        (
            "parameters: {file: {type: path, argument: true}}",
            "parameters: {path: {type: path, argument: true}}",
        ),
        "parameter-renamed at parameter file -> path",
    ),
    "a_port_follows_its_renamed_parameter": (
        (
            "{parameters: {listen: {}}, ports: [{name: web, parameter: listen, protocol: HTTP, "
            "description: x}]}",
            "{parameters: {bind: {flag: --listen, variable: SYNC_LISTEN}}, ports: [{name: web, "
            "parameter: bind, protocol: HTTP, description: x}]}",
        ),
        "parameter-renamed at parameter listen -> bind",
    ),
    "a_parameter_is_announced_to_go": (goes("", GOES), "deprecated at parameter wait"),
    "a_parameter_goes_when_it_was_said_to": (
        (f"parameters: {{wait: {{{GOES}}}}}", "version: 2.0.0"),
        "parameter-removed-as-promised at parameter wait",
    ),
    "an_alias_goes_when_it_was_said_to": (
        (
            f"parameters: {{wait: {{aliases: [{{name: --old, {GOES}}}]}}}}",
            "{version: 2.0.1, parameters: {wait: {}}}",
        ),
        "name-removed-as-promised at flag --old",
    ),
    "a_deprecation_is_extended": (
        goes(GOES, "deprecated: {since: '1.0', until: '2.1'}"),
        "deprecation-extended at parameter wait",
    ),
}


def check(old: str, new: str, expected: str) -> None:
    found = whole.compare(snippets.contract(old), snippets.contract(new))
    assert not any(change.is_breaking for change in found)
    said = {f"{change.rule.id} at {change.where}" for change in found}
    assert said == set(filter(None, expected.split(" & ")))


@pytest.mark.parametrize("name", CASES)
def test_breaks_nobody(name: str) -> None:
    (old, new), expected = CASES[name]
    check(old, new, expected)


def test_the_worst_comes_first() -> None:
    old = snippets.contract("parameters: {a: {default: '1'}, b: {unit: s}}")
    new = snippets.contract("parameters: {c: {}, a: {default: '2'}, b: {unit: ms}, d: {}}")
    order = [change.rule.id for change in whole.compare(old, new)]
    assert order[0] == "unit-changed"
    assert order[1:3] == ["default-changed", "version-not-bumped"]
    assert {change.rule.severity for change in whole.compare(old, new)[3:]} == {
        changes.Severity.INFO
    }


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 30
