"""Units read back what they write, and answer any text."""

from hypothesis import given
from hypothesis import strategies as st

from alongside.base import errors, units


@given(st.integers(0, int(units.DURATION_S_MAX) * 1000))
def test_reads_back_every_duration_it_writes(duration_ms: int) -> None:
    text = units.format_duration(duration_ms / 1000)
    assert round(units.parse_duration_s(text, zero_allowed=True) * 1000) == duration_ms


@given(st.integers(0, units.SIZE_BYTES_MAX))
def test_reads_back_every_size_it_writes(size_bytes: int) -> None:
    assert units.parse_size_bytes(units.format_size(size_bytes)) == size_bytes


@given(st.text(max_size=80))
def test_answers_any_text_with_a_value_or_a_usage_error(text: str) -> None:
    for parse in (units.parse_duration_s, units.parse_size_bytes):
        try:
            assert parse(text) >= 0
        except errors.UsageError as error:
            assert str(error).isprintable()  # noqa: PT017 - both outcomes are right
