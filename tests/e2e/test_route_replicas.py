"""A shard's replicas behind a router: nobody notices nodes that die, freeze or break off.

The nodes are programs of the test, because no real one fails on request; test_cache_replicas.py
has real ones.
"""

from __future__ import annotations

import collections
import concurrent.futures
import json
import socket
import threading
import time

import pytest
from tests.e2e import plane, routes, upstream, wire


def test_reads_are_spread_over_the_replicas() -> None:
    with (
        routes.answering(routes.named("a"), routes.named("b")) as (a, b),
        plane.running(routes.document({"a": a.address, "b": b.address})) as process,
    ):
        with wire.Wire(process.address) as client:
            bodies = collections.Counter(client.ask(f"/{n}").body for n in range(200))
        assert set(bodies) == {b"a", b"b"}
        assert min(bodies.values()) > 50


def test_a_dead_node_costs_one_failed_attempt_and_comes_back_by_a_probe() -> None:
    address = routes.free_address()
    with routes.answering(routes.named("b")) as (b,):
        slow = {"interval_ms": 2000, "timeout_ms": 500, "slow_start_ms": 0}
        contents = routes.document({"a": address, "b": b.address}, health=slow)
        with plane.running(contents) as process:
            with wire.Wire(process.address) as client:
                assert {client.ask(f"/{n}").body for n in range(100)} == {b"b"}
            failed = process.metric(
                "alongside_http_upstream_requests", upstream="a", outcome="connect_failed"
            )
            assert failed <= 1
            assert process.metric("alongside_route_node_left", node="a") == 1
            host, port = address.split(":")
            with socket.create_server((host, int(port))) as listener:
                listener.settimeout(wire.TIMEOUT_S)
                # The first that comes is a look, and not a request.
                connection, _ = listener.accept()
                connection.settimeout(1)
                assert connection.recv(100) == b""
                connection.close()

                def is_back() -> bool:
                    return process.metric("alongside_route_node_share_ratio", node="a") > 0

                wire.eventually(is_back, "it comes back")


def test_what_waits_on_a_node_that_is_given_up_goes_elsewhere() -> None:
    def frozen(peer: upstream.Peer) -> None:
        peer.rest()

    is_frozen = threading.Event()

    def freezing(peer: upstream.Peer) -> None:
        while (head := peer.next()) is not None:
            if is_frozen.is_set():
                frozen(peer)
            peer.send(wire.answer(b"a" + head.target.encode()))

    with routes.nodes(freezing) as (a,), routes.answering(routes.named("b")) as (b,):
        probe = {"probe": "http", "path": "/up", **routes.HEALTH}
        contents = routes.document({"a": a.address, "b": b.address}, health=probe)
        with plane.running(contents) as process:
            is_frozen.set()
            began = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(20) as pool:
                answers = list(pool.map(lambda n: wire.fetch(process.address, f"/{n}"), range(20)))
            assert {answer.body for answer in answers} == {b"b"}
            assert time.monotonic() - began < 10
            assert process.metric("alongside_route_retries", reason="left") >= 1
            # From now on nobody waits for it.
            told = process.admin("GET", "/explain?route=main&url=/x")[1]
            replicas = {entry["id"]: entry for entry in told["replicas"]}  # type: ignore[attr-defined]
            assert (replicas["a"]["not_used"], replicas["b"]["not_used"]) == ("probe_failed", None)
            assert told["now"] == "b"


@pytest.mark.parametrize("framing", ["Content-Length: 5000", "Transfer-Encoding: chunked"])
def test_a_short_answer_that_breaks_off_is_asked_for_elsewhere(framing: str) -> None:
    def breaking(peer: upstream.Peer) -> None:
        peer.next()
        begun = b"400\r\n" + b"x" * 0x400 if "chunked" in framing else b"x" * 0x400
        peer.send(b"HTTP/1.1 200 OK\r\n" + framing.encode() + b"\r\nX-From: a\r\n\r\n" + begun)

    with (
        routes.nodes(breaking) as (a,),
        routes.answering(routes.named("whole")) as (b,),
        plane.running(routes.document({"a": a.address, "b": b.address})) as process,
    ):
        with wire.Wire(process.address) as client:
            answers = [client.ask(f"/{n}") for n in range(40)]
        assert {(got.status, got.body, got.field("x-from")) for got in answers} == {
            (200, b"whole", None)
        }
        assert process.metric("alongside_route_retries", reason="closed") >= 1


