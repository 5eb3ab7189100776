"""The golden documents from Python's side: the same files that Rust's tests read."""

from __future__ import annotations

from pathlib import Path

import pytest

from alongside import document, native
from alongside.base import errors

DOCUMENTS = Path(__file__).parent / "documents"
VALID = sorted((DOCUMENTS / "valid").glob("*.json"))
INVALID = sorted((DOCUMENTS / "invalid").glob("*.json"))


@pytest.mark.parametrize("file", VALID, ids=lambda file: file.stem)
def test_a_valid_document_is_read_and_written_without_change(file: Path) -> None:
    read = document.read(file.read_bytes())
    assert document.read(document.write(read)) == read


@pytest.mark.parametrize("file", INVALID, ids=lambda file: file.stem)
def test_an_invalid_document_is_refused_with_every_problem(file: Path) -> None:
    expected = file.with_suffix(".expected").read_text()
    told = native.check_document(file.read_bytes())
    assert "".join(f"{path or 'document'}: {message}\n" for path, message in told) == expected
    with pytest.raises(errors.UsageError) as caught:
        document.read(file.read_bytes())
    assert caught.value.problems == tuple(expected.splitlines())


def test_every_kind_of_golden_document_is_there() -> None:
    ours = {"least", "route", "cache", "balancers", "whole", "replicated", "tls", "pools"}
    assert {file.stem for file in VALID} == ours | {
        "planned_router",
        "planned_node",
        "planned_pool_router",
    }
    assert len(INVALID) == len(list((DOCUMENTS / "invalid").glob("*.expected"))) >= 20
