"""The doors answer with the statuses and fields that the contracts promise, no more and no less."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.e2e import plane, upstream, wire

from alongside.contract.catalogue import doors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alongside.contract import promise

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "string or null": (str, type(None)),
}


def ok(_: wire.Message) -> bytes:
    return wire.answer(b"ok")


def route(path: str) -> promise.Route:
    [found] = [one for one in doors.ROUTES if one.path == path]
    return found


def leaves(value: object, path: str, whole: set[str]) -> Iterator[tuple[str, object]]:
    """Yield every value with its path; what is promised as an object is not looked into."""
    if path in whole:
        yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name, whole)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, f"{path}[]", whole)
    else:
        yield path, value


def check(found: promise.Route, status: int, body: object, *, lacking: str = "-") -> None:
    """Check an answer; fields that begin with `lacking` may be away."""
    assert status in {answer.status for answer in found.answers}
    types = {field.path: field.type for field in found.fields}
    whole = {path for path, type_ in types.items() if type_ == "object"}
    there = list(leaves(body, "", whole))
    for path, value in there:
        assert path in types, f"{found.path} answers {path}, which nobody promised"
        assert isinstance(value, TYPES[types[path]]), (path, value)
    missing = types.keys() - {path for path, _ in there}
    assert {path for path in missing if not path.startswith((lacking, "errors"))} == set()


def test_what_is_read_is_as_promised() -> None:
    about = {"component": "route", "contract": "0" * 64, "values": [{"name": "a", "texts": ["b"]}]}
    with (
        upstream.Upstream.answering(ok) as origin,
        plane.running(plane.document("route", origin.address, about=about)) as process,
    ):
        for path, query in (
            ("/version", ""),
            ("/snapshot", ""),
            ("/explain", "?route=main&url=http://h/a"),
        ):
            status, body = process.admin("GET", path + query)
            check(route(path), status, body)
        for query in ("?route=none&url=/", "?route=main"):
            status, _ = process.admin("GET", f"/explain{query}")
            assert status in {answer.status for answer in route("/explain").answers}


@pytest.mark.parametrize("path", ["/serve", "/drain"])
def test_what_is_ordered_is_answered_as_promised(path: str) -> None:
    with plane.answering(ok) as (_, __, process):
        status, body = process.admin("POST", path)
        check(route(path), status, body)
