"""Who is told to forget what a write changed, how, and what happens where one cannot be told."""

from __future__ import annotations

import concurrent.futures
import json
import threading
import time
from collections.abc import Callable

import pytest
from tests.e2e import plane, upstream, wire
from tests.e2e.routes import HEALTH, answering, document, named, nodes, shard

CACHES = {**HEALTH, "probe": "cache"}
FORGOT = wire.answer(b"", "X-Alongside-Purged: 1")


def is_order(request: wire.Message) -> bool:
    return (request.field("x-alongside-ask") or "").startswith("purge")


def orders(node: upstream.Upstream) -> list[str]:
    """Return the targets that a node was told to forget."""
    return [request.target for request in node.requests if is_order(request)]


def cache(name: str, order: Callable[[], bytes] = lambda: FORGOT) -> upstream.Answer:
    """Answer like a cache of ours, with its name; orders by a function."""
    return lambda request: order() if is_order(request) else wire.answer(name.encode())


def share(process: plane.Plane, node: str) -> float:
    return process.metric("alongside_route_node_share_ratio", node=node)


def test_writes_go_to_the_origin_once_and_replicas_forget() -> None:
    def origin(request: wire.Message) -> bytes:
        return wire.answer(
            b"origin " + request.body, status=500 if request.target == "/bad" else 200
        )

    with answering(cache("a"), cache("b"), origin) as (a, b, source):
        nodes_ = {"a": a.address, "b": b.address}
        with plane.running(document(nodes_, origin=source.address, health=CACHES)) as process:
            with wire.Wire(process.address) as client:
                for target in ["/x", "/bad"]:
                    client.send(wire.request(target, method="POST", body=b"data"))
                    assert client.answer().body == b"origin data"
                assert client.ask("/x").body in {b"a", b"b"}
            sent = source.requests[0]
            assert [request.target for request in source.requests] == ["/x", "/bad"]
            assert sent.field("x-alongside-key") is None
            assert (sent.field("host"), sent.field("via")) == ("a", "1.1 alongside")
            for node in [a, b]:
                told = [r for r in node.requests if is_order(r)]
                found = [
                    (r.method, r.target, r.field("host"), r.field("cache-control")) for r in told
                ]
                assert found == [("HEAD", "/x", "a", "only-if-cached")]


def test_replicas_have_forgotten_before_the_writer_is_answered() -> None:
    told = threading.Event()

    def order() -> bytes:
        time.sleep(0.05)
        told.set()
        return FORGOT

    with (
        answering(cache("a", order), named("origin")) as (a, source),
        plane.running(document({"a": a.address}, origin=source.address, health=CACHES)) as process,
    ):
        assert wire.fetch(process.address, "/x", method="DELETE").body == b"origin"
        assert told.is_set()


def test_a_node_that_was_away_is_told_later_and_not_read_from_before() -> None:
    is_away = threading.Event()

    def absent(peer: upstream.Peer) -> None:
        while (head := peer.next()) is not None:
            if is_order(head) and is_away.is_set():
                return
            peer.send(FORGOT if is_order(head) else wire.answer(b"a"))

    with nodes(absent) as (a,), answering(cache("b"), named("origin")) as (b, source):
        nodes_ = {"a": a.address, "b": b.address}
        with plane.running(document(nodes_, origin=source.address, health=CACHES)) as process:
            is_away.set()
            began = time.monotonic()
            assert wire.fetch(process.address, "/x", method="PUT").body == b"origin"
            assert time.monotonic() - began < 5
            # Already when the writer has its answer.
            with wire.Wire(process.address) as client:
                assert {client.ask(f"/{n}").body for n in range(50)} == {b"b"}
            assert share(process, "a") == 0
            is_away.clear()
            wire.eventually(lambda: share(process, "a") > 0, "it was told")


