"""Where connections that are passed on go: spread evenly, around what is dead, through changes."""

from __future__ import annotations

import functools
import itertools
import signal
import socket
import threading
import time

import pytest
from tests.e2e import backends, plane, upstream, wire

OPEN = "alongside_tcp_open_connections"
FAILED = "alongside_tcp_connect_failures"
OVER = "alongside_tcp_connections"


def greeted(address: wire.Address) -> bytes:
    """Return the name of who takes a new connection, after some words with it."""
    with wire.Wire(address) as client:
        name = client.take(1)
        client.send(b"hello")
        assert client.take(5) == b"hello"
        return name


def looked_at(process: plane.Plane) -> dict[str, dict[str, object]]:
    """Return what `explain` says of each backend."""
    status, found = process.admin("GET", "/explain?tcp=main")
    assert status == 200
    listed = found["backends"]
    assert isinstance(listed, list)
    return {str(one["id"]): one for one in listed}


def test_connections_are_spread_over_all_backends() -> None:
    with (
        backends.named("a", "b", "c") as servers,
        plane.running(backends.document(backends.places(servers))) as process,
        wire.many(process.address, 60) as clients,
    ):
        for client in clients:
            client.take(1)
        counts = [process.metric(OPEN, balancer="main", backend=name) for name in servers]
        assert sum(counts) == 60
        assert max(counts) - min(counts) <= 6
        assert [looked_at(process)[name]["open"] for name in servers] == counts
        assert process.metric("alongside_tcp_connect_seconds_count", balancer="main") == 60


def test_a_dead_backend_is_left_without_any_client_noticing() -> None:
    dead = backends.closed_port()
    with backends.named("a", "b") as servers:
        places = {**backends.places(servers), "c": dead}
        with plane.running(backends.document(places, left_ms=50, left_ms_max=200)) as process:
            address = process.address
            assert {greeted(address) for _ in range(100)} == {b"a", b"b"}
            assert process.metric("alongside_tcp_backend_left", backend="c") == 1
            assert process.metric(FAILED, backend="c") >= 1
            assert looked_at(process)["c"]["not_used"] == "unreachable"
            assert looked_at(process)["a"]["not_used"] is None
            assert [event["backend"] for event in process.told("backend_left")] == ["c"]
            port = int(dead.rpartition(":")[2])
            with socket.create_server(("127.0.0.1", port), backlog=64) as revived:
                # Connections that come let it be looked at; none of them waits for that.
                wire.eventually(
                    lambda: greeted(address) and not looked_at(process)["c"]["not_used"],
                    "it is used again",
                )
                assert process.told("backend_back")
                revived.close()
            assert process.metric(OVER, outcome="unreachable") == 0


def test_a_backend_that_never_answers_costs_one_client_its_time_limit() -> None:
    # Nobody accepts, and its queue is full: what comes next is neither taken nor refused.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent, backends.named("a") as real:
        place = silent.getsockname()
        with wire.many(place, 1):
            full = [socket.socket() for _ in range(4)]
            for one in full:
                one.setblocking(False)
                one.connect_ex(place)
            places = {"silent": f"127.0.0.1:{place[1]}", **backends.places(real)}
            written = backends.document(places, connect_timeout_ms=300, left_ms=60_000)
            with plane.running(written) as process:
                began = time.monotonic()
                assert all(greeted(process.address) == b"a" for _ in range(50))
                assert time.monotonic() - began < 10
                assert process.metric(FAILED, backend="silent") == 1
                assert process.metric("alongside_tcp_backend_left", backend="silent") == 1
            for one in full:
                one.close()


@pytest.mark.parametrize("count", [0, 3])
def test_where_nobody_is_there_a_connection_is_reset_at_once(count: int) -> None:
    places = {str(number): backends.closed_port() for number in range(count)}
    outcome = "unreachable" if count else "no_backend"
    with plane.running(backends.document(places)) as process:
        address = process.address
        assert all(backends.is_turned_away(address) for _ in range(20))
        wire.eventually(
            lambda: process.metric(OVER, balancer="main", outcome=outcome) == 20, "it is counted"
        )


def test_the_only_backend_is_tried_by_each_connection_and_by_nothing_else() -> None:
    dead = backends.closed_port()
    with plane.running(backends.document({"a": dead}, left_ms=10)) as process:
        address = process.address
        assert backends.is_turned_away(address)
        wire.eventually(lambda: looked_at(process)["a"]["looked_at_in_ms"] == 0, "its time is over")
        with socket.create_server(("127.0.0.1", int(dead.rpartition(":")[2]))) as revived:
            for name in (b"1", b"2"):
                with wire.Wire(address) as client:
                    peer, _ = revived.accept()
                    with peer:
                        peer.sendall(name)
                        assert client.take(1) == name
            assert looked_at(process)["a"]["not_used"] is None


