"""A contract is the same as a file: what is written is read back, and every mistake is named."""

import dataclasses
import json

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


def test_flags_variables_and_the_version_are_spelt_out() -> None:
    data = written.to_json(CONTRACTS[0])
    parameters = data["parameters"]
    assert isinstance(parameters, list)
    assert (parameters[0]["flag"], parameters[0]["variable"]) == ("--listen", "CACHE_LISTEN")
    assert data["version"]
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


def test_the_schema_names_every_field() -> None:
    text = json.dumps(written.schema())
    for part in promise.PARTS:
        for field in dataclasses.fields(part):
            assert f'"{promise.written_name(field.name)}"' in text