def test_a_node_that_is_slow_to_forget_is_not_read_from_when_the_writer_has_its_answer() -> None:
    go_on = threading.Event()

    def order() -> bytes:
        go_on.wait(wire.TIMEOUT_S)
        return FORGOT

    with (
        answering(cache("old", order), named("origin")) as (a, source),
        plane.running(document({"a": a.address}, origin=source.address, health=CACHES)) as process,
    ):
        for _ in range(3):
            assert wire.fetch(process.address, "/x", method="DELETE").body == b"origin"
            assert wire.fetch(process.address, "/x").body == b"origin"
        go_on.set()
        wire.eventually(lambda: share(process, "a") > 0, "it was told")
        assert wire.fetch(process.address, "/x").body == b"old"


def test_a_write_reaches_the_origin_once_where_a_cache_does_not_believe_the_router() -> None:
    with answering(lambda request: wire.answer(b"o " + request.body)) as (origin,):
        whole = plane.document("cache", origin.address)
        with plane.running(whole) as node:
            address = "{}:{}".format(*node.address)
            contents = document({"a": address}, origin=origin.address, health=CACHES)
            with plane.running(contents) as process:
                with wire.Wire(process.address) as client:
                    client.send(wire.request("/pay", method="POST", body=b"amount=5"))
                    assert client.answer().status == 200
                process.told("node_forgets_nothing")
                written = [r for r in origin.requests if r.target == "/pay"]
                assert [(r.method, r.body) for r in written] == [("POST", b"amount=5")]
                # It is no cache of ours, and read from on.
                wire.eventually(lambda: share(process, "a") == 1, "it is read from")


@pytest.mark.parametrize("status", [200, 404, 405, 501, 504])
def test_who_does_not_understand_is_told_once_and_read_from(status: int) -> None:
    with (
        answering(cache("a", lambda: wire.answer(status=status)), named("o")) as (a, source),
        plane.running(document({"a": a.address}, origin=source.address, health=CACHES)) as process,
    ):
        for target in ["/1", "/2"]:
            assert wire.fetch(process.address, target, method="DELETE").body == b"o"
        assert wire.fetch(process.address, "/1").body == b"a"
        assert orders(a) == ["/1", "/2"]
        assert process.end() == 0
        assert [line["status"] for line in process.events("node_forgets_nothing")] == [status]


def test_who_cannot_now_is_told_again() -> None:
    answers = iter([503, 500])
    with (
        answering(
            cache("a", lambda: wire.answer(status=s) if (s := next(answers, 0)) else FORGOT),
            named("o"),
        ) as (a, source),
        plane.running(document({"a": a.address}, origin=source.address, health=CACHES)) as process,
    ):
        assert wire.fetch(process.address, "/x", method="DELETE").body == b"o"
        wire.eventually(lambda: orders(a) == ["/x"] * 3, "it was told again")


def test_nodes_that_are_no_caches_of_ours_are_told_nothing() -> None:
    with (
        answering(named("a"), named("o")) as (a, source),
        plane.running(document({"a": a.address}, origin=source.address)) as process,
    ):
        assert wire.fetch(process.address, "/x", method="DELETE").body == b"o"
        assert wire.fetch(process.address, "/x").body == b"a"
        assert a.targets() == ["/x"]


def test_all_who_may_hold_a_url_are_told() -> None:
    cases: list[tuple[str, str, set[str]]] = [
        ("request.uri", "origin", {"own"}),
        ('request.headers["host"]', "origin", {"own"}),
        ('request.cookies["sid"]', "origin", {"own", "other"}),
        ("request.uri", "next_shard", {"own", "other"}),
    ]
    for key, fallback, expected in cases:
        with answering(cache("a"), cache("b"), named("o")) as (a, b, source):
            contents = document(
                {"a": a.address, "b": b.address},
                shard("main-0", "a"),
                shard("main-1", "b"),
                origin=source.address,
                health=CACHES,
                key=key,
                retries={"fallback": fallback},
            )
            with plane.running(contents) as process:
                placed = wire.fetch(process.address, "/x").body
                wire.fetch(process.address, "/x", method="DELETE")
                own, other = (a, b) if placed == b"a" else (b, a)
                told = {"own": orders(own), "other": orders(other)}
                assert {who for who, targets in told.items() if targets} == expected, (
                    key,
                    fallback,
                )


