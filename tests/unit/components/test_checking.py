"""What the data plane finds wrong with a document is said of the flag that a user wrote."""

import pytest

from alongside import native
from alongside.base import environment, errors
from alongside.components.dataplane import checking
from alongside.contract import flags, values
from alongside.contract.catalogue import route

WORDS = "--listen 127.0.0.1:0 --node a=127.0.0.1:1"


def problems(
    monkeypatch: pytest.MonkeyPatch, *found: tuple[str, str], words: str = WORDS, **variables: str
) -> tuple[str, ...]:
    def check_document(_: bytes) -> list[tuple[str, str]]:
        return list(found)

    monkeypatch.setattr(native, "check_document", check_document)
    read = flags.read(route.CONTRACT, words.split())
    given = values.resolve(route.CONTRACT, read, environment.Environment(variables))
    try:
        checking.check(b"{}", given)
    except errors.UsageError as error:
        return error.problems
    return ()


def test_a_right_document_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert problems(monkeypatch) == ()


def test_a_mistake_names_its_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    assert problems(monkeypatch, ("routes[0].key", "x; write y")) == ("--key: x; write y",)


def test_a_mistake_names_the_variable_that_brought_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = problems(monkeypatch, ("routes[0].key", "x; write y"), ROUTE_KEY="z")
    assert found == ("ROUTE_KEY: x; write y",)


def test_a_mistake_of_nobody_names_the_place_in_the_document(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert problems(monkeypatch, ("", "x"), ("schema", "y")) == ("document: x", "schema: y")


def test_equal_mistakes_are_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = problems(monkeypatch, ("nodes[0].id", "x"), ("routes[0].shards[0]", "x"))
    assert found == ("--node: x",)