def test_however_long_it_was_away_the_only_backend_is_back_at_once() -> None:
    dead = backends.closed_port()
    with plane.running(backends.document({"a": dead}, left_ms=3_600_000)) as process:
        address = process.address
        assert backends.is_turned_away(address)
        with (
            socket.create_server(("127.0.0.1", int(dead.rpartition(":")[2]))) as revived,
            wire.Wire(address) as client,
            revived.accept()[0] as peer,
        ):
            peer.sendall(b"1")
            assert client.take(1) == b"1"


def test_no_connection_fails_while_backends_change() -> None:
    failed: list[str] = []
    served = [0]
    stop = threading.Event()

    def load(address: wire.Address) -> None:
        while not stop.is_set():
            try:
                greeted(address)
                served[0] += 1
            except (OSError, wire.CutError) as error:
                failed.append(repr(error))

    def goes_on(before: int) -> bool:
        return served[0] > before + 5

    with backends.named("a", "b", "c") as servers:
        places = backends.places(servers)
        with plane.running(backends.document(places)) as process:
            address = process.address
            clients = [threading.Thread(target=load, args=(address,)) for _ in range(4)]
            for client in clients:
                client.start()
            try:
                pairs = itertools.cycle(itertools.combinations(places, 2))
                for generation in range(2, 62):
                    chosen = {name: places[name] for name in next(pairs)}
                    document = backends.document(chosen, generation=generation)
                    assert process.put(document)[0] == 200
                    wire.eventually(functools.partial(goes_on, served[0]), "the load goes on")
            finally:
                stop.set()
                for client in clients:
                    client.join()
    assert failed == []


def test_a_connection_to_a_backend_that_was_removed_goes_on() -> None:
    with backends.named("a", "b") as servers:
        places = backends.places(servers)
        with plane.running(backends.document({"a": places["a"]})) as process:
            address = process.address
            with wire.Wire(address) as client:
                assert client.take(1) == b"a"
                moved = backends.document({"b": places["b"]}, generation=2)
                assert process.put(moved)[0] == 200
                assert {greeted(address) for _ in range(20)} == {b"b"}
                client.send(b"still")
                assert client.take(5) == b"still"
                assert process.put(backends.document({}, generation=3))[0] == 200
                assert backends.is_turned_away(address)
                client.send(b"there")
                assert client.take(5) == b"there"
                # One that comes back is counted with what it still has.
                both = backends.document(places, generation=4)
                assert process.put(both)[0] == 200
                assert looked_at(process)["a"]["open"] == 1
                nothing = {"schema": 1, "epoch": 0, "generation": 5}
                assert process.put(nothing)[0] == 200
                client.send(b"alone")
                assert client.take(5) == b"alone"
                assert process.metric(OPEN) == 0


def test_a_backend_that_is_killed_takes_only_its_own_connections_along() -> None:
    with backends.processes("abc") as servers:
        places = {name: place for name, (_, place) in servers.items()}
        with (
            plane.running(backends.document(places)) as process,
            wire.many(process.address, 30) as clients,
        ):
            by_name: dict[bytes, list[wire.Wire]] = {}
            for client in clients:
                by_name.setdefault(client.take(1), []).append(client)
            assert set(by_name) == {b"a", b"b", b"c"}
            victim, _ = servers["a"]
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            assert all(client.is_over() for client in by_name[b"a"])
            assert b"a" not in {greeted(process.address) for _ in range(60)}
            for client in by_name[b"b"] + by_name[b"c"]:
                client.send(b"still")
                assert client.take(5) == b"still"
            assert process.metric(OVER, outcome="unreachable") == 0


def test_a_listener_may_come_to_pass_connections_on_that_answered_requests() -> None:
    with (
        upstream.Upstream.answering(lambda _: wire.answer(b"http")) as origin,
        backends.named("a") as servers,
        plane.running(plane.document("route", origin.address)) as process,
    ):
        address = process.address
        assert wire.fetch(address, "/").body == b"http"
        balanced = backends.document(backends.places(servers), generation=2)
        assert process.put(balanced)[0] == 200
        assert process.address == address
        assert greeted(address) == b"a"
        routed = {**plane.document("route", origin.address), "generation": 3}
        assert process.put(routed)[0] == 200
        assert process.address == address
        assert wire.fetch(address, "/").body == b"http"
        assert process.admin("GET", "/explain?tcp=main")[0] == 404


def test_the_snapshot_tells_of_balancers() -> None:
    with (
        backends.named("a") as servers,
        plane.running(backends.document(backends.places(servers))) as process,
    ):
        told = process.admin("GET", "/snapshot")[1]["tcp"]
        assert told == [{"name": "main", "backends": [looked_at(process)["a"]]}]