def test_a_connection_that_ends_with_each_answer_is_no_failure() -> None:
    def closing(peer: upstream.Peer) -> None:
        while (head := peer.next()) is not None:
            if is_order(head):
                peer.send(wire.answer(b"", "X-Alongside-Purged: 1", "Connection: close"))
                return
            peer.send(wire.answer(b"a"))

    with (
        nodes(closing) as (a,),
        answering(named("o")) as (source,),
        plane.running(document({"a": a.address}, origin=source.address, health=CACHES)) as process,
        concurrent.futures.ThreadPoolExecutor(8) as pool,
    ):
        targets = [f"/{n}" for n in range(8)]
        list(pool.map(lambda t: wire.fetch(process.address, t, method="DELETE"), targets))
        wire.eventually(lambda: set(targets) <= set(orders(a)), "all are told")
        assert process.end() == 0
        assert not process.events("node_behind")


def test_what_a_node_has_to_be_told_outlives_the_route() -> None:
    is_away = threading.Event()
    is_away.set()

    def absent(peer: upstream.Peer) -> None:
        while (head := peer.next()) is not None:
            if is_order(head) and is_away.is_set():
                return
            peer.send(FORGOT if is_order(head) else wire.answer(b"a"))

    with nodes(absent) as (a,), answering(named("o")) as (source,):
        contents = document({"a": a.address}, origin=source.address, health=CACHES)
        with plane.running(contents) as process:
            assert wire.fetch(process.address, "/x", method="DELETE").body == b"o"
            changed = json.loads(json.dumps({**contents, "generation": 2}))
            changed["routes"][0]["name"] = changed["listeners"][0]["serves"] = "other"
            assert process.put(changed)[0] == 200
            assert wire.fetch(process.address, "/x").body == b"o"
            is_away.clear()
            wire.eventually(lambda: share(process, "a") > 0, "it was told")
            assert orders(a)[-1] == "/x"


def test_a_router_that_ends_tells_what_it_has_to_tell() -> None:
    is_away = threading.Event()
    is_away.set()

    def absent(peer: upstream.Peer) -> None:
        while (head := peer.next()) is not None:
            if is_order(head) and is_away.is_set():
                return
            peer.send(FORGOT if is_order(head) else wire.answer(b"a"))

    for comes_back in [True, False]:
        is_away.set()
        with nodes(absent) as (a,), answering(named("o")) as (source,):
            limits = {"drain_timeout_ms": 10_000 if comes_back else 100}
            contents = document(
                {"a": a.address}, origin=source.address, health=CACHES, limits=limits
            )
            with plane.running(contents) as process:
                wire.fetch(process.address, "/x", method="DELETE")
                process.terminate()
                process.told("draining")
                told = len(orders(a))
                if comes_back:
                    is_away.clear()
                process.process.wait(timeout=wire.TIMEOUT_S)
                dropped = [line["open"] for line in process.events("forgets_dropped")]
                assert dropped == ([] if comes_back else [1])
                assert not comes_back or len(orders(a)) > told


def test_a_router_without_connections_does_not_stay_for_a_node_that_is_dead() -> None:
    with nodes(lambda _: None) as (a,), answering(named("o")) as (source,):
        contents = document(
            {"a": a.address},
            origin=source.address,
            health=CACHES,
            limits={"drain_timeout_ms": 3_600_000},
        )
        with plane.running(contents) as process:
            wire.fetch(process.address, "/x", method="DELETE")
            assert process.metric("alongside_route_node_owed_orders", node="a") == 1
            assert process.metric("alongside_route_node_owed_bytes", node="a") > 100
            process.terminate()
            assert process.process.wait(timeout=wire.TIMEOUT_S) == 0
            (dropped,) = process.events("forgets_dropped")
            assert dropped["open"] == 1
            assert process.events("ended")[-1]["reason"] == "tell_timeout"
