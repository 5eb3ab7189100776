"""Whatever is wrong with a value, in a flag, a variable or a file: a line each, and nothing starts.

Every parameter of every component of ours is given every kind of mistake it can have, all in one
go, and each has to be answered on a line of its own that names its place.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alongside.base import environment, errors, units
from alongside.contract import catalogue, filed, promise, values

Kind = promise.Kind
MEGABYTE = "x" * 2**20
LINE_MAX = 400
"""Characters: what is wrong must fit a terminal, however long the value was."""


def mistakes(parameter: promise.Parameter) -> Iterator[str]:
    """Yield texts that a parameter has to refuse."""
    yield from ("", MEGABYTE, "1" * 2**20)
    if parameter.kind in {Kind.DURATION, Kind.SIZE}:
        yield from ("10", "10 s", "-5s", "5d", "10m\n", "ten")
    if parameter.kind is Kind.BOOLEAN:
        yield from ("yes", "1", "TRUE")
    if parameter.kind is Kind.CHOICE:
        yield "nothing-of-the-kind"
        yield from {parameter.choices[0].upper()} - set(parameter.choices)  # a number has no case
    if parameter.kind in {Kind.INTEGER, Kind.NUMBER, Kind.PORT}:
        yield from ("0x10", "1.5", "1 ", "\N{ARABIC-INDIC DIGIT THREE}")
    if parameter.kind in {Kind.ADDRESS, Kind.URL, Kind.CIDR, Kind.NODE, Kind.REPLICA}:
        yield from (":", "a b", "\N{SNOWMAN}")
    yield from beyond(parameter)


def beyond(parameter: promise.Parameter) -> Iterator[str]:
    """Yield what is just out of a parameter's range."""
    least, most = parameter.minimum, parameter.maximum
    match parameter.kind:
        case Kind.INTEGER:
            yield from [str(int(least) - 1)] if least else []
            yield from [str(int(most) + 1)] if most else []
        case Kind.SIZE:
            yield from [f"{units.parse_size_bytes(most) + 1}B"] if most else []
        case Kind.DURATION:
            yield from [f"{units.parse_duration_s(most) * 1000 + 1:.0f}ms"] if most else []
        case Kind.TEXT | Kind.PATH:
            yield from ["x" * (int(most) + 1)] if most else []
        case _:
            return


Case = tuple[str, promise.Parameter]


def cases(wanted: Callable[[promise.Contract, promise.Parameter], bool]) -> list[Case]:
    """Return the parameters of all components that can be wrong in a way."""
    contracts = [catalogue.contract_of(name) for name in catalogue.NAMES]
    both = [(one, parameter) for one in contracts for parameter in one.parameters]
    return [(one.component, parameter) for one, parameter in both if wanted(one, parameter)]


def has_flag(_: promise.Contract, parameter: promise.Parameter) -> bool:
    return not parameter.is_argument


def has_variable(contract: promise.Contract, parameter: promise.Parameter) -> bool:
    return contract.variable(parameter) is not None


def has_line(contract: promise.Contract, parameter: promise.Parameter) -> bool:
    has_file = promise.PARAMETERS_FILE in contract.parameters
    return has_file and not parameter.is_argument and parameter != promise.PARAMETERS_FILE


def stands_once(_: promise.Contract, parameter: promise.Parameter) -> bool:
    return not parameter.is_argument and not parameter.is_repeated


def can_be_misspelt(contract: promise.Contract, parameter: promise.Parameter) -> bool:
    variable = contract.variable(parameter) or ""  # whose variable is misspelt is told by a prefix
    return variable.startswith(contract.prefix) and len(parameter.name) > 3


def problems(component: str, words: list[str], variables: dict[str, str]) -> tuple[str, ...]:
    contract = catalogue.contract_of(component)
    with pytest.raises(errors.UsageError) as caught:
        values.gather(contract, words, environment.Environment(variables))
    return caught.value.problems


def about(found: tuple[str, ...], place: str) -> list[str]:
    """Return the lines of a place, after seeing that all are lines."""
    for line in found:
        assert line.isprintable(), repr(line)[:LINE_MAX]
        assert len(line) <= LINE_MAX, line[:LINE_MAX]
    return [line for line in found if line.startswith(f"{place}: ")]


@pytest.mark.parametrize(("component", "parameter"), cases(has_flag), ids=str)
def test_a_wrong_flag_is_one_line_that_names_it(
    component: str, parameter: promise.Parameter
) -> None:
    for text in mistakes(parameter):
        found = problems(component, [f"{parameter.flag}={text}"], {})
        assert len(about(found, parameter.flag)) == 1, (text[:40], found)


