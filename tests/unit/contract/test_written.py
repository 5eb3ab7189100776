"""A contract is the same as a file: what is written is read back, and every mistake is named."""

import dataclasses
import json
import time

import pytest
import yaml

from alongside.base import errors
from alongside.contract import catalogue, promise, written

CONTRACTS = [catalogue.contract_of(name) for name in catalogue.NAMES]
LEAST = "contract: 1\ncomponent: x\nsummary: Do\npromise: It does\nparameters: []\n"
GOES = promise.Deprecation(since="1.1", until="2", instead="--b")


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(errors.UsageError) as caught:
        written.from_text(text, "x.yaml")
    return caught.value.problems


@pytest.mark.parametrize("contract", CONTRACTS, ids=[one.component for one in CONTRACTS])
def test_what_is_written_is_read_back_as_json_and_as_yaml(contract: promise.Contract) -> None:
    text = written.to_text(contract)
    assert written.to_text(written.from_text(text, "x.json")) == text
    as_yaml = yaml.safe_dump(json.loads(text), sort_keys=False, allow_unicode=True)
    assert written.to_text(written.from_text(as_yaml, "x.yaml")) == text


def test_flags_and_variables_are_spelt_out_and_a_version_where_there_is_one() -> None:
    cache = next(one for one in CONTRACTS if one.component == "cache")
    data = written.to_json(cache)
    parameters = data["parameters"]
    assert isinstance(parameters, list)
    assert (parameters[0]["flag"], parameters[0]["variable"]) == ("--listen", "CACHE_LISTEN")
    assert "version" not in data
    versioned = dataclasses.replace(cache, version="1.2")
    assert written.to_json(versioned)["version"] == "1.2"
    assert data["prefix"] == "CACHE_"


def test_a_name_that_is_not_there_stays_away() -> None:
    read = written.from_text(
        LEAST.replace("[]", "[{name: a, type: text, description: d, example: e, flag: ''}]"), "x"
    )
    assert (read.parameters[0].flag, read.variable(read.parameters[0])) == ("", "X_A")


def test_the_digest_is_the_promise_s_not_the_version_s() -> None:
    contract = CONTRACTS[0]
    assert written.digest(contract) == written.digest(dataclasses.replace(contract, version="9.9"))
    assert written.digest(contract) != written.digest(dataclasses.replace(contract, summary="Else"))


def test_a_file_of_another_format_is_told_from_ours() -> None:
    assert problems(LEAST.replace("contract: 1", "contract: 2")) == (
        'x.yaml: contract: says "2" which format this is; write contract: 1',
    )
    assert "does not say which format" in problems("component: x")[0]
    assert "holds no contract" in problems("- a")[0]
    assert "holds no contract" in problems("")[0]
    assert "neither YAML nor JSON" in problems("{")[0]
    assert "neither YAML nor JSON" in problems("[" * 5000)[0]


def test_every_mistake_is_named_with_its_path() -> None:
    text = LEAST.replace(
        "parameters: []",
        "sumary: y\nparameters: [{name: a, type: txt, default: 3, descripton: z}]",
    )
    found = problems(text)
    assert [problem.partition(": ")[2].partition(":")[0] for problem in found] == [
        'parameters["a"].type',
        'parameters["a"].description',
        'parameters["a"].example',
        'parameters["a"].default',
        'parameters["a"].descripton',
        "sumary",
    ]
    assert "did you mean description?" in found[4]
    assert "write it in quotes" in found[3]


def test_more_mistakes_than_anyone_reads_are_counted() -> None:
    many = ", ".join(f"x{number}: 1" for number in range(100))
    found = problems(LEAST + "exits: [{" + many + "}]")
    assert len(found) == 21
    assert "more mistakes" in found[-1]


