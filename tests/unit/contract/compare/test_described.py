"""The units that a description names are found, and words that are no units are not."""

from __future__ import annotations

import pytest

from alongside.contract.compare import described, quantities


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("seconds between two looks", ["s"]),
        ("Milliseconds", ["ms"]),
        ("milli-seconds to wait", ["ms"]),
        ("how long (ms)", ["ms"]),
        ("how long, in s", ["s"]),
        ("how long, in min.", ["min"]),
        ("at most 50ms", ["ms"]),
        ("tries a second", []),
        ("tries per second", ["s"]),
        ("the second try", []),
        ("lets us try at a min. distance", []),
        ("bytes/s", ["B", "s"]),
        ("percent of memory", ["%"]),
        ("10 % of memory", ["%"]),
        ("kilobytes", ["kB"]),
        ("KiB", ["Ki"]),
        ("kibibytes", ["Ki"]),
        ("MB or more", ["M"]),
        ("weeks", ["week"]),
        ("", []),
    ],
)
def test_names_of_units_are_found(text: str, names: list[str]) -> None:
    assert described.units(text) == {quantities.unit_of(name) for name in names}
