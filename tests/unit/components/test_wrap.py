"""What a program is given is judged by its contract, and translated into its units."""

from __future__ import annotations

import dataclasses
import os
import signal
import stat
from pathlib import Path

import pytest

from alongside.base import environment, errors
from alongside.components.wrap import bounding, filling, quantities, surroundings, targets
from alongside.contract import kinds, promise, values

Kind = promise.Kind


def parameter(name: str, kind: Kind, *, unit: str = "", flag: str = "") -> promise.Parameter:
    return promise.Parameter(
        name=name, kind=kind, description="a thing", example="1", unit=unit, own_flag=flag
    )


CONTRACT = promise.Contract(
    component="app",
    summary="an app",
    promise="it works",
    parameters=(
        dataclasses.replace(
            parameter("wait", Kind.DURATION, unit="s", flag="-wait"),
            default="30",
            aliases=(promise.Alias(name="OLD_WAIT_MS", unit="ms"),),
        ),
        parameter("buffer", Kind.SIZE, unit="Ki"),
        parameter("name", Kind.TEXT),
        parameter("base", Kind.URL),
        parameter("loud", Kind.BOOLEAN, flag="--loud"),
        parameter("port", Kind.PORT, flag="--port"),
        dataclasses.replace(parameter("pauses", Kind.DURATION, unit="ms"), is_repeated=True),
        dataclasses.replace(parameter("keys", Kind.TEXT), is_repeated=True, is_secret=True),
    ),
)


def resolved(*words: str, **variables: str) -> values.Values:
    given = surroundings.given(CONTRACT, words)
    heeded = surroundings.heeded(CONTRACT, environment.Environment(variables))
    return values.resolve(CONTRACT, given, heeded, read=kinds.read_foreign)


def changes(*words: str, **variables: str) -> tuple[dict[str, str | None], list[str]]:
    given = environment.Environment(variables)
    return surroundings.variables_of(resolved(*words, **variables), given)


def seen(*words: str, **variables: str) -> dict[str, quantities.Value]:
    given = environment.Environment(variables)
    said = surroundings.given(CONTRACT, words)
    return surroundings.in_templates(resolved(*words, **variables), said, given)


def filled(text: str, found: dict[str, quantities.Value]) -> filling.Filled:
    return filling.fill([filling.Template("t", text)], list(found), found)


@pytest.mark.parametrize(
    ("variable", "text", "seen"),
    [
        ("APP_WAIT", "1m", "60"),
        ("APP_WAIT", "2000ms", "2"),
        ("APP_BUFFER", "1Mi", "1024"),
        ("APP_BUFFER", "2048B", "2"),
        ("APP_PAUSES", "1s, 500ms,7", "1000, 500,7"),
    ],
)
def test_a_unit_is_translated_into_the_programs(variable: str, text: str, seen: str) -> None:
    made, problems = changes(**{variable: text})
    assert (made[variable], problems) == (seen, [])


def test_what_is_right_already_stays_as_it_is() -> None:
    assert changes(APP_WAIT="1.5", APP_BUFFER="64", APP_NAME="x") == ({}, [])


def test_a_program_is_given_what_its_own_kinds_may_hold() -> None:
    given = {"APP_NAME": "two\nlines", "APP_BASE": "http://me:word@a/b", "APP_LOUD": "1"}
    assert changes(**given) == ({}, [])
    found = seen(**given)
    assert (found["name"], found["base"]) == (given["APP_NAME"], given["APP_BASE"])
    assert found["loud"] is True


def test_what_is_not_set_is_left_to_the_program() -> None:
    assert changes() == ({}, [])
    assert seen()["wait"] == quantities.Duration(30)


def test_an_empty_variable_counts_as_not_set_and_stays() -> None:
    assert changes(APP_WAIT="", APP_NAME="") == ({}, [])
    assert changes(APP_WAIT="", OLD_WAIT_MS="2000") == ({"APP_WAIT": "2", "OLD_WAIT_MS": None}, [])


def test_an_empty_variable_of_what_is_required_is_a_mistake() -> None:
    named = dataclasses.replace(parameter("name", Kind.TEXT), is_required=True)
    contract = dataclasses.replace(CONTRACT, parameters=(named,))
    given = environment.Environment({"APP_NAME": ""})
    assert surroundings.heeded(contract, given) == given


