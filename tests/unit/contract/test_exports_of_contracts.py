"""What editors and Dockerfiles get of a contract is what the contract says."""

import dataclasses
import json

import pytest
import yaml

from alongside.base import environment
from alongside.contract import catalogue, exports, filed, promise, values, written

CONTRACTS = [catalogue.contract_of(name) for name in catalogue.NAMES]


def sample(*, unit: str = "", default: str | None = None) -> promise.Contract:
    wait = promise.Parameter(
        name="wait",
        kind=promise.Kind.DURATION,
        description="how long",
        example="5s",
        default=default,
        unit=unit,
        aliases=(
            promise.Alias(name="--pause", deprecated=promise.Deprecation(since="1", until="2")),
        ),
    )
    secret = promise.Parameter(
        name="password",
        kind=promise.Kind.TEXT,
        description="a secret",
        example='a "$b"\\',
        is_secret=True,
        default="x",
    )
    return promise.Contract(
        component="x",
        summary="Do",
        promise="",
        version="1.2",
        parameters=(wait, secret),
        ports=(promise.Port("web", "", "HTTP", "clients", 80),),
        volumes=(promise.Volume("/data", "what is kept"),),
        user="7",
    )


@pytest.mark.parametrize("contract", CONTRACTS, ids=[one.component for one in CONTRACTS])
def test_a_file_of_all_defaults_by_the_schema_is_a_file_that_is_read(
    contract: promise.Contract,
) -> None:
    schema = exports.parameters_schema(contract)
    properties = schema["properties"]
    assert isinstance(properties, dict)
    settable = [one for one in contract.parameters if not one.is_argument]
    flags = [
        flag
        for one in settable
        if one != promise.PARAMETERS_FILE
        for flag in (one.flag, *(alias.name for alias in one.aliases if alias.is_flag))
    ]
    names = {filed.key_of(flag) for flag in flags}
    assert set(properties) == names
    text = yaml.safe_dump(
        {name: one["default"] for name, one in properties.items() if "default" in one}
    )
    found = filed.parse(contract, text.encode(), "x.yaml")
    assert found.problems == ()
    assert len(found.lines) == sum(one.default is not None for one in settable)
    assert json.loads(json.dumps(schema)) == schema


def test_an_old_name_is_there_and_marked() -> None:
    properties = exports.parameters_schema(sample())["properties"]
    assert isinstance(properties, dict)
    assert properties["pause"]["deprecated"] is True
    assert "deprecated" not in properties["wait"]
    assert properties["wait"]["pattern"].startswith("^")
    with_unit = exports.parameters_schema(sample(unit="s"))["properties"]
    assert isinstance(with_unit, dict)
    assert with_unit["wait"]["type"] == ["string", "number"]


def test_every_variable_port_and_volume_has_its_line() -> None:
    text = exports.dockerfile(sample(default="5s"))
    lines = [line for line in text.splitlines() if not line.startswith("# ") or "ENV" in line]
    digest = written.digest(sample(default="5s"))
    assert lines == [
        "ENV X_WAIT=5s",
        r'# ENV X_PASSWORD="a \"\$b\"\\"',
        "EXPOSE 80/tcp",
        'VOLUME ["/data"]',
        'LABEL org.opencontainers.image.title="x"',
        'LABEL org.opencontainers.image.description="Do"',
        'LABEL org.opencontainers.image.version="1.2"',
        f'LABEL dev.alongside.contract.x="{digest}"',
        "USER 7",
    ]
    assert "# how long (duration)" in text


def test_a_line_for_each_variable_of_ours_with_the_value_that_it_has_anyway() -> None:
    contract = catalogue.contract_of("cache")
    lines = exports.dockerfile(contract).splitlines()
    set_ones = dict(line[4:].split("=", 1) for line in lines if line.startswith("ENV "))
    least = {"CACHE_LISTEN": "127.0.0.1:0", "CACHE_ORIGIN": "http://h:1"}
    silent = values.gather(contract, [], environment.Environment(least))
    told = values.gather(contract, [], environment.Environment(least | set_ones))
    assert silent.shown() == told.shown()


def test_no_text_of_a_contract_is_a_line_of_its_own() -> None:
    contract = sample(default="5s")
    hostile = "syntax=evil\nRUN curl\r\u2028RUN wget"
    wait, secret = contract.parameters
    contract = dataclasses.replace(
        contract,
        summary=hostile + ' "$HOME"',
        version="1\nRUN curl",
        user="7\nRUN curl",
        parameters=(
            dataclasses.replace(wait, description=hostile, unset=hostile, example=hostile),
            dataclasses.replace(secret, is_secret=False, default=hostile, example=hostile),
        ),
        ports=(promise.Port("web", "", hostile, hostile, 80),),
        volumes=(promise.Volume("/data\nRUN curl", hostile),),
    )
    text = exports.dockerfile(contract)
    first, *lines = text.splitlines()
    assert first == "# Parameters of x"
    assert {line.partition(" ")[0] for line in lines} == {
        *("#", "ENV", "EXPOSE", "VOLUME", "LABEL", "USER")
    }
    assert r"\"\$HOME\"" in text
    assert "hunter2" not in text


def test_a_parameter_without_a_flag_has_no_place_in_a_file() -> None:
    contract = sample()
    wait, secret = contract.parameters
    without = dataclasses.replace(
        contract, parameters=(wait, dataclasses.replace(secret, own_flag=""))
    )
    properties = exports.parameters_schema(without)["properties"]
    assert isinstance(properties, dict)
    assert set(properties) == {"wait", "pause"}
    assert filed.parse(without, b'"": x', "x.yaml").problems


def test_a_text_may_be_written_as_a_number_and_a_secret_default_is_not_told() -> None:
    properties = exports.parameters_schema(sample())["properties"]
    assert isinstance(properties, dict)
    assert properties["password"]["type"] == ["string", "number"]
    assert "default" not in properties["password"]
