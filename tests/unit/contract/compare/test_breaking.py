"""Every change that breaks somebody is found, by the right rule, at the right place."""

from __future__ import annotations

import pytest
from tests.unit.contract.compare import snippets

from alongside.contract.compare import versions, whole

P = "parameters: {wait: %s}"


def one(fields: str) -> str:
    return P % f"{{{fields}}}"


def goes(old: str, new: str) -> tuple[str, str]:
    """Return a parameter `wait` with some fields, before and after."""
    return one(old), one(new)


ROUTE = "routes: [{door: web, method: GET, path: /x%s}]"
FILE = "files: [{path: /data, access: writes%s}]"
ALIAS = "parameters: {%s}"
DURATION = "type: duration"
CASES: dict[str, tuple[tuple[str, str], str]] = {
    # Units: never waived.
    "seconds_become_a_duration_under_the_same_name": (
        goes("type: number, unit: s", DURATION),
        "bare-number-refused at parameter wait",
    ),
    "unitless_values_turn_from_seconds_into_milliseconds": (
        goes("type: integer, unit: s", "type: integer, unit: ms"),
        "unit-changed at parameter wait",
    ),
    "a_frequency_becomes_a_period_without_an_alias": (
        (
            "parameters: {update_frequency: {type: number, unit: s}}",
            "parameters: {update_period: {type: number, unit: s}}",
        ),
        "parameter-renamed-without-alias at parameter update_frequency -> update_period",
    ),
    "a_frequency_in_seconds_becomes_a_period_that_carries_its_unit": (
        (
            "parameters: {update_frequency: {type: number, unit: s}}",
            "parameters: {update_period: {type: duration}}",
        ),
        "unit-changed-by-rename at parameter update_frequency -> update_period"
        " & parameter-renamed-without-alias at parameter update_frequency -> update_period",
    ),
    "a_bare_number_of_a_duration_counts_something_else": (
        goes("type: duration, unit: s", "type: duration, unit: ms"),
        "unit-changed at parameter wait",
    ),
    "a_duration_no_longer_takes_a_bare_number": (
        goes("type: duration, unit: s", DURATION),
        "bare-number-refused at parameter wait",
    ),
    "a_duration_becomes_a_number_of_seconds": (
        goes(DURATION, "type: number, unit: s"),
        "unit-refused at parameter wait",
    ),
    "a_duration_becomes_a_text_of_which_nothing_is_promised": (
        goes(DURATION, "type: text"),
        "unit-refused at parameter wait & type-changed at parameter wait",
    ),
    "k_was_a_power_of_two_and_is_one_of_ten": (
        goes("type: integer, unit: Ki", "type: integer, unit: k"),
        "unit-changed at parameter wait",
    ),
    "mebibytes_become_megabytes_in_a_size": (
        goes("type: size, unit: Mi", "type: size, unit: M"),
        "unit-changed at parameter wait",
    ),
    "a_size_becomes_a_duration": (
        goes("type: size", DURATION),
        "unit-changed at parameter wait",
    ),
    "percent_become_a_ratio": (
        goes('type: number, unit: "%"', "type: number, unit: ratio"),
        "unit-changed at parameter wait",
    ),
    "a_count_becomes_a_number_of_bytes": (
        goes("type: integer", "type: integer, unit: B"),
        "unit-changed at parameter wait",
    ),
    "an_alias_counts_something_else": (
        (
            one(f"{DURATION}, aliases: [{{name: --old, unit: s}}]"),
            one(f"{DURATION}, aliases: [{{name: --old, unit: ms}}]"),
        ),
        "unit-changed at flag --old",
    ),
    "an_alias_loses_its_unit": (
        (
            one(f"{DURATION}, aliases: [{{name: --old, unit: s}}]"),
            one(f"{DURATION}, aliases: [{{name: --old}}]"),
        ),
        "bare-number-refused at flag --old",
    ),
    "a_rename_keeps_the_names_but_not_their_unit": (
        (
            one("type: number, unit: s"),
            f"parameters: {{period: {{{DURATION}, aliases: "
            "[{name: --wait, unit: ms}, {name: SYNC_WAIT, unit: ms}]}}",
        ),
        "unit-changed at parameter wait -> period",
    ),
    "a_rename_keeps_the_unit_of_the_flag_alone": (
        (
            one("type: number, unit: s"),
            f"parameters: {{period: {{{DURATION}, aliases: "
            "[{name: --wait, unit: s}, {name: SYNC_WAIT}]}}",
        ),
        "bare-number-refused at variable SYNC_WAIT",
    ),
    "a_name_is_used_again_with_another_unit_after_a_rename": (
        (
            one("type: number, unit: s"),
            f"parameters: {{period: {{{DURATION}}}, wait: {{type: number, unit: ms}}}}",
        ),
        "unit-changed at parameter wait",
    ),
    "a_variable_is_used_again_by_another_parameter": (
        (
            "parameters: {wait: {unit: s}, delay: {unit: ms}}",
            "parameters: {wait: {unit: s, variable: ''}, "
            "delay: {unit: ms, variable: SYNC_WAIT, aliases: [{name: SYNC_DELAY}]}}",
        ),
        "unit-changed at variable SYNC_WAIT & name-moved at variable SYNC_WAIT",
    ),
    "an_answers_field_counts_something_else": (
        (
            ROUTE % ", fields: [{path: age, type: number, unit: s}]",
            ROUTE % ", fields: [{path: age, type: number, unit: ms}]",
        ),
        "field-unit-changed at field age of GET /x at web",
    ),
    "a_description_speaks_of_milliseconds_where_it_said_seconds": (
        goes(
            "description: seconds between two looks", "description: milliseconds between two looks"
        ),
        "described-unit-changed at parameter wait",
    ),
    "a_description_names_a_unit_where_it_named_none": (
        goes("type: number, description: how full", "type: number, description: percent of all"),
        "described-unit-changed at parameter wait",
    ),
    "a_description_no_longer_names_a_unit": (
        goes("description: memory in KiB", "description: memory"),
        "described-unit-changed at parameter wait",
    ),
    "a_number_becomes_a_text_that_is_described_otherwise": (
        goes("description: waits (s)", "type: text, description: waits (ms)"),
        "described-unit-changed at parameter wait",
    ),
    "a_rename_describes_another_unit": (
        (
            "parameters: {update_frequency: {description: minutes between two looks}}",
            "parameters: {update_period: {description: seconds between two looks}}",
        ),
        "unit-changed-by-rename at parameter update_frequency -> update_period"
        " & parameter-renamed-without-alias at parameter update_frequency -> update_period",
    ),
    "the_type_of_a_field_names_another_unit": (
        (
            ROUTE % ", fields: [{path: age, type: number of seconds}]",
            ROUTE % ", fields: [{path: age, type: number of milliseconds}]",
        ),
        "field-unit-changed at field age of GET /x at web"
        " & field-type-changed at field age of GET /x at web",
    ),
    "one_of_two_fields_of_a_name_counts_something_else": (
        (
            ROUTE % ", fields: [{path: age, type: number, unit: s}, "
            "{path: age, type: number, unit: s}]",
            ROUTE % ", fields: [{path: age, type: number, unit: ms}, "
            "{path: age, type: number, unit: s}]",
        ),
        "field-unit-changed at field age of GET /x at web",
    ),
    "arguments_that_count_other_things_change_places": (
        (
            "parameters: {a: {argument: true, unit: s}, b: {argument: true, unit: ms}}",
            "parameters: {b: {argument: true, unit: ms}, a: {argument: true, unit: s}}",
        ),
        "unit-changed at argument 1 & unit-changed at argument 2 & arguments-moved at arguments",
    ),
    "an_argument_that_counts_something_else_comes_first": (
        (
            "parameters: {a: {argument: true, unit: s}}",
            "parameters: {b: {argument: true, unit: ms}, a: {argument: true, unit: s}}",
        ),
        "unit-changed at argument 1 & arguments-moved at arguments",
    ),
    "a_flag_takes_the_place_of_an_argument_in_another_unit": (
        (
            "parameters: {a: {argument: true, unit: s}, b: {unit: ms, variable: ''}}",
            "parameters: {b: {argument: true, unit: ms}}",
        ),
        "unit-changed at argument 1 & parameter-removed at parameter a"
        " & flag-removed at flag --b & argument-changed at parameter b",
    ),
    "an_argument_is_renamed_and_counts_something_else": (
        (
            "parameters: {a: {argument: true, unit: s}}",
            "parameters: {b: {argument: true, unit: ms}}",
        ),
        "unit-changed at argument 1",
    ),
    "an_argument_in_another_unit_takes_a_place_of_a_repeated_one": (
        (
            "parameters: {a: {argument: true, unit: s, repeated: true}}",
            "parameters: {a: {argument: true, unit: s}, b: {argument: true, unit: ms}}",
        ),
        "unit-changed at argument 2 & repetition-refused at parameter a",
    ),
    "a_deprecated_parameter_goes_too_early_and_its_new_name_counts_something_else": (
        (
            "parameters: {update_frequency: {unit: s, deprecated: {since: '1', until: '3'}}}",
            "{version: 1.1.0, parameters: {update_period: {type: duration}}}",
        ),
        "unit-changed-by-rename at parameter update_frequency -> update_period"
        " & parameter-renamed-without-alias at parameter update_frequency -> update_period",
    ),
    "a_new_name_in_another_unit_is_born_deprecated": (
        (
            "parameters: {update_frequency: {unit: s}}",
            "parameters: {update_period: {unit: ms, deprecated: {since: '1', until: '3'}}}",
        ),
        "unit-changed-by-rename at parameter update_frequency -> update_period"
        " & parameter-renamed-without-alias at parameter update_frequency -> update_period",
    ),
    # Names.
    "a_parameter_is_removed": (
        ("parameters: {wait: {}}", ""),
        "parameter-removed at parameter wait",
    ),
    "a_rename_forgets_the_variable": (
        (one(""), "parameters: {period: {aliases: [{name: --wait}]}}"),
        "variable-removed at variable SYNC_WAIT",
    ),
    "a_rename_forgets_the_flag": (
        (one(""), "parameters: {period: {aliases: [{name: SYNC_WAIT}]}}"),
        "flag-removed at flag --wait",
    ),
    "a_flag_is_spelt_otherwise": (
        (one(""), one("flag: -wait")),
        "flag-removed at flag --wait",
    ),
    "a_variable_is_spelt_otherwise": (
        (one(""), one("variable: WAIT")),
        "variable-removed at variable SYNC_WAIT",
    ),
    "an_alias_is_removed": (
        (one("aliases: [{name: --old}]"), one("")),
        "flag-removed at flag --old",
    ),
    "a_parameter_loses_its_variable": (
        (one(""), one("variable: ''")),
        "variable-removed at variable SYNC_WAIT",
    ),
    "a_flag_sets_another_parameter": (
        (
            "parameters: {wait: {}, delay: {}}",
            "parameters: {wait: {flag: --pause}, delay: {flag: --wait}}",
        ),
        "name-moved at flag --wait & flag-removed at flag --delay",
    ),
    "the_prefix_of_all_variables_changes": (
        (one(""), f"{{prefix: GITSYNC_, {one('')}}}"),
        "variable-removed at variable SYNC_WAIT & prefix-changed at prefix",
    ),
    "a_prefix_is_introduced": (
        ("{prefix: '', parameters: {}}", "{prefix: SYNC_, parameters: {}}"),
        "prefix-introduced at prefix",
    ),
    "the_prefix_alone_changes": (
        ("{prefix: A_, parameters: {}}", "{prefix: B_, parameters: {}}"),
        "prefix-changed at prefix",
    ),
    "a_flag_becomes_an_argument": (
        (one(""), one("argument: true")),
        "flag-removed at flag --wait & variable-removed at variable SYNC_WAIT"
        " & argument-changed at parameter wait",
    ),
    "arguments_change_places": (
        (
            "parameters: {a: {argument: true}, b: {argument: true}}",
            "parameters: {b: {argument: true}, a: {argument: true}}",
        ),
        "arguments-moved at arguments",
    ),
    "an_argument_comes_before_the_others": (
        (
            "parameters: {a: {argument: true}}",
            "parameters: {b: {argument: true}, a: {argument: true}}",
        ),
        "arguments-moved at arguments",
    ),
    # Deprecation.
    "a_deprecated_parameter_goes_too_early": (
        (one("deprecated: {since: '1.0', until: '3.0'}"), "version: 2.0.0"),
        "parameter-removed-early at parameter wait",
    ),
    "a_deprecated_alias_goes_too_early": (
        (
            one("aliases: [{name: --old, deprecated: {since: '1.0', until: '1.10'}}]"),
            f"{{version: 1.9.0, {one('')}}}",
        ),
        "name-removed-early at flag --old",
    ),
    "a_deprecated_parameter_is_gone_where_no_version_says_when": (
        (one("deprecated: {since: '1.0', until: '1.0'}"), "version: latest"),
        "parameter-removed-early at parameter wait",
    ),
    "a_deprecation_is_brought_forward": (
        goes(
            "deprecated: {since: '1.0', until: '3.0'}", "deprecated: {since: '1.0', until: '2.0'}"
        ),
        "deprecation-shortened at parameter wait",
    ),
    # What a parameter accepts.
    "an_integer_becomes_a_boolean": (
        goes("type: integer", "type: boolean"),
        "type-changed at parameter wait",
    ),
    "a_number_becomes_an_integer": (
        goes("type: number", "type: integer"),
        "type-narrowed at parameter wait",
    ),
    "a_text_becomes_a_choice": (
        goes("type: text", "type: choice, choices: [a]"),
        "type-narrowed at parameter wait",
    ),
    "a_text_becomes_a_duration": (
        goes("type: text", DURATION),
        "type-changed at parameter wait",
    ),
    "a_boolean_becomes_a_choice_so_that_its_flag_needs_a_value": (
        goes("type: boolean", "type: choice, choices: ['true', 'false']"),
        "type-changed at parameter wait",
    ),
    "an_integer_becomes_a_port": (
        goes("type: integer", "type: port"),
        "type-narrowed at parameter wait",
    ),
    "a_choice_is_removed": (
        goes("type: choice, choices: [a, b]", "type: choice, choices: [a]"),
        "choice-removed at choice b of parameter wait",
    ),
    "a_scheme_of_a_url_is_removed": (
        goes("type: url", "type: url, choices: [https]"),
        "choice-removed at choice http of parameter wait",
    ),
    "a_minimum_is_raised": (
        goes("minimum: '1'", "minimum: '2'"),
        "minimum-raised at parameter wait",
    ),
    "a_minimum_is_introduced": (goes("", "minimum: '0'"), "minimum-raised at parameter wait"),
    "a_maximum_is_lowered": (
        goes("type: size, maximum: 1Mi", "type: size, maximum: 1M"),
        "maximum-lowered at parameter wait",
    ),
    "a_maximum_is_introduced": (
        goes(DURATION, f"{DURATION}, maximum: 24h"),
        "maximum-lowered at parameter wait",
    ),
    "zero_is_no_longer_a_duration": (
        goes(f"{DURATION}, minimum: '0'", DURATION),
        "minimum-raised at parameter wait",
    ),
    "port_zero_is_no_longer_allowed": (
        goes("type: address, minimum: '0'", "type: address"),
        "minimum-raised at parameter wait",
    ),
    "a_bound_changes_that_cannot_be_read": (
        goes("minimum: few", "minimum: many"),
        "bound-unclear at parameter wait",
    ),
    "an_integer_becomes_a_short_text": (
        goes("type: integer", "type: text, maximum: '1'"),
        "maximum-lowered at parameter wait",
    ),
    "a_choice_becomes_a_text_that_is_shorter_than_its_words": (
        goes("type: choice, choices: [abc, def]", "type: text, maximum: '1'"),
        "maximum-lowered at parameter wait",
    ),
    "a_choice_becomes_a_text_that_is_longer_than_its_words": (
        goes("type: choice, choices: [abc, def]", "type: text, minimum: '4'"),
        "minimum-raised at parameter wait",
    ),
    "the_bounds_of_a_number_become_those_of_a_text": (
        goes("type: integer, maximum: '64'", "type: text, maximum: '64'"),
        "bound-unclear at parameter wait",
    ),
    "one_node_whose_name_may_hold_a_comma_becomes_several": (
        goes("type: node", "type: node, repeated: true"),
        "repetition-splits at parameter wait",
    ),
    "one_choice_with_a_blank_becomes_several": (
        goes(
            "type: choice, choices: ['a b', c]", "type: choice, choices: ['a b', c], repeated: true"
        ),
        "repetition-splits at parameter wait",
    ),
    "several_values_become_one": (
        goes("repeated: true", ""),
        "repetition-refused at parameter wait",
    ),
    "one_text_becomes_several_at_its_blanks": (
        goes("type: text", "type: text, repeated: true"),
        "repetition-splits at parameter wait",
    ),
    # Whether it must be set, and what it is where it is not.
    "a_required_parameter_is_added": (
        ("", one("required: true")),
        "required-parameter-added at parameter wait",
    ),
    "an_optional_parameter_becomes_required": (
        goes("default: '1'", "required: true"),
        "parameter-made-required at parameter wait",
    ),
    "a_default_changes": (
        goes("default: '1'", "default: '2'"),
        "default-changed at parameter wait",
    ),
    "a_default_is_introduced": (goes("", "default: '2'"), "default-changed at parameter wait"),
    "a_default_is_dropped": (goes("default: '1'", ""), "default-changed at parameter wait"),
    "a_boolean_is_on_by_default": (
        goes("type: boolean", "type: boolean, default: 'true'"),
        "default-changed at parameter wait",
    ),
    "what_unset_means_changes": (
        goes("unset: an eighth of memory", "unset: a quarter of memory"),
        "unset-changed at parameter wait",
    ),
    "a_secret_is_shown": (goes("secret: true", ""), "secret-exposed at parameter wait"),
    "the_variable_wins_over_the_flag": (
        (
            "precedence: [flag, variable, default]",
            "precedence: [variable, flag, default]",
        ),
        "precedence-changed at precedence",
    ),
    "a_file_of_values_is_no_longer_read": (
        ("precedence: [flag, file, default]", "precedence: [flag, default]"),
        "source-removed at source file",
    ),
    # Ports, calls.
    "a_port_is_removed": (
        ("ports: [{name: web, parameter: '', protocol: HTTP, description: x}]", ""),
        "port-removed at port web",
    ),
    "a_ports_number_changes": (
        (
            "ports: [{name: web, parameter: '', protocol: HTTP, description: x, number: 80}]",
            "ports: [{name: web, parameter: '', protocol: HTTP, description: x, number: 8080}]",
        ),
        "port-number-changed at port web",
    ),
    "a_port_has_no_usual_number_any_more": (
        (
            "ports: [{name: web, parameter: '', protocol: HTTP, description: x, number: 80}]",
            "ports: [{name: web, parameter: '', protocol: HTTP, description: x}]",
        ),
        "port-number-dropped at port web",
    ),
    "a_port_speaks_something_else": (
        (
            "ports: [{name: web, parameter: '', protocol: HTTP/1.1, description: x}]",
            "ports: [{name: web, parameter: '', protocol: HTTPS, description: x}]",
        ),
        "port-protocol-changed at port web",
    ),
    "another_parameter_sets_a_port": (
        (
            "ports: [{name: web, parameter: listen, protocol: HTTP, description: x}]",
            "ports: [{name: web, parameter: bind, protocol: HTTP, description: x}]",
        ),
        "port-parameter-changed at port web",
    ),
    "a_route_is_removed": ((ROUTE % "", ""), "route-removed at route GET /x at web"),
    "a_route_changes_its_method": (
        (ROUTE % "", "routes: [{door: web, method: POST, path: /x}]"),
        "route-removed at route GET /x at web",
    ),
    "a_route_leaves_one_of_two_doors": (
        (
            "routes: [{door: 'status, admin', method: GET, path: /x}]",
            "routes: [{door: admin, method: GET, path: /x}]",
        ),
        "route-removed at route GET /x at status",
    ),
    "an_answer_is_removed": (
        (ROUTE % ", answers: [{status: 404, meaning: none}]", ROUTE % ""),
        "answer-removed at answer 404 of GET /x at web",
    ),
    "an_answer_tells_something_else": (
        (
            ROUTE % ", answers: [{status: 503, meaning: it drains}]",
            ROUTE % ", answers: [{status: 503, meaning: it is overloaded}]",
        ),
        "answer-meaning-changed at answer 503 of GET /x at web",
    ),
    "a_field_is_removed": (
        (ROUTE % ", fields: [{path: age, type: number}]", ROUTE % ""),
        "field-removed at field age of GET /x at web",
    ),
    "a_field_gets_another_type": (
        (
            ROUTE % ", fields: [{path: age, type: number}]",
            ROUTE % ", fields: [{path: age, type: string}]",
        ),
        "field-type-changed at field age of GET /x at web",
    ),
    # Surroundings.
    "a_file_stands_elsewhere": (
        (FILE % "", "files: [{path: /other, access: writes}]"),
        "file-removed at file /data",
    ),
    "a_file_is_removed_where_it_was_made": (
        (FILE % "", "files: [{path: /data, access: reads}]"),
        "file-access-changed at file /data",
    ),
    "a_file_belongs_to_somebody_else": (
        (FILE % "", FILE % ", owner: 'root:root'"),
        "file-owner-changed at file /data",
    ),
    "a_file_is_open_to_more": (
        (FILE % ", mode: '0600'", FILE % ", mode: '0644'"),
        "file-mode-changed at mode of file /data",
    ),
    "a_file_is_written_in_place": (
        (FILE % ", publication: rename", FILE % ", publication: in place"),
        "file-publication-changed at publication of file /data",
    ),
    "how_a_file_is_replaced_is_no_longer_promised": (
        (FILE % ", publication: rename", FILE % ""),
        "file-less-promised at publication of file /data",
    ),
    "a_volume_is_newly_required": (
        ("", "volumes: [{path: /git, description: x, required: true}]"),
        "required-volume-added at volume /git",
    ),
    "a_volume_becomes_required": (
        (
            "volumes: [{path: /git, description: x}]",
            "volumes: [{path: /git, description: x, required: true}]",
        ),
        "volume-made-required at volume /git",
    ),
    "a_volume_is_no_longer_used": (
        ("volumes: [{path: /git, description: x}]", ""),
        "volume-removed at volume /git",
    ),
    "a_privilege_is_newly_needed": (
        ("", "privileges: [{name: get secrets, description: x}]"),
        "privilege-added at privilege get secrets",
    ),
    "the_image_runs_as_another_user": (
        ("user: '65532'", "user: '1000'"),
        "user-changed at user",
    ),
    "the_component_is_another": (
        ("", "component: pull"),
        "component-renamed at component & prefix-changed at prefix",
    ),
    # Behaviour.
    "a_signal_is_no_longer_understood": (
        (
            "signals: [{name: 'SIGHUP, SIGTERM', effect: stops}]",
            "signals: [{name: SIGTERM, effect: stops}]",
        ),
        "signal-removed at signal SIGHUP",
    ),
    "a_signal_does_something_else": (
        ("signals: [{name: SIGHUP, effect: reloads}]", "signals: [{name: SIGHUP, effect: stops}]"),
        "signal-effect-changed at signal SIGHUP",
    ),
    "an_exit_code_is_removed": (
        ("exits: [{code: 3, meaning: taken}]", ""),
        "exit-removed at exit 3",
    ),
    "an_exit_code_means_something_else": (
        ("exits: [{code: 3, meaning: taken}]", "exits: [{code: 3, meaning: broken}]"),
        "exit-meaning-changed at exit 3",
    ),
    "a_metric_is_removed": (
        ("metrics: [{name: a_total, type: counter, labels: []}]", ""),
        "metric-removed at metric a_total",
    ),
    "a_metric_is_of_another_type": (
        (
            "metrics: [{name: a_total, type: counter, labels: []}]",
            "metrics: [{name: a_total, type: gauge, labels: []}]",
        ),
        "metric-type-changed at metric a_total",
    ),
    "a_label_is_removed": (
        (
            "metrics: [{name: a_total, type: counter, labels: [code]}]",
            "metrics: [{name: a_total, type: counter, labels: []}]",
        ),
        "metric-label-removed at label code of metric a_total",
    ),
}


def check(old: str, new: str, expected: str) -> None:
    before, after = snippets.contract(old), snippets.contract(new)
    found = [
        f"{change.rule.id} at {change.where}"
        for change in whole.compare(before, after)
        if change.is_breaking and change.rule is not versions.NOT_BUMPED
    ]
    assert found == expected.split(" & ")


@pytest.mark.parametrize("name", CASES)
def test_finds_what_breaks(name: str) -> None:
    (old, new), expected = CASES[name]
    check(old, new, expected)


def test_every_breaking_rule_has_a_case() -> None:
    places = [place for _, expected in CASES.values() for place in expected.split(" & ")]
    covered = {place.partition(" at ")[0] for place in places}
    breaking = {rule.id for rule in whole.RULES.values() if rule.severity.value == "breaking"} - {
        "version-not-bumped"
    }  # see test_versions
    assert breaking - covered == set()
    assert len(CASES) >= 60