def test_names_that_appear_twice_are_refused() -> None:
    one = "{name: a, type: text, description: d, example: e}"
    other = "{name: b, type: text, description: d, example: e, aliases: [{name: X_A}]}"
    assert problems(LEAST.replace("[]", f"[{one}, {one}]")) == (
        "x.yaml: parameters: a stands here twice; keep one",
        "x.yaml: flag --a stands here twice; keep one",
        "x.yaml: variable X_A stands here twice; keep one",
    )
    assert problems(LEAST.replace("[]", f"[{one}, {other}]")) == (
        "x.yaml: variable X_A stands here twice; keep one",
    )


PARTS = """contract: 1
component: x
summary: Do
promise: It does
parameters:
- {name: a, type: duration, unit: s, description: d, example: 5s, default: "5", minimum: 1s,
   maximum: 9s, aliases: [{name: --b, unit: ms}]}
- {name: c, type: choice, description: d, example: u, choices: [u, v]}
- {name: token, type: text, description: d, example: e, secret: true}
ports: [{name: web, parameter: "", protocol: HTTP, description: d, number: 80}]
routes:
- {door: web, method: GET, path: /, description: d, answers: [{status: 200, meaning: m}],
   fields: [{path: p, type: number}]}
files: [{path: /f, access: reads, description: d}]
volumes: [{path: /v, description: d}]
privileges: [{name: root, description: d}]
signals: [{name: SIGTERM, effect: e}]
exits: [{code: 1, meaning: m}]
metrics: [{name: m_total, type: counter, labels: [l], description: d}]
failures: [{fault: f, effect: e, seen: s}]
user: "7:8"
"""
TWICE = {
    "{name: web": "ports: web",
    "{status: 200": "answers: 200 of GET / of web",
    "{path: p,": "fields: p of GET / of web",
    "{path: /f": "files: /f that it reads",
    "{path: /v": "volumes: /v",
    "{name: root": "privileges: root",
    "{name: SIGTERM": "signals: SIGTERM",
    "{code: 1": "exits: 1",
    "{name: m_total": "metrics: m_total",
    "{fault: f": "failures: f",
}


@pytest.mark.parametrize(("begin", "told"), TWICE.items())
def test_what_stands_twice_in_any_part_is_told_as_its_user_calls_it(begin: str, told: str) -> None:
    rest = PARTS[PARTS.index(begin) :]
    row = rest[: rest.index("}") + 1]
    found = problems(PARTS.replace(row, f"{row}, {row}"))
    assert found == (f"x.yaml: {told} stands here twice; keep one",)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("labels: [l]", "labels: [l, l]", "labels: l of m_total stands here twice"),
        ("choices: [u, v]", "choices: [u, u]", "choices: u of c stands here twice"),
        ("component: x", "component: X Y", 'component: "X Y" is no name'),
        ("name: a,", "name: a-b,", 'parameters["a-b"].name: is no name'),
        ("name: a,", "name: a, flag: a b,", '"a b" is no flag'),
        ("name: a,", "name: a, variable: a-b,", '"a-b" is no variable'),
        ("{name: --b", "{name: b=", '"b=" is no variable'),
        ("number: 80", "number: 0", 'ports["web"].number: 0 is no port; write 1 to 65535'),
        ("number: 80", "number: 65536", "65536 is no port"),
        ("code: 1", "code: 256", "256 is no exit code; write 0 to 255"),
        ("status: 200", "status: 20", "20 of GET / of web is no status"),
        ('user: "7:8"', 'user: "7\\nRUN x"', "is no user"),
        ("unit: s", "unit: seconds", '"seconds" is no unit of a duration; write s'),
        ("unit: ms", "unit: millis", "write ms, s, m, h"),
        ("unit: ms", "unit: milliseconds", 'aliases["--b"].unit: "milliseconds" is no unit'),
        ('default: "5"', "default: 10s", 'parameters["a"].default: "10s" is too large'),
        ('default: "5"', "default: soon", 'parameters["a"].default: "soon" is not a duration'),
        ("minimum: 1s", 'minimum: "1"', 'parameters["a"].minimum: "1" is not a duration'),
        ("maximum: 9s", "maximum: 100ms", "minimum: 1s is more than the maximum"),
        ("choices: [u, v]", "choices: []", "choices: are missing"),
        ("type: text", "type: text, choices: [e]", "choices: mean nothing for type text"),
        ("type: choice", 'type: choice, minimum: "1"', "minimum: means nothing for type choice"),
        ("secret: true", "secret: true, default: e", 'parameters["token"].default: is a secret'),
    ],
)
def test_what_cannot_be_is_told_with_its_path(old: str, new: str, told: str) -> None:
    assert written.faults(written.from_text(PARTS, "x.yaml")) == []
    assert old in PARTS
    [problem] = problems(PARTS.replace(old, new, 1))
    assert told in problem


