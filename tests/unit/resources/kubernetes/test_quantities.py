"""Quantities mean what Kubernetes says, and what is a slip is told with the remedy."""

from __future__ import annotations

from fractions import Fraction

import pytest

from alongside.base import errors
from alongside.resources.kubernetes import quantities


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("0", 0), ("1", 1), ("0.5", Fraction(1, 2)), (".5", Fraction(1, 2)), ("1.", 1)),
        *(("100m", Fraction(1, 10)), ("1u", Fraction(1, 10**6)), ("7n", Fraction(7, 10**9))),
        *(("1k", 1000), ("2M", 2 * 10**6), ("3G", 3 * 10**9), ("1T", 10**12), ("1P", 10**15)),
        *(("1Ki", 1024), ("128Mi", 2**27), ("1Gi", 2**30), ("1.5Gi", 3 * 2**29), ("1Ti", 2**40)),
        *(("1Pi", 2**50), ("1Ei", 2**60), ("1E", 10**18)),
        *(("1e3", 1000), ("1E3", 1000), ("1.5e3", 1500), ("1e-3", Fraction(1, 1000))),
        *(("+1", 1), ("-1", -1)),
    ],
)
def test_reads_what_kubernetes_reads(text: str, expected: Fraction) -> None:
    assert quantities.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("128 Mi", "write it without blanks, 128Mi"),
        ("128MB", "Kubernetes' units have no B; write 128M"),
        ("128MiB", "Kubernetes' units have no B; write 128Mi"),
        ("128mi", "write 128Mi"),
        ("128K", "write 128k"),
        ("1g", "write 1G"),
        *((text, "write a number such as") for text in ["", "x", "1e", "--1", "1e999", "٣", "1k1"]),
        ("9" * 65, "write a number such as"),
    ],
)
def test_refuses_what_is_none_with_the_remedy(text: str, remedy: str) -> None:
    with pytest.raises(errors.UsageError) as caught:
        quantities.parse(text)
    assert remedy in str(caught.value)


@pytest.mark.parametrize(
    ("text", "millis"),
    [("100m", 100), ("1", 1000), ("0.0001", 1), ("1e-1", 100), ("2k", 2_000_000)],
)
def test_counts_cpus_in_thousandths_rounded_up(text: str, millis: int) -> None:
    assert quantities.cpu_millis(text) == millis


@pytest.mark.parametrize("text", ["0", "-1", "0m", "1Gi"])
def test_refuses_cpus_that_no_machine_has(text: str) -> None:
    with pytest.raises(errors.UsageError, match="out of range"):
        quantities.cpu_millis(text)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("128m", "thousandths of a byte; write 128M or 128Mi"),
        ("128", "is 128 bytes, in which nothing starts"),
        ("-1Mi", "out of range"),
        ("16Ei", "out of range"),
    ],
)
def test_refuses_memory_that_is_a_slip(text: str, remedy: str) -> None:
    with pytest.raises(errors.UsageError, match=remedy):
        quantities.memory_bytes(text)


def test_counts_sizes_in_bytes_rounded_up() -> None:
    sizes = [quantities.size_bytes(text) for text in ["1Ki", "1.5", "1e3", "128e6", "0"]]
    assert sizes == [1024, 2, 1000, 128_000_000, 0]
