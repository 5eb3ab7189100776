"""Durations and sizes carry their unit; what is nearly right is answered with what to write."""

import pytest

from alongside.base import errors, units


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [
        ("500ms", 0.5),
        ("10s", 10),
        ("5m", 300),
        ("1m30s", 90),
        ("1h30m", 5400),
        ("1.5s", 1.5),
        ("0.5ms", 0.0005),
        ("87600h", units.DURATION_S_MAX),
    ],
)
def test_reads_a_duration(text: str, duration_s: float) -> None:
    assert units.parse_duration_s(text) == duration_s


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("10", "write 10s for seconds"),
        ("1d", "write 24h"),
        ("2w", "write 336h"),
        ("5 m", "without blanks, 5m"),
        ("10s\n", "without blanks, 10s"),
        ("10S", "write 10s"),
        ("-1s", "a sign is not allowed"),
        ("100us", "the smallest unit is ms"),
        ("", "such as 500ms"),
        ("1e3s", "such as 500ms"),
        ("NaN", "such as 500ms"),
        ("inf", "such as 500ms"),
        ("٣s", "such as 500ms"),
        (".5s", "such as 500ms"),
        ("00:10", "such as 500ms"),
        ("87601h", "at most 87600h"),
        ("9" * 60 + "h", "at most 87600h"),
        ("9" * 1_000_000 + "h", "such as 500ms"),
        ("0", "is zero"),
        ("0s", "is zero"),
    ],
)
def test_refuses_a_wrong_duration_with_what_to_write(text: str, remedy: str) -> None:
    with pytest.raises(errors.UsageError) as caught:
        units.parse_duration_s(text)
    assert remedy in str(caught.value)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_takes_zero_only_where_it_has_a_meaning() -> None:
    assert units.parse_duration_s("0", zero_allowed=True) == 0


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("0B", 0), ("1B", 1), ("64Ki", 65536), ("64k", 64000), ("256Mi", 2**28), ("1Gi", 2**30)],
)
def test_reads_a_size(text: str, size_bytes: int) -> None:
    assert units.parse_size_bytes(text) == size_bytes


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("64M i", "without blanks, 64Mi"),
        ("256m", "write 256Mi or 256M"),
        ("10", "write 10Mi for mebibytes or 10B"),
        ("64MB", "write 64Mi"),
        ("64MiB", "write 64Mi"),
        ("64 mb", "write 64Mi"),
        ("64K", "write 64Ki"),
        ("1g", "write 1Gi"),
        ("1.5Gi", "write 1536Mi"),
        ("0.3Gi", "fractions are not allowed"),
        ("-1Mi", "a sign is not allowed"),
        ("", "such as 64Ki"),
        ("1Ti", "such as 64Ki"),
        ("64Mi\n", "without blanks, 64Mi"),
        ("٣Mi", "such as 64Ki"),
        ("9" * 40 + "Gi", "at most 8388608Gi"),
        ("9" * 1_000_000, "such as 64Ki"),
    ],
)
def test_refuses_a_wrong_size_with_what_to_write(text: str, remedy: str) -> None:
    with pytest.raises(errors.UsageError) as caught:
        units.parse_size_bytes(text)
    assert remedy in str(caught.value)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [(0, "0"), (0.5, "500ms"), (1.5, "1.5s"), (90, "1m30s"), (3600, "1h"), (5400, "1h30m")],
)
def test_writes_durations_as_people_do(duration_s: float, text: str) -> None:
    assert units.format_duration(duration_s) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0B"), (2**28, "256Mi"), (2**30, "1Gi"), (1_500_000, "1500k"), (10**6, "1M"), (7, "7B")],
)
def test_writes_sizes_as_people_do(size_bytes: int, text: str) -> None:
    assert units.format_size(size_bytes) == text
