"""Which of a program's listening sockets is meant."""

import pytest

from alongside.engines.foreground import finding


@pytest.mark.parametrize(
    ("listens", "wanted", "expected"),
    [
        ([], None, finding.Found()),
        (["127.0.0.1:8000"], None, finding.Found("127.0.0.1:8000")),
        (["127.0.0.1:8000", "[::1]:8000"], None, finding.Found("127.0.0.1:8000")),
        (["[::1]:8000"], None, finding.Found("[::1]:8000")),
        (["127.0.0.1:8000", "127.0.0.1:4000"], None, finding.Found("127.0.0.1:4000")),
        (
            ["127.0.0.1:8000", "127.0.0.1:9000"],
            None,
            finding.Found(candidates=("127.0.0.1:8000", "127.0.0.1:9000")),
        ),
        (["127.0.0.1:8000", "127.0.0.1:4000"], 8000, finding.Found("127.0.0.1:8000")),
        (["127.0.0.1:4000"], 8000, finding.Found()),
    ],
)
def test_chooses(listens: list[str], wanted: int | None, expected: finding.Found) -> None:
    assert finding.chosen(listens, given=4000, wanted=wanted) == expected
