"""What a program is given is judged by its contract, and translated into its units."""

from __future__ import annotations

import pytest

from alongside.base import environment
from alongside.components.wrap import bounding, filling, quantities, surroundings
from alongside.contract import promise, values

Kind = promise.Kind


def parameter(
    name: str, kind: Kind, *, unit: str = "", default: str | None = None, flag: str = ""
) -> promise.Parameter:
    return promise.Parameter(
        name=name,
        kind=kind,
        description="a thing",
        example="1",
        unit=unit,
        default=default,
        own_flag=flag,
    )


CONTRACT = promise.Contract(
    component="app",
    summary="an app",
    promise="it works",
    parameters=(
        parameter("wait", Kind.DURATION, unit="s", default="30", flag="-wait"),
        parameter("buffer", Kind.SIZE, unit="Ki"),
        parameter("name", Kind.TEXT),
        parameter("loud", Kind.BOOLEAN, flag="--loud"),
    ),
)


def resolved(*words: str, **variables: str) -> values.Values:
    given = surroundings.given(CONTRACT, words)
    return values.resolve(CONTRACT, given, environment.Environment(variables))


def changes(**variables: str) -> tuple[dict[str, str], list[str]]:
    return surroundings.variables_of(resolved(**variables), environment.Environment(variables))


@pytest.mark.parametrize(
    ("variable", "text", "seen"),
    [
        ("APP_WAIT", "1m", "60"),
        ("APP_WAIT", "2000ms", "2"),
        ("APP_BUFFER", "1Mi", "1024"),
        ("APP_BUFFER", "2048B", "2"),
    ],
)
def test_a_unit_is_translated_into_the_programs(variable: str, text: str, seen: str) -> None:
    made, problems = changes(**{variable: text})
    assert (made[variable], problems) == (seen, [])


def test_what_is_right_already_stays_as_it_is() -> None:
    assert changes(APP_WAIT="1.5", APP_BUFFER="64", APP_NAME="x") == ({}, [])


def test_a_default_is_set_and_what_has_none_is_not() -> None:
    assert changes() == ({"APP_WAIT": "30"}, [])


@pytest.mark.parametrize("given", [{"APP_WAIT": "1500ms"}, {"APP_BUFFER": "1B"}])
def test_a_part_of_a_unit_is_refused(given: dict[str, str]) -> None:
    made, problems = changes(**given)
    assert len(problems) == 1
    assert "is no whole number of" in problems[0]
    assert not set(given) & set(made)


@pytest.mark.parametrize(
    "words", [("-wait", "5"), ("-wait=5",), ("run", "-wait", "5", "--foreign", "-x", "-g", "a b")]
)
def test_flags_of_the_contract_are_read_among_the_programs_own(words: tuple[str, ...]) -> None:
    assert resolved(*words).duration_s("wait") == 5


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("-wait", "soon"), '"soon" is no bare number'),
        (("-wait", "5s"), "which the program counts in s"),
        (("-wait",), "-wait: has no value"),
        (("-wiat", "5"), "did you mean -wait?"),
        (("--loud=x",), "neither true nor false"),
    ],
)
def test_a_wrong_flag_is_told(words: tuple[str, ...], told: str) -> None:
    with pytest.raises(Exception, match=told):
        resolved(*words)


def test_what_follows_two_dashes_is_the_programs_affair() -> None:
    assert resolved("--", "-wiat", "-wait", "x").source("wait") == "default"


def test_templates_see_values_with_their_units() -> None:
    seen = surroundings.in_templates(resolved("--loud", APP_WAIT="1m30s", APP_BUFFER="2"))
    assert seen == {
        "wait": quantities.Duration(90),
        "buffer": quantities.Size(2048),
        "name": None,
        "loud": True,
    }


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("{{ wait }} {{ wait | seconds }} {{ wait | milliseconds }}", "1m30s 90 90000"),
        ("{{ wait | minutes }} {{ wait | hours }}", "1.5 0.025"),
        ("{{ buffer }} {{ buffer | bytes }} {{ buffer | kibibytes }}", "2Ki 2048 2"),
        ("{% if name %}{{ name }}{% else %}nobody{% endif %}", "nobody"),
        ("{{ loud }} {{ loud and 'on' or 'off' }}", "true on"),
        ("{% for x in range(2) %}{{ x }}{% endfor %}\n", "01\n"),
    ],
)
def test_a_template_is_filled(text: str, made: str) -> None:
    seen = surroundings.in_templates(resolved("--loud", APP_WAIT="1m30s", APP_BUFFER="2"))
    filled = filling.fill([filling.Template("t", text)], list(seen), seen)
    assert (filled.texts, filled.problems) == ((made,), ())


def test_a_fault_does_not_tell_a_secret() -> None:
    template = filling.Template("t", "a\n{{ {}[name] }}")
    filled = filling.fill([template], ["name"], {"name": "hush"}, frozenset({"name"}))
    assert filled.problems[0].startswith("t:2: cannot be filled")
    assert "hush" not in filled.problems[0]


def test_names_are_checked_where_values_are_wrong() -> None:
    filled = filling.fill([filling.Template("t", "{{ nmae }}")], ["name"], None)
    assert filled.problems == ('t:1: "nmae" is no parameter of the contract; did you mean name?',)


def test_work_in_a_child_gives_its_answer() -> None:
    assert bounding.run(lambda: {"a": [1, "é"]}, timeout_s=20) == {"a": [1, "é"]}
