"""Quantities are read exactly as their grammar says, and any text is answered."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alongside.base import errors
from alongside.resources.kubernetes import quantities

_UNITS = {
    "": Fraction(1),
    **{letter: Fraction(10) ** (3 * (at - 3)) for at, letter in enumerate("num")},
    **{letter: Fraction(10) ** (3 * (at + 1)) for at, letter in enumerate("kMGTPE")},
    **{f"{letter}i": Fraction(2) ** (10 * (at + 1)) for at, letter in enumerate("KMGTPE")},
}
_DIGITS = st.text("0123456789", max_size=9)


@given(whole=_DIGITS, part=_DIGITS, unit=st.sampled_from(sorted(_UNITS)))
def test_a_number_and_its_unit_are_multiplied_exactly(whole: str, part: str, unit: str) -> None:
    if not whole and not part:
        whole = "0"
    expected = Fraction(int(whole or "0") * 10 ** len(part) + int(part or "0"), 10 ** len(part))
    text = f"{whole}.{part}{unit}" if part else f"{whole}{unit}"
    assert quantities.parse(text) == expected * _UNITS[unit]


@given(number=st.integers(0, 10**6), exponent=st.integers(-18, 18), letter=st.sampled_from("eE"))
def test_an_exponent_is_one_of_ten(number: int, exponent: int, letter: str) -> None:
    assert quantities.parse(f"{number}{letter}{exponent}") == number * Fraction(10) ** exponent


@given(
    text=st.text(max_size=70)
    | st.text("0123456789.eE+-mkMGTPinu ", max_size=12)
    | st.from_regex(r"[0-9]{1,3}\.?[0-9]{0,3}[A-Za-z]{0,3}", fullmatch=True)
)
def test_any_text_is_a_number_or_a_mistake_that_can_be_shown(text: str) -> None:
    for read in [quantities.cpu_millis, quantities.size_bytes, quantities.memory_bytes]:
        try:
            assert read(text) >= quantities.parse(text) * (
                1000 if read is quantities.cpu_millis else 1
            )
        except errors.UsageError as error:
            assert str(error).isprintable()  # noqa: PT017 - both outcomes are right


@pytest.mark.parametrize("exponent", ["99", "-99"])
def test_no_exponent_is_a_long_computation(exponent: str) -> None:
    assert quantities.parse(f"1e{exponent}") == Fraction(10) ** int(exponent)
