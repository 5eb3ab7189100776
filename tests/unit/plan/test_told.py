"""What a planned process says of itself is what a user could have written for it by hand."""

from __future__ import annotations

import json
from typing import TypedDict

import pytest

from alongside.base import environment
from alongside.contract import kinds, promise, values, written
from alongside.contract.catalogue import ambassador, cache, route
from alongside.plan import building, documents
from alongside.resources import reading

FILE = """\
apiVersion: alongside.dev/v1alpha1
kind: ShardedCache
metadata: {name: photos}
spec:
  protocol: http
  port: 8080
  shards: 2
  replicas: 2
  memory: 8Mi
  origin: {url: "http://127.0.0.1:9000"}
---
apiVersion: alongside.dev/v1alpha1
kind: ShardedCache
metadata: {name: sessions}
spec: {protocol: redis, shards: 2}
"""


class Told(TypedDict):
    """What a document says its process was started as."""

    component: str
    contract: str
    values: list[Texts]


class Texts(TypedDict):
    """A parameter and its values."""

    name: str
    texts: list[str]


def abouts() -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the values that each planned process says, by parameter."""
    return {
        name: {one["name"]: tuple(one["texts"]) for one in told["values"]}
        for name, told in _bodies().items()
    }


def _bodies() -> dict[str, Told]:
    planned = building.plan(reading.read([reading.Source("photos.yaml", "/data", FILE)]))
    names = [process.name for process in planned.processes]
    addresses = {name: f"127.0.0.1:{9001 + at}" for at, name in enumerate(names)}
    addresses |= {name: f"unix:/run/{name}.sock" for one in planned.pools for name in one.servers}
    wanted = documents.render(planned, addresses, lambda name: f"/run/{name}.sock")
    return {name: json.loads(one.body)["about"] for name, one in wanted.items()}


@pytest.mark.parametrize(
    ("process", "contract"),
    [
        ("photos-0-0", cache.CONTRACT),
        ("photos-router-0", route.CONTRACT),
        ("sessions-router-0", ambassador.CONTRACT),
    ],
)
def test_every_value_is_one_of_the_components(process: str, contract: promise.Contract) -> None:
    told = _bodies()[process]
    assert (told["component"], told["contract"]) == (
        contract.component,
        written.digest(contract),
    )
    found = abouts()[process]
    assert found
    for name, texts in found.items():
        for text in texts:
            kinds.read(text, contract.parameter(name))


def test_a_node_and_a_router_say_what_they_are_for() -> None:
    found = abouts()
    node, router = found["photos-1-0"], found["photos-router-0"]
    assert (node["id"], node["memory"]) == (("photos-1-0",), ("8Mi",))
    assert [one.partition("=")[0] for one in node["sibling"]] == ["photos-1-1"]
    assert [one.partition("=")[0] for one in router["replica"]] == [
        "photos-0/photos-0-1",
        "photos-1/photos-1-1",
    ]
    words = [f"--{name.replace('_', '-')}={text}" for name in router for text in router[name]]
    given = values.gather(route.CONTRACT, words, environment.Environment({}))
    assert given.shown()["node"] == router["node"]