def test_an_answer_that_never_ends_is_not_held_for_long() -> None:
    more = threading.Event()

    def telling(peer: upstream.Peer) -> None:
        peer.next()
        peer.send(
            wire.answer(b"")[:-4].replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        )
        peer.send(b"\r\n\r\n3\r\none\r\n")
        more.wait(wire.TIMEOUT_S)
        peer.send(b"3\r\ntwo\r\n0\r\n\r\n")

    with (
        routes.nodes(telling, telling) as (a, b),
        plane.running(routes.document({"a": a.address, "b": b.address})) as process,
        wire.Wire(process.address) as client,
    ):
        client.send(wire.request("/events"))
        client.head()
        assert client.until(b"one\r\n") == b"3\r\none\r\n"
        more.set()
        assert client.until(b"0\r\n\r\n") == b"3\r\ntwo\r\n0\r\n\r\n"


def test_without_a_replica_requests_go_to_the_next_shard_or_the_origin_or_nowhere() -> None:
    dead = routes.free_address()
    with routes.answering(routes.named("b"), routes.named("origin")) as (b, source):
        nodes_ = {"a": dead, "b": b.address}
        shards = [routes.shard("main-0", "a"), routes.shard("main-1", "b")]
        cases: list[tuple[str, set[tuple[int, bytes | None]]]] = [
            ("origin", {(200, b"b"), (200, b"origin")}),
            ("next_shard", {(200, b"b")}),
            ("error", {(200, b"b"), (502, None), (503, None)}),
        ]
        for fallback, allowed in cases:
            contents = routes.document(
                nodes_, *shards, origin=source.address, retries={"fallback": fallback}
            )
            with plane.running(contents) as process, wire.Wire(process.address) as client:
                answers = [client.ask(f"/{n}") for n in range(60)]
            seen = {(got.status, got.body if got.status == 200 else None) for got in answers}
            assert seen <= allowed, fallback
            if fallback != "next_shard":
                assert len(seen) > 1


def test_a_shard_without_replicas_says_when_to_come_again() -> None:
    dead = [routes.free_address(), routes.free_address()]
    with plane.running(routes.document({"a": dead[0], "b": dead[1]})) as process:
        wire.fetch(process.address, "/")

        def is_left() -> bool:
            return process.metric("alongside_route_node_left") == 2

        wire.eventually(is_left, "both are left")
        got = wire.fetch(process.address, "/")
        assert (got.status, got.field("retry-after")) == (503, "1")


def test_retries_stay_within_their_budget() -> None:
    def breaking(peer: upstream.Peer) -> None:
        while peer.next() is not None:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
            return

    with routes.nodes(breaking, breaking) as (a, b):
        contents = routes.document(
            {"a": a.address, "b": b.address},
            retries={"percent": 10, "per_second_min": 0},
            health={**routes.HEALTH, "errors_max": None},
        )
        with plane.running(contents) as process:
            for n in range(200):
                assert wire.fetch(process.address, f"/{n}").status == 502
            assert process.metric("alongside_route_retries") <= 20
            assert process.metric("alongside_route_retries_refused") >= 180


def test_a_node_that_answers_errors_is_left_but_never_the_last_one() -> None:
    def failing(_: wire.Message) -> bytes:
        return wire.answer(b"no", status=500)

    with (
        routes.answering(failing, routes.named("b")) as (a, b),
        plane.running(routes.document({"a": a.address, "b": b.address})) as process,
    ):
        with wire.Wire(process.address) as client:
            for n in range(60):
                client.ask(f"/{n}")
            assert {client.ask(f"/{n}").body for n in range(50)} == {b"b"}
        assert process.metric("alongside_route_node_left", node="a", reason="errors") == 1
    with (
        routes.answering(failing, failing) as (a, b),
        plane.running(routes.document({"a": a.address, "b": b.address})) as process,
        wire.Wire(process.address) as client,
    ):
        assert {client.ask(f"/{n}").status for n in range(100)} == {500}


