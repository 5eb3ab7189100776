"""Values become the document that the data plane reads."""

import pytest

from alongside import document
from alongside.base import environment, errors
from alongside.components.dataplane import documents
from alongside.contract import flags, promise, values
from alongside.contract.catalogue import cache, route

ROUTE = "--listen 127.0.0.1:0 --node a=127.0.0.1:9001 --node b=[::1]:9002:3"
CACHE = "--listen 127.0.0.1:0 --origin http://photos --memory 64Mi"


def resolve(contract: promise.Contract, words: str) -> values.Values:
    return values.resolve(contract, flags.read(contract, words.split()), environment.Environment())


def test_a_node_becomes_a_shard_of_its_name_with_its_weight() -> None:
    made = documents.of_route(resolve(route.CONTRACT, f"{ROUTE} --function modulo"))
    assert made.nodes == (
        document.Node(id="a", address="127.0.0.1:9001"),
        document.Node(id="b", address="[::1]:9002"),
    )
    shards = (
        document.Shard(name="a", weight=1, replicas=("a",)),
        document.Shard(name="b", weight=3, replicas=("b",)),
    )
    assert made.routes == (
        document.Route(name="route", key="request.uri", function="modulo", shards=shards),
    )


def test_a_replica_is_one_more_node_of_its_shard() -> None:
    words = f"{ROUTE} --replica a/a2=127.0.0.1:9011 --replica a/a3=127.0.0.1:9012"
    made = documents.of_route(resolve(route.CONTRACT, words))
    assert [shard.replicas for shard in made.routes[0].shards] == [("a", "a2", "a3"), ("b",)]
    assert [node.id for node in made.nodes] == ["a", "b", "a2", "a3"]
    assert document.read(document.write(made)) == made


def test_a_replica_of_no_shard_or_of_a_used_id_is_refused() -> None:
    words = f"{ROUTE} --replica aa/x=127.0.0.1:1 --replica a/b=127.0.0.1:2"
    with pytest.raises(errors.UsageError) as caught:
        documents.of_route(resolve(route.CONTRACT, words))
    assert caught.value.problems == (
        '--replica: "aa" is the ID of no --node, which names a shard; did you mean a?',
        '--replica: "b" is the ID of a --node; choose another ID',
    )


def test_what_a_router_does_on_failure_and_under_load_is_set_by_flags() -> None:
    words = (
        "--origin http://127.0.0.1:8000 --fallback next-shard --buffer 1Mi --retry-percent 5 "
        "--probe cache --probe-path /up --probe-interval 500ms --probe-timeout 250ms "
        "--requests-max 9 --upstream-requests-max 8 --queue-max 0 --queue-timeout 0 "
        "--access-log-one-in 3"
    )
    made = documents.of_route(resolve(route.CONTRACT, f"{ROUTE} {words}"))
    (found,) = made.routes
    assert found.origin == document.Origin(address="127.0.0.1:8000")
    assert (found.buffer_bytes, found.retries.percent) == (2**20, 5)
    assert found.retries.fallback == "next_shard"
    assert found.health == document.Health(
        probe="cache",
        path="/up",
        interval_ms=500,
        timeout_ms=250,
        errors_max=None,
        slow_times=None,
    )
    limits = made.limits
    assert (limits.requests_max, limits.upstream_requests_max) == (9, 8)
    assert (limits.queue_max, limits.queue_timeout_ms) == (0, 0)
    assert made.access_log == document.AccessLog(one_in=3)
    assert document.read(document.write(made)) == made


def test_an_origin_without_a_port_is_reached_at_80() -> None:
    made = documents.of_cache(resolve(cache.CONTRACT, CACHE))
    assert made.caches[0].origin == document.Origin(address="photos:80")
    assert made.caches[0].memory_bytes == 64 * 2**20