def test_an_example_that_does_not_fit_is_a_fault_but_keeps_nobody_from_reading() -> None:
    contract = written.from_text(PARTS.replace("example: 5s", "example: soon"), "x.yaml")
    [fault] = written.faults(contract)
    assert fault.startswith('parameters["a"].example: "soon" is not a duration')
    secret = written.from_text(PARTS.replace("example: e", 'example: "hunter2\\a"'), "x.yaml")
    [fault] = written.faults(secret)
    assert "hunter2" not in fault


@pytest.mark.parametrize("contract", CONTRACTS, ids=[one.component for one in CONTRACTS])
def test_ours_have_no_fault(contract: promise.Contract) -> None:
    assert written.faults(contract) == []


MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 20)
)
REPEATS = f"a: &a [{'x, ' * 9000}]\nb: [{'*a, ' * 40_000}]\n"
LAUGHS = "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (MERGES, "anchors and merge keys are not read; write it out in line 1, column 5"),
        (REPEATS, "anchors and merge keys are not read; write it out"),
        (LAUGHS, "anchors and merge keys are not read; write it out"),
        ("a: {<<: {b: 1}}", "anchors and merge keys are not read; write it out"),
        ("a: " + "1:" * 200_000 + "1", "a number is too long; write it in quotes"),
        ("a: 1\na: 2", "a name stands here twice; keep one in line 2, column 1"),
        ("? [a]\n: 1", "a name is a list or a mapping"),
        ("a: 2020-99-99", "a value is not what it says it is"),
        ("a: " + "[" * 100_000, "it is nested too deeply"),
        ("a: " + "{a: " * 100_000, "it is nested too deeply"),
    ],
    ids=[
        "merge",
        "repeat",
        "laugh",
        "one-merge",
        "long",
        "twice",
        "name",
        "date",
        "deep",
        "deeper",
    ],
)
def test_a_hostile_yaml_is_refused_before_it_is_built(text: str, told: str) -> None:
    began_s = time.monotonic()
    with pytest.raises(errors.UsageError) as caught:
        written.plain_yaml(text, "x.yaml")
    assert f"x.yaml: is neither YAML nor JSON: {told}" in str(caught.value)
    assert time.monotonic() - began_s < 60


def test_what_is_no_yaml_is_told_of_without_its_content() -> None:
    for text in (
        "a: 'hunter2",
        "a: hunter2: b",
        "a: *hunter2",
        "a: !hunter2 b",
        "a: !!int hunter2",
    ):
        with pytest.raises(errors.UsageError) as caught:
            written.plain_yaml(text, "x.yaml")
        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None


def test_plain_data_is_read_as_it_stands() -> None:
    assert written.plain_yaml('{"a": [1, "b", null, true, 0.5]}', "x") == {
        "a": [1, "b", None, True, 0.5]
    }
    assert written.plain_yaml("", "x") is None


def test_the_schema_names_every_field() -> None:
    text = json.dumps(written.schema())
    for part in promise.PARTS:
        for field in dataclasses.fields(part):
            assert f'"{promise.written_name(field.name)}"' in text