def test_requests_over_the_limit_wait_and_then_are_refused() -> None:
    go_on = threading.Event()

    def slow(_: wire.Message) -> bytes:
        go_on.wait(wire.TIMEOUT_S)
        return wire.answer(b"late")

    limits = {"upstream_requests_max": 2, "queue_max": 3, "queue_timeout_ms": 60_000}
    with routes.answering(slow) as (a,):
        contents = routes.document({"a": a.address}, limits=limits)
        with plane.running(contents) as process, concurrent.futures.ThreadPoolExecutor(8) as pool:
            waiting = [pool.submit(wire.fetch, process.address, f"/{n}") for n in range(5)]
            wire.eventually(lambda: len(a.requests) == 2, "two are under way")
            wire.eventually(
                lambda: process.metric("alongside_route_node_waiting", node="a") == 3, "three wait"
            )
            refused = wire.fetch(process.address, "/more")
            assert refused.status == 503
            assert refused.field("retry-after") == "1"
            assert len(a.requests) == 2
            go_on.set()
            assert [one.result().body for one in waiting] == [b"late"] * 5
            shed = process.metric("alongside_http_shed", reason="upstream_requests_max")
            assert shed == 1


def test_a_request_waits_only_so_long() -> None:
    go_on = threading.Event()

    def slow(_: wire.Message) -> bytes:
        go_on.wait(wire.TIMEOUT_S)
        return wire.answer(b"late")

    limits = {"requests_max": 1, "queue_timeout_ms": 50}
    with (
        routes.answering(slow) as (a,),
        plane.running(routes.document({"a": a.address}, limits=limits)) as process,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
    ):
        first = pool.submit(wire.fetch, process.address, "/1")
        wire.eventually(lambda: len(a.requests) == 1, "one is under way")
        assert wire.fetch(process.address, "/2").status == 503
        go_on.set()
        assert first.result().body == b"late"
        assert process.metric("alongside_http_shed", reason="queue_timeout") == 1


def test_the_access_log_tells_of_each_request_where_it_is_asked_for() -> None:
    with routes.answering(routes.named("a"), routes.named("b")) as (a, b):
        contents = routes.document({"a": a.address, "b": b.address})
        with plane.running({**contents, "access_log": {"one_in": 1}}) as process:
            wire.fetch(process.address, '/x?"quoted"=1'.replace('"', "%22"), "Host: photos")
            lines = [line for line in process.told("request") if line["listener"] == "web"]
        (line,) = lines
        assert (line["method"], line["target"], line["host"]) == (
            "GET",
            "/x?%22quoted%22=1",
            "photos",
        )
        assert (line["status"], line["hops"], line["is_whole"]) == (200, 1, True)
        assert line["upstream"] in {"a", "b"}
        duration_ms = line["duration_ms"]
        assert isinstance(duration_ms, float)
        assert 0 < duration_ms == round(duration_ms, 3)
        with plane.running(contents) as process:
            wire.fetch(process.address, "/x")
            assert process.end() == 0
            assert not process.events("request")


def test_what_is_known_of_nodes_outlives_a_document() -> None:
    dead = routes.free_address()
    with routes.answering(routes.named("b")) as (b,):
        contents = routes.document(
            {"a": dead, "b": b.address}, health={**routes.HEALTH, "interval_ms": 60_000}
        )
        with plane.running(contents) as process:
            wire.eventually(
                lambda: process.metric("alongside_route_node_left", node="a") == 1, "it is left"
            )
            changed = json.loads(json.dumps({**contents, "generation": 2}))
            changed["routes"][0]["key"] = "request.path"
            assert process.put(changed)[0] == 200
            with wire.Wire(process.address) as client:
                assert {client.ask(f"/{n}").body for n in range(50)} == {b"b"}
            failed = process.metric(
                "alongside_http_upstream_requests", upstream="a", outcome="connect_failed"
            )
            assert failed == 0
            assert process.metric("alongside_route_node_left", node="a") == 1