def test_what_is_unset_is_null_and_what_is_set_is_written() -> None:
    bare = documents.of_cache(resolve(cache.CONTRACT, CACHE))
    assert (bare.status, bare.admin, bare.caches[0].object_bytes_max) == (None, None, None)
    words = f"{CACHE} --object-max 1Mi --status 127.0.0.1:0 --admin /a.sock --inner 10.0.0.0/8"
    full = documents.of_cache(resolve(cache.CONTRACT, words))
    assert full.status == document.Status(address="127.0.0.1:0")
    assert full.admin == document.Admin(path="/a.sock")
    assert full.listeners[0].inner == ("10.0.0.0/8",)
    assert full.caches[0].object_bytes_max == 2**20


def test_a_replica_has_its_siblings_and_a_bandwidth() -> None:
    words = "--id a --sibling b=127.0.0.1:9002 --sibling c=[::1]:9003"
    siblings = (
        document.Node(id="b", address="127.0.0.1:9002"),
        document.Node(id="c", address="[::1]:9003"),
    )
    made = documents.of_cache(resolve(cache.CONTRACT, f"{CACHE} {words}"))
    assert made.caches[0].replica == document.Replica(id="a", siblings=siblings)
    made = documents.of_cache(resolve(cache.CONTRACT, f"{CACHE} {words} --warm-bandwidth 1Mi"))
    assert made.caches[0].replica is not None
    assert made.caches[0].replica.warm_bytes_per_s == 2**20
    assert document.read(document.write(made)) == made
    assert documents.of_cache(resolve(cache.CONTRACT, CACHE)).caches[0].replica is None


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("--sibling b=127.0.0.1:9002", "--id"),
        ("--id a --sibling b=127.0.0.1:9002:3", "weight"),
    ],
)
def test_a_sibling_that_is_half_said_is_refused(words: str, remedy: str) -> None:
    with pytest.raises(errors.UsageError, match=remedy):
        documents.of_cache(resolve(cache.CONTRACT, f"{CACHE} {words}"))


def test_what_is_made_is_a_document_that_the_data_plane_takes() -> None:
    made = documents.of_route(resolve(route.CONTRACT, ROUTE))
    assert document.read(document.write(made)) == made


def test_an_admin_path_is_made_absolute() -> None:
    made = documents.of_cache(resolve(cache.CONTRACT, f"{CACHE} --admin a.sock"))
    assert made.admin is not None
    assert made.admin.path.startswith("/")


def test_the_default_limits_are_those_of_the_data_plane() -> None:
    assert documents.of_cache(resolve(cache.CONTRACT, CACHE)).limits == document.Limits()


def test_every_limit_of_the_contract_reaches_the_document() -> None:
    given = "--body-max 1Gi --connections-per-address-max 7 --head-timeout 1500ms"
    limits = documents.of_cache(resolve(cache.CONTRACT, f"{CACHE} {given}")).limits
    assert limits.body_bytes_max == 2**30
    assert limits.connections_per_address_max == 7
    assert limits.head_timeout_ms == 1500


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("listeners[0].address", "listen"),
        ("listeners[0].inner[2]", "inner"),
        ("routes[0].key", "key"),
        ("routes[0].shards", "node"),
        ("caches[0].replica.siblings[1].id", "sibling"),
        ("caches[0].replica.id", "id"),
        ("routes[0].shards[12].weight", "node"),
        ("nodes[3].address", "node"),
        ("routes[0].buffer_bytes", "buffer"),
        ("routes[0].health.path", "probe_path"),
        ("routes[0].origin.address", "origin"),
        ("access_log.one_in", "access_log_one_in"),
        ("limits.queue_timeout_ms", "queue_timeout"),
        ("caches[0].origin.address", "origin"),
        ("caches[0].object_bytes_max", "object_max"),
        ("admin.path", "admin"),
        ("limits.head_bytes_max", "head_max"),
        ("limits.tunnel_timeout_ms", "tunnel_timeout"),
        ("limits.fields_max", "fields_max"),
        ("limits.unheard", None),
        ("schema", None),
        ("", None),
    ],
)
def test_a_place_in_the_document_leads_back_to_its_parameter(
    path: str, parameter: str | None
) -> None:
    assert documents.parameter_of(path) == parameter
