"""What a planned process says of itself is what a user could have written for it by hand."""

from __future__ import annotations

import json
from typing import Any, TypedDict

import pytest

from alongside.base import environment
from alongside.components.dataplane import documents as dataplane
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
    return {name: body["about"] for name, body in rendered().items()}


def rendered() -> dict[str, Any]:
    """Return the document of each process of the file."""
    planned = building.plan(reading.read([reading.Source("photos.yaml", "/data", FILE)]))
    names = [process.name for process in planned.processes]
    addresses = {name: f"127.0.0.1:{9001 + at}" for at, name in enumerate(names)}
    addresses |= {name: f"unix:/run/{name}.sock" for one in planned.pools for name in one.servers}
    wanted = documents.render(planned, addresses, lambda name: f"/run/{name}.sock")
    return {name: json.loads(one.body) for name, one in wanted.items()}


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


def test_by_what_a_router_says_one_is_started_that_has_the_same_document() -> None:
    body = rendered()["photos-router-0"]
    by_hand = dataplane.of_route(_given(route.CONTRACT, abouts()["photos-router-0"])).to_json()
    for name in ("threads", "limits", "access_log"):
        assert by_hand[name] == body[name]
    addresses = [sorted(one["address"] for one in whole["nodes"]) for whole in (by_hand, body)]
    assert addresses[0] == addresses[1]
    [theirs], [ours] = by_hand["routes"], body["routes"]
    for name in ("key", "function", "buffer_bytes"):
        assert theirs[name] == ours[name]
    # By hand a shard's first node has the shard's name.
    shards = [
        [(one["name"], one["weight"], one["replicas"][1:]) for one in whole["shards"]]
        for whole in (theirs, ours)
    ]
    assert shards[0] == shards[1]
    for part, names in {
        "health": ("probe", "path", "interval_ms", "timeout_ms", "errors_max", "slow_times"),
        "retries": ("percent", "fallback"),
        "origin": ("address",),
    }.items():
        assert [theirs[part][name] for name in names] == [ours[part][name] for name in names]
    [theirs], [ours] = by_hand["listeners"], body["listeners"]
    assert (theirs["address"], theirs["inner"]) == (ours["address"], ours["inner"])


def test_by_what_a_node_says_one_is_started_that_has_the_same_document() -> None:
    body = rendered()["photos-1-0"]
    by_hand = dataplane.of_cache(_given(cache.CONTRACT, abouts()["photos-1-0"])).to_json()
    assert (by_hand["threads"], by_hand["limits"]) == (body["threads"], body["limits"])
    [theirs], [ours] = by_hand["caches"], body["caches"]
    for name in ("memory_bytes", "object_bytes_max", "replica"):
        assert theirs[name] == ours[name]
    [theirs], [ours] = by_hand["listeners"], body["listeners"]
    assert (theirs["address"], theirs["inner"]) == (ours["address"], ["127.0.0.0/8"])


def _given(contract: promise.Contract, told: dict[str, tuple[str, ...]]) -> values.Values:
    words = [f"--{name.replace('_', '-')}={text}" for name in told for text in told[name]]
    return values.gather(contract, words, environment.Environment({}))


def test_a_contract_is_digested_once_however_often_documents_are_rendered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rendered()
    monkeypatch.setattr(written, "digest", None)
    assert rendered()["photos-1-0"]["about"]["component"] == "cache"
