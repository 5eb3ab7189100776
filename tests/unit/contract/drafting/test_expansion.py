"""Words are split and variables replaced as BuildKit does it."""

from __future__ import annotations

import tracemalloc

import pytest

from alongside.contract.drafting import expansion

VALUES = {"A": "one", "EMPTY": "", "B": "two"}


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("plain", "plain"),
        ("$A", "one"),
        ("${A}x", "onex"),
        ("$Ax", ""),
        ("$A/$B", "one/two"),
        ("\\$A", "$A"),
        ("'$A'", "$A"),
        ('"$A b"', "one b"),
        ('"a\\"b"', 'a"b'),
        ('"a\\nb"', "a\\nb"),
        ("a\\ b", "a b"),
        ("${NONE:-else}", "else"),
        ("${EMPTY:-else}", "else"),
        ("${EMPTY-else}", ""),
        ("${A:+yes}", "yes"),
        ("${EMPTY:+yes}", ""),
        ("${EMPTY+yes}", "yes"),
        ("${NONE:-${B}}", "two"),
        ("${NONE:-a b}", "a b"),
        ("$", "$"),
        ("a$.b", "a$.b"),
        ("'open", "open"),
    ],
)
def test_a_word_is_expanded(raw: str, text: str) -> None:
    found = expansion.expand(raw, VALUES.get)
    assert (found.text, found.is_known) == (text, True)


@pytest.mark.parametrize("raw", ["${A#o}", "${A/o/x}", "${NONE:?why}"])
def test_what_cannot_be_computed_is_said_to_be_unknown(raw: str) -> None:
    assert not expansion.expand(raw, VALUES.get).is_known


def test_names_are_told_in_their_order() -> None:
    assert expansion.expand("$B-${A:-$C}-$B", VALUES.get).names == ("B", "A", "C")


def test_the_other_escape_character_counts_where_it_is_chosen() -> None:
    assert expansion.expand("C:\\x`$A", VALUES.get, "`").text == "C:\\x$A"


def test_words_end_at_blanks_outside_quotes() -> None:
    found = expansion.words("a='b c' \"d e\" f\\ g  'open h")
    assert [word.raw for word in found] == ["a='b c'", '"d e"', "f\\ g", "'open h"]
    assert [word.at for word in found] == [0, 8, 14, 20]


def test_values_that_double_at_each_step_stay_bounded() -> None:
    value = "x"
    for _ in range(64):
        value = expansion.expand("$V$V", {"V": value}.get).text
    assert len(value) <= expansion.TEXT_LENGTH_MAX


def test_a_long_value_that_is_used_often_fills_no_memory() -> None:
    value = "x" * expansion.TEXT_LENGTH_MAX
    tracemalloc.start()
    try:
        assert not expansion.expand("$V" * 8000, {"V": value}.get).is_known
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


def test_nesting_is_bounded() -> None:
    assert not expansion.expand("${X:-" * 5000, VALUES.get).is_known