@pytest.mark.parametrize(("component", "parameter"), cases(has_variable), ids=str)
def test_a_wrong_variable_is_one_line_that_names_it(
    component: str, parameter: promise.Parameter
) -> None:
    variable = catalogue.contract_of(component).variable(parameter)
    assert variable is not None
    for text in mistakes(parameter):
        is_split = parameter.is_repeated and (" " in text or "\n" in text)
        found = problems(component, [], {variable: text})
        lines = about(found, variable)
        assert len(lines) == 1 or (is_split and lines), (text[:40], found)


@pytest.mark.parametrize(("component", "parameter"), cases(has_variable), ids=str)
def test_a_wrong_variable_is_told_also_where_a_flag_says_better(
    component: str, parameter: promise.Parameter
) -> None:
    variable = catalogue.contract_of(component).variable(parameter)
    assert variable is not None
    found = problems(component, [f"{parameter.flag}={parameter.example}"], {variable: ""})
    assert len(about(found, variable)) == 1
    assert about(found, parameter.flag) == []


@pytest.mark.parametrize(("component", "parameter"), cases(has_line), ids=str)
def test_a_wrong_line_of_a_file_is_one_line_that_names_it(
    component: str, parameter: promise.Parameter, tmp_path: Path
) -> None:
    name = filed.key_of(parameter.flag)
    path = tmp_path / "x.yaml"
    for text in mistakes(parameter):
        if len(text) > filed.BYTES_MAX // 2:
            continue  # the file itself is too long then
        quoted = text.replace("\\", "\\\\").replace("\n", "\\n")
        path.write_text(f'{name}: "{quoted}"\n')
        found = problems(component, ["--parameters", str(path)], {})
        assert len(about(found, f"x.yaml:1: {name}")) == 1, (text[:40], found)


@pytest.mark.parametrize(("component", "parameter"), cases(stands_once), ids=str)
def test_given_twice_is_one_line_unless_it_repeats(
    component: str, parameter: promise.Parameter
) -> None:
    word = f"{parameter.flag}={parameter.example}"
    found = problems(component, [word, word, "--no-such-flag"], {})
    assert about(found, parameter.flag) == [f"{parameter.flag}: is given 2 times; write it once"]


@pytest.mark.parametrize(("component", "parameter"), cases(can_be_misspelt), ids=str)
def test_a_misspelt_name_is_one_line_that_knows_what_was_meant(
    component: str, parameter: promise.Parameter
) -> None:
    variable = catalogue.contract_of(component).variable(parameter)
    flag = parameter.flag[:-2] + parameter.flag[-1] + parameter.flag[-2]
    flag = flag if flag != parameter.flag else f"{flag}x"
    misspelt = f"{variable}X"
    found = problems(component, [f"{flag}={parameter.example}"], {misspelt: parameter.example})
    assert len(about(found, f'"{flag}"')) == 1, found
    [line] = about(found, f'"{misspelt}"')
    assert f"did you mean {variable}?" in line


@pytest.mark.parametrize("component", ["cache", "route"])
def test_all_of_it_at_once_ends_with_2_and_starts_nothing(component: str, tmp_path: Path) -> None:
    contract = catalogue.contract_of(component)
    file = tmp_path / "x.yaml"
    file.write_text("threads: many\nno-such: 1\n")
    words = ["--listen=", "--no-such-flag", "--head-max=1", "--head-max=2", f"--parameters={file}"]
    variables = {
        f"{contract.prefix}IDLE_TIMEOUT": "10",
        f"{contract.prefix}QUEUE_MAX": "-1",
        f"{contract.prefix}NO_SUCH": "1",
        f"{contract.prefix}SERVICE_HOST": "10.0.0.1",
        f"{contract.prefix}PORT": "tcp://10.0.0.1:80",
    }
    ran = subprocess.run(
        [sys.executable, "-m", "alongside", component, *words],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 2
    lines = ran.stderr.splitlines()
    assert all(line.startswith(f"alongside {component}: ") for line in lines)
    places = [line.split(": ")[1] for line in lines]
    for place in (
        '"--no-such-flag"',
        "x.yaml:2",
        "--listen",
        "--head-max",
        f"{contract.prefix}IDLE_TIMEOUT",
        f"{contract.prefix}QUEUE_MAX",
        f'"{contract.prefix}NO_SUCH"',
        "x.yaml:1",
    ):
        assert places.count(place) == 1, (place, ran.stderr)
    assert "listening" not in ran.stderr
