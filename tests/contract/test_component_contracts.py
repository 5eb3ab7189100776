"""Our own contracts are whole: every parameter has its help, page, example and limits."""

import re
from pathlib import Path

import click
import pytest

from alongside.base import environment
from alongside.cli import options, table
from alongside.contract import __main__ as writer
from alongside.contract import catalogue, kinds, promise

PAGES = Path(__file__).parents[2] / "docs" / "contracts"
CONTRACTS = [catalogue.contract_of(name) for name in catalogue.NAMES]


def by_parameter() -> list[tuple[promise.Contract, promise.Parameter]]:
    return [(contract, parameter) for contract in CONTRACTS for parameter in contract.parameters]


def name_of(value: object) -> str:
    match value:
        case promise.Contract():
            return value.component
        case promise.Parameter():
            return value.name
        case _:
            return str(value)


def start(_words: object, _variables: environment.Environment) -> None:
    raise AssertionError("help must not start anything")


def help_of(contract: promise.Contract) -> str:
    command = options.ContractCommand(contract, start)
    shown = command.get_help(click.Context(command, info_name=contract.component))
    return re.sub(r"\s+", " ", shown)


def test_the_pages_are_as_the_contracts_say() -> None:
    assert writer.stale(PAGES) == [], "run .venv/bin/python -m alongside.contract docs/contracts"


@pytest.mark.parametrize(("contract", "parameter"), by_parameter(), ids=name_of)
def test_every_parameter_stands_in_help_and_on_the_page(
    contract: promise.Contract, parameter: promise.Parameter
) -> None:
    page = (PAGES / f"{contract.component}.md").read_text()
    variable = contract.variable(parameter) or parameter.flag
    for text in (parameter.flag, variable, parameter.description):
        assert text in help_of(contract)
    for text in (f"`{parameter.flag}`", variable, parameter.example):
        assert text in page


@pytest.mark.parametrize(("contract", "parameter"), by_parameter(), ids=name_of)
def test_every_default_and_example_is_within_its_own_limits(
    contract: promise.Contract, parameter: promise.Parameter
) -> None:
    assert parameter.example, f"{contract.component}: {parameter.flag} has no example"
    for text in filter(None, (parameter.default, parameter.example)):
        kinds.read(text, parameter)


@pytest.mark.parametrize(("contract", "parameter"), by_parameter(), ids=name_of)
def test_every_parameter_says_what_happens_without_it(
    contract: promise.Contract, parameter: promise.Parameter
) -> None:
    ways = [parameter.is_required, parameter.default is not None, bool(parameter.unset)]
    assert ways.count(True) == 1, f"{contract.component}: {parameter.flag}"


@pytest.mark.parametrize("contract", CONTRACTS, ids=name_of)
def test_names_are_unique_and_the_failure_table_is_not_empty(contract: promise.Contract) -> None:
    names = [parameter.name for parameter in contract.parameters]
    assert len(names) == len(set(names))
    assert contract.failures
    assert {one.code for one in contract.exits} >= {0, 1, 2}


@pytest.mark.parametrize("contract", CONTRACTS, ids=name_of)
def test_ports_name_parameters_of_the_contract(contract: promise.Contract) -> None:
    for port in contract.ports:
        contract.parameter(port.parameter)


def test_the_table_of_commands_says_what_the_contracts_say() -> None:
    for contract in CONTRACTS:
        if contract.component in table.COMMANDS:
            assert table.COMMANDS[contract.component] == contract.summary


@pytest.mark.parametrize("contract", CONTRACTS, ids=name_of)
def test_a_contract_names_the_file_as_a_source_where_it_reads_one(
    contract: promise.Contract,
) -> None:
    reads = promise.PARAMETERS_FILE in contract.parameters
    assert ("file" in contract.precedence) == reads


@pytest.mark.parametrize("contract", CONTRACTS, ids=name_of)
def test_calls_say_their_statuses_and_what_is_made_its_mode(contract: promise.Contract) -> None:
    assert [route.path for route in contract.routes if not route.answers] == []
    made = [file for file in contract.files if "makes" in file.access]
    assert [file.path for file in made if not file.mode] == []


@pytest.mark.parametrize("contract", CONTRACTS, ids=name_of)
def test_a_secret_has_no_default(contract: promise.Contract) -> None:
    assert [one.name for one in contract.parameters if one.is_secret and one.default] == []
