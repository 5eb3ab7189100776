"""What a planned process says of itself is what a user could have written for it by hand."""

from __future__ import annotations

import json

import pytest

from alongside import document
from alongside.base import environment, units
from alongside.components.dataplane import documents as dataplane
from alongside.contract import kinds, promise, values, written
from alongside.contract.catalogue import ambassador, cache, route
from alongside.plan import building, documents, told
from alongside.resources import reading, texts

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
  drainTimeout: 7s
  limits: {queue: 77, queueTimeout: 770ms}
  origin: {url: "http://127.0.0.1:9000"}
---
apiVersion: alongside.dev/v1alpha1
kind: ShardedCache
metadata: {name: sessions}
spec: {protocol: redis, shards: 2}
"""


def abouts() -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the values that each planned process says, by parameter."""
    return {
        name: {one.name: one.texts for one in _about(whole).values}
        for name, whole in rendered().items()
    }


def _about(whole: document.Document) -> document.About:
    assert whole.about is not None
    return whole.about


def rendered() -> dict[str, document.Document]:
    """Return the document of each process of the file."""
    planned = building.plan(reading.read([texts.Source("photos.yaml", "/data", FILE)]))
    names = [process.name for process in planned.processes]
    addresses = {name: f"127.0.0.1:{9001 + at}" for at, name in enumerate(names)}
    addresses |= {name: f"unix:/run/{name}.sock" for one in planned.pools for name in one.servers}
    wanted = documents.render(planned, addresses, lambda name: f"/run/{name}.sock")
    return {
        name: document.Document.from_json(
            json.loads(documents.numbered(one.body, epoch=0, generation=1))
        )
        for name, one in wanted.items()
    }


@pytest.mark.parametrize(
    ("process", "contract"),
    [
        ("photos-0-0", cache.CONTRACT),
        ("photos-router-0", route.CONTRACT),
        ("sessions-router-0", ambassador.CONTRACT),
    ],
)
def test_every_value_is_one_of_the_components(process: str, contract: promise.Contract) -> None:
    about = _about(rendered()[process])
    assert (about.component, about.contract) == (contract.component, written.digest(contract))
    found = abouts()[process]
    assert found
    for name, shown in found.items():
        for text in shown:
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
    planned = rendered()["photos-router-0"]
    by_hand = dataplane.of_route(_given(route.CONTRACT, abouts()["photos-router-0"]))
    assert _around(by_hand) == _around(planned)
    assert sorted(one.address for one in by_hand.nodes) == sorted(
        one.address for one in planned.nodes
    )
    [theirs], [ours] = by_hand.routes, planned.routes
    assert _of_route(theirs) == _of_route(ours)


def test_by_what_a_node_says_one_is_started_that_has_the_same_document() -> None:
    planned = rendered()["photos-1-0"]
    by_hand = dataplane.of_cache(_given(cache.CONTRACT, abouts()["photos-1-0"]))
    assert _around(by_hand) == _around(planned)
    assert planned.listeners[0].inner == ("127.0.0.0/8",)
    [theirs], [ours] = by_hand.caches, planned.caches
    assert (theirs.memory_bytes, theirs.object_bytes_max, theirs.replica) == (
        *(ours.memory_bytes, ours.object_bytes_max, ours.replica),
    )


def test_a_router_of_redis_says_the_limits_of_its_pool() -> None:
    planned = rendered()["sessions-router-0"]
    [pool] = planned.pools
    found = abouts()["sessions-router-0"]
    assert found["requests_max"] == (str(pool.limits.requests_max),)
    assert found["keys_max"] == (str(pool.limits.keys_max),)
    assert found["client_requests_max"] == (str(pool.limits.client_requests_max),)
    assert found["connect_timeout"] == (units.format_duration(pool.connect_timeout_ms / 1000),)
    assert pool.limits.requests_max != planned.limits.requests_max


def test_all_limits_that_have_parameters_are_told() -> None:
    planned = rendered()["photos-router-0"]
    usual = document.Limits().to_json()
    odd = {
        name: 2000 + at if value is None else int(str(value)) - 1 - at
        for at, (name, value) in enumerate(usual.items())
    }
    whole = document.Document.from_json({**planned.to_json(), "limits": {**odd}})
    words = {one.name: one.texts for one in told.about(whole).values}
    named = [one.name for one in route.CONTRACT.parameters if one.group == "Limits"]
    assert set(named) <= set(words)
    assert dataplane.of_route(_given(route.CONTRACT, words)).limits == whole.limits


def _around(whole: document.Document) -> object:
    listeners = [(one.address, one.inner) for one in whole.listeners]
    return whole.threads, whole.limits, whole.access_log, listeners


def _of_route(one: document.Route) -> object:
    """Return what of a route parameters can say."""
    health, origin = one.health, one.origin
    return (
        *(one.key, one.function, one.buffer_bytes, origin and origin.address),
        *(one.retries.percent, one.retries.fallback),
        *(health.probe, health.path, health.interval_ms, health.timeout_ms),
        *(health.errors_max, health.slow_times),
        # By hand a shard's first node has the shard's name.
        [(shard.name, shard.weight, shard.replicas[1:]) for shard in one.shards],
    )


def _given(contract: promise.Contract, told: dict[str, tuple[str, ...]]) -> values.Values:
    words = [f"--{name.replace('_', '-')}={text}" for name in told for text in told[name]]
    return values.gather(contract, words, environment.Environment({}))


def test_a_contract_is_digested_once_however_often_documents_are_rendered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rendered()
    monkeypatch.setattr(written, "digest", None)
    assert _about(rendered()["photos-1-0"]).component == "cache"
