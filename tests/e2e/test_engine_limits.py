"""Every deadline and limit of a document, each seen to hold."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest
from tests.e2e import plane, upstream, wire

# Deadlines fire up to a quarter of a second late, and the machine may be busy.
SOON_S = 5.0


def ok(_: wire.Message) -> bytes:
    return wire.answer(b"ok", "Cache-Control: no-store")


def status_then_end(client: wire.Wire) -> int:
    """Return the status that comes before the peer ends; 0 where it says nothing."""
    client.socket.settimeout(SOON_S)
    return wire.status_of(client.rest())


@pytest.mark.parametrize("kind", ["route", "cache"])
@pytest.mark.parametrize(
    ("limits", "request_", "status"),
    [
        ({"head_bytes_max": 2048}, wire.request("/", f"A: {'x' * 2048}"), 431),
        ({"head_bytes_max": 2048}, wire.request("/", *[f"A: {'x' * 500}"] * 5), 431),
        ({"fields_max": 10}, wire.request("/", *["A: b"] * 10), 431),
        ({"target_bytes_max": 100}, wire.request("/" + "x" * 100), 414),
        ({"body_bytes_max": 9}, wire.request("/", method="POST", body=b"0123456789"), 413),
    ],
)
def test_too_much_is_refused_and_the_connection_ends(
    kind: str, limits: dict[str, int], request_: bytes, status: int
) -> None:
    with plane.answering(ok, kind, limits) as (address, origin, _):
        with wire.Wire(address) as client:
            client.send(request_)
            assert status_then_end(client) == status
        assert origin.requests == []


@pytest.mark.parametrize("kind", ["route", "cache"])
def test_a_body_in_chunks_is_held_to_the_same_size(kind: str) -> None:
    head = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with plane.answering(ok, kind, {"body_bytes_max": 9}) as (address, origin, _):
        for pieces in [[b"0123456789"], [b"01234", b"56789"]]:
            with wire.Wire(address) as client:
                client.send(head + wire.chunked(*pieces))
                assert status_then_end(client) == 413
        with wire.Wire(address) as client:
            client.send(head)
            wire.eventually(lambda: origin.connections, "the head goes up")
            client.send(wire.chunked(b"01234", b"56789"))
            assert status_then_end(client) == 413
        assert origin.requests == []
        with wire.Wire(address) as client:
            client.send(head + wire.chunked(b"01234", b"5678"))
            assert client.answer().status == 200


def test_what_is_just_within_the_limits_passes() -> None:
    limits = {"target_bytes_max": 100, "fields_max": 10, "body_bytes_max": 10}
    with plane.answering(ok, limits=limits) as (address, _, _), wire.Wire(address) as client:
        fields = ["A: b"] * 8
        body = b"0123456789"
        client.send(wire.request("/" + "x" * 99, *fields, method="PUT", body=body))
        assert client.answer().status == 200


def test_a_slow_head_is_answered_at_its_deadline() -> None:
    with (
        plane.answering(ok, limits={"head_timeout_ms": 400}) as (address, _, _),
        wire.Wire(address) as client,
    ):
        client.send(b"GET / HT")
        assert status_then_end(client) == 408


@pytest.mark.parametrize("kind", ["route", "cache"])
def test_a_slow_body_is_ended_and_a_steady_one_is_not(kind: str) -> None:
    # Many steps fit into a window, so that a busy machine may hold up some of the steady one's.
    limits = {"body_timeout_ms": 1500, "body_bytes_min": 100}
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2500\r\n\r\n"
    with (
        plane.answering(ok, kind, limits) as (address, _, _),
        wire.Wire(address) as slow,
        wire.Wire(address) as steady,
    ):
        slow.send(head)
        steady.send(head)
        for _ in range(25):
            steady.send(b"x" * 100)
            with contextlib.suppress(OSError):
                slow.send(b"x")
            time.sleep(0.1)  # the pace is the input
        assert steady.answer().status == 200
        assert status_then_end(slow) in {0, 408}


def test_an_idle_connection_ends_at_its_limit() -> None:
    with (
        plane.answering(ok, limits={"idle_timeout_ms": 400}) as (address, _, _),
        wire.Wire(address) as fresh,
        wire.Wire(address) as used,
    ):
        assert used.ask("/").status == 200
        assert status_then_end(fresh) == 0
        assert status_then_end(used) == 0


def test_a_connection_ends_with_its_last_request() -> None:
    with (
        plane.answering(ok, limits={"requests_per_connection_max": 3}) as (address, _, _),
        wire.Wire(address) as client,
    ):
        answers = [client.ask("/") for _ in range(3)]
        assert [answer.field("connection") for answer in answers] == [None, None, "close"]
        assert client.is_over()


def test_room_is_made_by_the_connection_that_was_idle_longest() -> None:
    limits = {"connections_max": 3, "idle_timeout_ms": 60_000}
    with (
        plane.answering(ok, limits=limits) as (address, _, process),
        contextlib.ExitStack() as stack,
    ):
        clients = []
        for _ in range(3):
            clients.append(stack.enter_context(wire.Wire(address)))
            assert clients[-1].ask("/").status == 200
            time.sleep(0.3)  # a tick, so that one is older than the other
        extra = stack.enter_context(wire.Wire(address))
        assert extra.ask("/").status == 200
        assert clients[0].is_over()
        assert clients[1].ask("/").status == 200
        assert clients[2].ask("/").status == 200
        assert process.metric("alongside_http_connections", listener="web") == 3


def test_who_waits_in_the_queue_is_not_shed_in_place_of_an_idle_connection() -> None:
    release = threading.Event()

    def answer(request: wire.Message) -> bytes:
        if request.target == "/slow":
            release.wait(wire.TIMEOUT_S)
        return ok(request)

    limits = {
        "connections_max": 3,
        "idle_timeout_ms": 60_000,
        "requests_max": 1,
        "queue_timeout_ms": 60_000,
    }
    with (
        plane.answering(answer, limits=limits) as (address, origin, process),
        wire.Wire(address) as queued,
    ):
        assert queued.ask("/").status == 200
        time.sleep(0.3)  # a tick, so that it is older than the others
        with wire.Wire(address) as slow, wire.Wire(address) as idle:
            assert idle.ask("/").status == 200
            slow.send(wire.request("/slow"))
            wire.eventually(lambda: len(origin.requests) == 3, "it is on its way")
            queued.send(wire.request("/queued"))
            waiting = "alongside_http_requests_waiting"
            wire.eventually(lambda: process.metric(waiting) == 1, "it waits")
            with wire.Wire(address) as extra:
                extra.send(wire.request("/extra"))
                assert idle.is_over()
                release.set()
                assert [client.answer().status for client in (queued, extra)] == [200, 200]


def test_busy_connections_are_not_shed_for_new_ones() -> None:
    release = threading.Event()

    def answer(request: wire.Message) -> bytes:
        release.wait(wire.TIMEOUT_S)
        return ok(request)

    with plane.answering(answer, limits={"connections_max": 2}) as (address, origin, process):
        with wire.many(address, 2) as clients:
            for client in clients:
                client.send(wire.request("/"))
            wire.eventually(lambda: len(origin.requests) == 2, "both arrive")
            with wire.Wire(address) as extra:
                assert extra.is_over()
            release.set()
            assert [client.answer().status for client in clients] == [200, 200]
        reason = {"listener": "web", "reason": "connections_max"}
        assert process.metric("alongside_http_connections_rejected", **reason) == 1


def test_an_address_has_its_share_of_connections() -> None:
    with plane.answering(ok, limits={"connections_per_address_max": 2}) as (address, _, _):
        with wire.many(address, 2) as clients, wire.Wire(address, source="127.0.0.9") as other:
            assert [client.ask("/").status for client in clients] == [200, 200]
            with wire.Wire(address) as third:
                assert third.is_over()
            assert other.ask("/").status == 200

        def is_free() -> bool:
            with contextlib.suppress(wire.CutError, OSError):
                return wire.fetch(address, "/").status == 200
            return False

        wire.eventually(is_free, "room again")


@pytest.mark.parametrize("kind", ["route", "cache"])
def test_an_origin_that_does_not_take_the_connection_is_given_up(kind: str) -> None:
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(full.getsockname())
        origin = f"127.0.0.1:{full.getsockname()[1]}"
        limits = {"connect_timeout_ms": 300}
        process = stack.enter_context(plane.running(plane.document(kind, origin, limits)))
        assert wire.fetch(process.address, "/").status == 504


@pytest.mark.parametrize("kind", ["route", "cache"])
def test_an_origin_that_is_not_there_is_a_bad_gateway(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        origin = f"127.0.0.1:{gone.getsockname()[1]}"
    with (
        plane.running(plane.document(kind, origin)) as process,
        wire.Wire(process.address) as client,
    ):
        assert client.ask("/").status == 502
        assert client.ask("/again").status == 502


@pytest.mark.parametrize("kind", ["route", "cache"])
def test_a_silent_origin_is_a_gateway_timeout(kind: str) -> None:
    def talk(peer: upstream.Peer) -> None:
        peer.next()
        peer.rest()

    limits = {"response_timeout_ms": 400}
    with plane.in_front_of(talk, kind, limits) as (address, origin, _):
        with wire.Wire(address) as client:
            client.send(wire.request("/a"))
            assert client.answer().status == 504
        wire.eventually(lambda: origin.ended == 1, "the origin's connection ends")


@pytest.mark.parametrize("kind", ["route", "cache"])
def test_an_origin_that_falls_silent_in_its_answer_is_cut(kind: str) -> None:
    def talk(peer: upstream.Peer) -> None:
        peer.next()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        peer.rest()

    limits = {"response_timeout_ms": 400}
    with plane.in_front_of(talk, kind, limits) as (address, origin, _):
        with wire.Wire(address) as client:
            client.send(wire.request("/"))
            assert client.head().status == 200
            assert client.rest() == b"abc"
        wire.eventually(lambda: origin.ended == 1, "the origin's connection ends")


@pytest.mark.parametrize("kind", ["route", "cache"])
def test_a_reader_that_stops_is_cut(kind: str) -> None:
    def talk(peer: upstream.Peer) -> None:
        peer.next()
        peer.send(wire.answer(bytes(64 << 20)))

    limits = {"body_timeout_ms": 400}
    with (
        plane.in_front_of(talk, kind, limits) as (address, origin, _),
        wire.Wire(address, receive_bytes=4096) as client,
    ):
        client.send(wire.request("/"))
        wire.eventually(lambda: origin.ended == 1, "the origin's connection ends")


def test_idle_connections_to_an_origin_are_kept_up_to_the_limits() -> None:
    limits = {"pool_idle_max": 2, "pool_idle_timeout_ms": 300}
    barrier = threading.Barrier(4)

    def answer(request: wire.Message) -> bytes:
        barrier.wait(wire.TIMEOUT_S)
        return ok(request)

    with (
        plane.answering(answer, limits=limits) as (address, origin, _),
        wire.many(address, 4) as clients,
    ):
        for client in clients:
            client.send(wire.request("/"))
        assert [client.answer().status for client in clients] == [200] * 4
        wire.eventually(lambda: origin.ended >= 2, "two are over the limit")
        wire.eventually(lambda: origin.ended == 4, "the others are idle too long")