def test_an_alias_goes_when_its_value_stands_under_the_own_name() -> None:
    assert changes(OLD_WAIT_MS="5000") == ({"APP_WAIT": "5", "OLD_WAIT_MS": None}, [])


def test_an_alias_without_an_own_variable_stays_in_its_unit() -> None:
    lone = parameter("wait", Kind.DURATION, unit="s")
    aliases = (promise.Alias(name="WAIT_MS", unit="ms"),)
    lone = dataclasses.replace(lone, own_variable="", aliases=aliases)
    contract = dataclasses.replace(CONTRACT, parameters=(lone,))
    given = environment.Environment({"WAIT_MS": "2s"})
    found = values.resolve(contract, surroundings.given(contract, ()), given)
    assert surroundings.variables_of(found, given) == ({"WAIT_MS": "2000"}, [])


def test_a_bare_number_of_an_alias_gets_its_unit_where_the_own_name_has_none() -> None:
    wait = parameter("wait", Kind.DURATION)
    wait = dataclasses.replace(wait, aliases=(promise.Alias(name="WAIT_MS", unit="ms"),))
    contract = dataclasses.replace(CONTRACT, parameters=(wait,))
    given = environment.Environment({"WAIT_MS": "2000"})
    found = values.resolve(contract, surroundings.given(contract, ()), given)
    made, _ = surroundings.variables_of(found, given)
    assert made == {"APP_WAIT": "2000ms", "WAIT_MS": None}


def test_a_variable_that_a_flag_overrules_goes() -> None:
    assert changes("-wait", "5", APP_WAIT="1m") == ({"APP_WAIT": None}, [])


def test_what_kubernetes_injects_under_the_name_goes() -> None:
    assert changes(APP_PORT="tcp://10.0.0.1:80") == ({"APP_PORT": None}, [])


@pytest.mark.parametrize("given", [{"APP_WAIT": "1500ms"}, {"APP_BUFFER": "1B"}])
def test_a_part_of_a_unit_is_refused(given: dict[str, str]) -> None:
    _, problems = changes(**given)
    assert len(problems) == 1
    assert "is no whole number of" in problems[0]


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
        (("--loud=x",), "neither true nor false"),
    ],
)
def test_a_wrong_flag_is_told(words: tuple[str, ...], told: str) -> None:
    with pytest.raises(Exception, match=told):
        resolved(*words)


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("-wiat", "-wait"),
        ("--ports", "--port"),
        ("--prt", "--port"),
        ("--sort=x", "--port"),
        ("--host", None),
        ("--port", None),
        ("-w", None),
        ("--pool", None),
    ],
)
def test_a_flag_like_one_of_the_contract_is_suspected_and_passes(
    word: str, near: str | None
) -> None:
    given = [word, "5"]
    found = surroundings.suspected(CONTRACT, given)
    assert [line.rpartition("mean ")[2] for line in found] == ([f"{near}?"] if near else [])
    if word != "--port":
        assert surroundings.given(CONTRACT, given).problems == ()


def test_what_follows_two_dashes_is_the_programs_affair() -> None:
    assert resolved("--", "-wiat", "-wait", "x").source("wait") == "default"


def test_templates_see_values_with_their_units() -> None:
    found = seen("--loud", APP_WAIT="1m30s", APP_BUFFER="2", APP_PAUSES="1s,500")
    assert found == {
        "wait": quantities.Duration(90),
        "buffer": quantities.Size(2048),
        "name": None,
        "base": None,
        "loud": True,
        "port": None,
        "pauses": [quantities.Duration(1), quantities.Duration(0.5)],
        "keys": [],
    }


