"""Documents as typed values: built, written, read back, refused with every problem."""

from __future__ import annotations

import dataclasses
import json

import pytest

from alongside import document
from alongside.base import errors


def a_route() -> document.Document:
    """Return a document of one listener, one route, one shard, one node."""
    return document.Document(
        schema=1,
        epoch=0,
        generation=1,
        listeners=(document.Listener(name="web", address="127.0.0.1:8080", serves="photos"),),
        nodes=(document.Node(id="photos-0", address="127.0.0.1:9001"),),
        routes=(
            document.Route(
                name="photos",
                key="request.uri",
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
    wrong = dataclasses.replace(a_route(), threads=65, nodes=())
    with pytest.raises(errors.UsageError) as caught:
        document.write(wrong)
    assert caught.value.problems == (
        "threads: 65 is out of range; write 1 to 64",
        'routes[0].shards[0].replicas[0]: "photos-0": no node has this id; define it',
    )


def test_text_beyond_ascii_is_kept() -> None:
    route = dataclasses.replace(a_route().routes[0], key="'ü' + request.uri")
    written = document.write(dataclasses.replace(a_route(), routes=(route,)))
    assert "ü".encode() in written
    assert document.read(written).routes[0].key == "'ü' + request.uri"
