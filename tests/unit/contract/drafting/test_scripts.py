"""What a shell script takes from its environment is found, and what it sets itself is not."""

from __future__ import annotations

import pytest

from alongside.contract.drafting import scripts


def uses(text: str) -> dict[str, scripts.Use]:
    return {use.name: use for use in scripts.look(text).uses}


@pytest.mark.parametrize(
    ("line", "default"),
    [
        ("run ${A:-1}", "1"),
        ("run ${A-1}", "1"),
        (': "${A:=a b}"', "a b"),
        ('x="${A:-"q"}"', "q"),
        ("run ${A:-${B:-2}}", None),
        ("run ${A:-$(date)}", None),
        ("run ${A:-}", ""),
        ("run $A", None),
        ('[ -z "$A" ] && exit', None),
        ("run ${A:+yes}", None),
    ],
)
def test_a_use_is_found_with_its_default(line: str, default: str | None) -> None:
    assert uses(line)["A"].default == default


def test_what_is_needed_is_found_with_its_message() -> None:
    use = uses("#!/bin/sh\n# The key\n: ${KEY:?set a key}\n")["KEY"]
    assert (use.is_required, use.message, use.comment, use.line) == (
        True,
        "set a key",
        "The key",
        2,
    )


@pytest.mark.parametrize(
    "text",
    [
        "A=1\nrun $A",
        "for A in x; do run $A; done",
        "read -r A\nrun ${A:-1}",
        "local A\nrun $A",
        "run '$A ${A:-1}'",
        "# run ${A:-1}",
        "run \\$A",
        "run $PATH $HOME $1 $@ ${#A} ${!A}",
        "run $a $lower",
    ],
)
def test_what_is_not_from_outside_is_left_out(text: str) -> None:
    assert uses(text) == {}


def test_a_variable_that_falls_back_on_itself_is_from_outside() -> None:
    assert uses("A=${A:-1}\nrun $A")["A"].default == "1"


@pytest.mark.parametrize("line", ["file_env 'A' 'x'", 'file_env "A" x', "\tfile_env A x"])
def test_a_value_that_may_stand_in_a_file_is_found(line: str) -> None:
    use = uses(line)["A"]
    assert (use.has_file, use.default) == (True, "x")


def test_the_function_itself_is_no_use() -> None:
    assert uses("file_env() {\n") == {}


def test_exit_codes_and_signals_are_found() -> None:
    found = scripts.look("trap 'kill $p' TERM INT\nexit 0\nif x; then exit 64; fi\n")
    assert (found.exits, found.traps) == ({64: 2}, {"TERM": 0, "INT": 0})


def test_long_lines_are_passed_over() -> None:
    assert uses("x" * 10_000 + " ${A:-1}") == {}