def test_templates_see_repeated_secrets_as_they_are() -> None:
    assert seen(APP_KEYS="a,b")["keys"] == ["a", "b"]
    assert filled("{{ keys }}", seen(APP_KEYS="a,b")).texts == ("a b",)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("{{ wait }} {{ wait | seconds }} {{ wait | milliseconds }}", "1m30s 90 90000"),
        ("{{ wait | minutes }} {{ wait | hours }}", "1.5 0.025"),
        ("{{ buffer }} {{ buffer | bytes }} {{ buffer | kibibytes }}", "2Ki 2048 2"),
        ("{% if name %}{{ name }}{% else %}nobody{% endif %}", "nobody"),
        ("{{ loud }} {{ loud and 'on' or 'off' }}", "true on"),
        ("{% for x in range(2) %}{{ x }}{% endfor %}\n", "01\n"),
        ("{{ pauses }}{% for one in pauses %} {{ one | seconds }}{% endfor %}", "1s 500ms 1 0.5"),
        ("{{ name | default('nobody') }} {{ name is defined }}", "nobody false"),
        ("{% if name == 'x' %}x{% endif %}{% if not name %}none{% endif %}", "none"),
    ],
)
def test_a_template_is_filled(text: str, made: str) -> None:
    done = filled(text, seen("--loud", APP_WAIT="1m30s", APP_BUFFER="2", APP_PAUSES="1s,500"))
    assert (done.texts, done.problems) == ((made,), ())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{ name }}", "t:1: name is not set; write {% if name %} around it"),
        ("\n{{ 'a' ~ name }}", "t:2: name is not set"),
        ("{% for x in name %}{% endfor %}", "name is not set"),
        ("{{ name | upper }}", "name is not set"),
        ("{{ name | seconds }}", "what is not set is no duration"),
        ("{{ wait.foo }}", "has no attribute 'foo'"),
        ("{% if wait.foo %}{% endif %}", "has no attribute 'foo'"),
    ],
)
def test_what_is_not_set_is_not_printed(text: str, told: str) -> None:
    [problem] = filled(text, seen()).problems
    assert told in problem


def test_a_fault_does_not_tell_a_secret() -> None:
    template = filling.Template("t", "a\n{{ {}[name] }}")
    filled = filling.fill([template], ["name"], {"name": "hush"}, frozenset({"name"}))
    assert filled.problems[0].startswith("t:2: cannot be filled")
    assert "hush" not in filled.problems[0]


def test_an_unset_secret_is_told_as_such() -> None:
    [problem] = filling.fill(
        [filling.Template("t", "{{ name }}")], ["name"], {"name": None}, frozenset({"name"})
    ).problems
    assert problem.startswith("t:1: name is not set; write {% if name %}")


def test_names_are_checked_where_values_are_wrong() -> None:
    filled = filling.fill([filling.Template("t", "{{ nmae }}")], ["name"], None)
    assert filled.problems == ('t:1: "nmae" is no parameter of the contract; did you mean name?',)


def test_work_in_a_child_gives_its_answer() -> None:
    assert bounding.run(lambda: {"a": [1, "é"]}, timeout_s=20) == {"a": [1, "é"]}


def test_work_in_a_child_that_fails_says_how() -> None:
    with pytest.raises(errors.UsageError, match="failed with ZeroDivisionError: division by zero"):
        bounding.run(lambda: 1 / 0, timeout_s=20)


def test_work_in_a_child_that_takes_too_much_memory_is_told() -> None:
    with pytest.raises(errors.UsageError, match="took more than 512Mi"):
        bounding.run(lambda: len(b"a" * 2**30), timeout_s=20)


@pytest.mark.parametrize(
    ("number", "told"), [(signal.SIGTERM, "ended by SIGTERM"), (signal.SIGKILL, "more than 512Mi")]
)
def test_work_in_a_child_that_is_ended_by_a_signal_is_told(
    number: signal.Signals, told: str
) -> None:
    with pytest.raises(errors.UsageError, match=told):
        bounding.run(lambda: os.kill(os.getpid(), number), timeout_s=20)


def test_a_target_that_cannot_be_replaced_is_told(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    for target, told in {
        f"{tmp_path}/fifo": "is no file",
        "/dev/null": "is no file",
        f"{tmp_path}": "is no file",
        f"{tmp_path}/none/x": "is no file",
        f"{tmp_path}/link/t": "is a template",
    }.items():
        problems: list[str] = []
        assert targets.pairs([f"{tmp_path}/t:{target}"], problems) == []
        assert len(problems) == 1
        assert told in problems[0]


def test_two_templates_with_one_target_are_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").write_text("x")
    problems: list[str] = []
    targets.pairs([f"{tmp_path}/a:{tmp_path}/c", f"{tmp_path}/b:{tmp_path}/./c"], problems)
    assert len(problems) == 1
    assert "the target of another one" in problems[0]


def test_a_file_that_holds_a_secret_is_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "conf"
    assert targets.mode(path, has_secret=True) == stat.S_IRUSR | stat.S_IWUSR
    path.touch()
    path.chmod(0o754)
    assert targets.mode(path, has_secret=True) == 0o600
    assert targets.mode(path, has_secret=False) == 0o754
