"""Documents as typed values: built, written, read back, refused with every problem."""

from __future__ import annotations

import json

import pytest

from alongside import document
from alongside.base import errors

NODE = document.Node(id="photos-0", address="127.0.0.1:9001")


def a_route(
    *, key: str = "request.uri", threads: int = 1, nodes: tuple[document.Node, ...] = (NODE,)
) -> document.Document:
    """Return a document of one listener, one route, one shard, one node."""
    return document.Document(
        schema=1,
        epoch=0,
        generation=1,
        listeners=(document.Listener(name="web", address="127.0.0.1:8080", serves="photos"),),
        threads=threads,
        nodes=nodes,
        routes=(
            document.Route(
                name="photos",
                key=key,
                function="ketama",
                shards=(document.Shard(name="photos-0", replicas=("photos-0",)),),
            ),
        ),
    )


def test_a_document_is_written_whole_and_read_back_equal() -> None:
    content = document.write(a_route())
    told = json.loads(content)
    assert told["limits"]["idle_timeout_ms"] == 60_000
    assert told["routes"][0]["shards"] == [
        {"name": "photos-0", "replicas": ["photos-0"], "weight": 1}
    ]
    assert document.read(content) == a_route()


def test_what_a_document_leaves_out_is_filled_in() -> None:
    read = document.read(b'{"schema": 1, "epoch": 2, "generation": 3}')
    assert read == document.Document(schema=1, epoch=2, generation=3)
    assert (read.threads, read.status, read.limits) == (1, None, document.Limits())


def test_a_document_that_the_data_plane_would_refuse_is_not_written() -> None:
    with pytest.raises(errors.UsageError) as caught:
        document.write(a_route(threads=65, nodes=()))
    assert caught.value.problems == (
        "threads: 65 is out of range; write 1 to 64",
        'routes[0].shards[0].replicas[0]: "photos-0": no node has this id; define it',
    )


def test_text_beyond_ascii_is_kept() -> None:
    written = document.write(a_route(key="'ü' + request.uri"))
    assert "ü".encode() in written
    assert document.read(written).routes[0].key == "'ü' + request.uri"


def test_values_are_equal_by_class_and_fields() -> None:
    assert document.Admin(path="/a") == document.Admin(path="/a")
    assert hash(a_route()) == hash(a_route())
    assert document.Admin(path="/a") != document.Admin(path="/b")
    assert document.Admin(path="/a") != document.Status(address="/a")
    assert repr(NODE) == "Node(address='127.0.0.1:9001', id='photos-0')"


@pytest.mark.parametrize("given", [{}, {"path": "/a", "pth": "/b"}, {"pth": "/b"}])
def test_a_value_takes_its_own_fields_and_all_that_have_no_default(given: dict[str, str]) -> None:
    with pytest.raises(TypeError):
        document.Admin(**given)


def test_a_value_never_changes() -> None:
    with pytest.raises(AttributeError, match="cannot be changed"):
        setattr(NODE, "id", "other")  # noqa: B010 - mypy refuses it written plainly
    with pytest.raises(AttributeError, match="cannot be removed"):
        del NODE.id
    assert NODE.id == "photos-0"
