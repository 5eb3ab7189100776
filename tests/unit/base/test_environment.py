"""The environment is a value that cannot change."""

import pytest

from alongside.base import environment


def test_later_changes_of_the_source_are_not_seen() -> None:
    source = {"A": "1"}
    taken = environment.Environment(source)
    source["A"] = "2"
    assert taken["A"] == "1"
    assert taken.get("B") is None


def test_adding_variables_leaves_the_original_alone() -> None:
    taken = environment.Environment({"A": "1"})
    child = taken.with_variables({"A": "2", "B": "3"})
    assert dict(child) == {"A": "2", "B": "3"}
    assert dict(taken) == {"A": "1"}


def test_its_repr_shows_no_value() -> None:
    assert "hunter2" not in repr(environment.Environment({"PASSWORD": "hunter2"}))


def test_reads_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALONGSIDE_TEST_MARK", "here")
    assert environment.of_process()["ALONGSIDE_TEST_MARK"] == "here"
