"""Bodies through the engine: early answers, backpressure, and ends that come too soon."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time

import pytest
from tests.e2e import plane, upstream, wire

MIB = 1 << 20
# The kernel queues some on either side; the process itself may hold this much.
GROWTH_BYTES_MAX = 4 * MIB

# As many as two threads have pipes for, and more.
MANY = 40
LATE_S = 0.5


def body_of(target: str, size: int) -> bytes:
    """Return bytes of which no two parts are alike, others for each target."""
    return random.Random(target).randbytes(size)  # noqa: S311 - nothing is kept secret


def pushing(sender: wire.Wire, data: bytes) -> threading.Thread:
    """Send in the background until it is all sent or the peer stops it."""

    def push() -> None:
        with contextlib.suppress(OSError):
            sender.send(data)

    thread = threading.Thread(target=push, daemon=True)
    thread.start()
    return thread


def await_head(origin: upstream.Upstream) -> None:
    wire.eventually(lambda: origin.requests, "the head arrives")


def await_end(origin: upstream.Upstream) -> None:
    wire.eventually(lambda: origin.ended == 1, "the origin's connection ends")


@pytest.mark.parametrize("kind", ["route", "cache"])
def test_an_early_answer_arrives_while_the_body_is_still_going_up(kind: str) -> None:
    has_answer = threading.Event()

    def talk(peer: upstream.Peer) -> None:
        peer.upstream.requests.append(peer.head())
        peer.send(wire.answer(b"enough", status=400))
        peer.socket.shutdown(socket.SHUT_WR)
        # What nobody reads cannot all have gone up: all the sockets between hold far less.
        has_answer.wait(wire.TIMEOUT_S)
        peer.rest()

    size = 64 * MIB
    head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode()
    with plane.in_front_of(talk, kind) as (address, origin, _), wire.Wire(address) as client:
        sending = pushing(client, head + bytes(size))
        got = client.answer()
        has_answer.set()
        assert (got.status, got.body, got.field("connection")) == (400, b"enough", "close")
        client.close()
        sending.join(wire.TIMEOUT_S)
        assert len(origin.requests) == 1
        assert wire.fetch(address, "/next").body == b"enough"
        assert origin.connections == 2


def test_a_client_that_sends_all_before_it_reads_still_gets_the_early_answer() -> None:
    def talk(peer: upstream.Peer) -> None:
        peer.head()
        peer.send(wire.answer(b"enough", status=400))

    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10485760\r\n\r\n"
    with plane.in_front_of(talk) as (address, _, _), wire.Wire(address) as client:
        with contextlib.suppress(OSError):
            client.send(head + b"x" * (10 * MIB))
        assert client.answer().body == b"enough"


def test_an_origin_that_reads_slowly_slows_its_client_down() -> None:
    may_read = threading.Event()

    def talk(peer: upstream.Peer) -> None:
        head = peer.head()
        may_read.wait(wire.TIMEOUT_S)
        peer.send(wire.answer(str(len(peer.body(head).body)).encode()))

    size = 64 * MIB
    head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode()
    for kind in ["route", "cache"]:
        may_read.clear()
        with plane.in_front_of(talk, kind) as (address, _, process), wire.Wire(address) as client:
            before = process.resident_bytes()
            sending = pushing(client, head + bytes(size))
            sending.join(0.5)
            assert sending.is_alive()
            assert process.resident_bytes() - before < GROWTH_BYTES_MAX
            may_read.set()
            assert client.answer().body == str(size).encode()


@pytest.mark.parametrize("kind", ["route", "cache"])
def test_a_client_that_reads_slowly_slows_its_origin_down(kind: str) -> None:
    size = 64 * MIB
    sent = []

    def talk(peer: upstream.Peer) -> None:
        peer.next()
        data = wire.answer(bytes(size))
        for at in range(0, len(data), MIB):
            peer.send(data[at : at + MIB])
            sent.append(at)

    with (
        plane.in_front_of(talk, kind) as (address, _, process),
        wire.Wire(address, receive_bytes=4096) as client,
    ):
        before = process.resident_bytes()
        client.send(wire.request("/"))
        assert client.head().status == 200
        stalls, count = 0, -1
        while stalls < 20:
            stalls, count = (stalls + 1, count) if count == len(sent) else (0, len(sent))
            time.sleep(0.01)
        assert len(sent) < size // MIB
        assert process.resident_bytes() - before < GROWTH_BYTES_MAX
        assert len(client.take(size)) == size


@pytest.mark.parametrize(("size", "count"), [(64 * 1024, MANY), (200_000, MANY), (4 * MIB, MANY)])
def test_long_answers_come_whole_and_in_order_to_clients_that_read_late(
    size: int, count: int
) -> None:
    def answer(request: wire.Message) -> bytes:
        return wire.answer(body_of(request.target, size))

    with (
        plane.answering(answer) as (address, origin, _),
        contextlib.ExitStack() as stack,
    ):
        clients = [
            stack.enter_context(wire.Wire(address, receive_bytes=4096)) for _ in range(count)
        ]
        for at, client in enumerate(clients):
            client.send(wire.request(f"/first-{at}") + wire.request(f"/second-{at}"))
        wire.eventually(lambda: len(origin.requests) >= count, "all are asked for")
        time.sleep(LATE_S)
        for at, client in enumerate(clients):
            for target in (f"/first-{at}", f"/second-{at}"):
                assert client.answer().body == body_of(target, size)


@pytest.mark.parametrize(("size", "count"), [(64 * 1024, MANY), (8 * MIB, 8)])
def test_long_bodies_go_whole_and_in_order_to_an_origin_that_reads_late(
    size: int, count: int
) -> None:
    may_read = threading.Event()

    def talk(peer: upstream.Peer) -> None:
        head = peer.head()
        peer.upstream.requests.append(head)
        may_read.wait(wire.TIMEOUT_S)
        is_same = peer.body(head).body == body_of(head.target, size)
        peer.send(wire.answer(b"same" if is_same else b"other"))

    def post(target: str) -> bytes:
        head = f"POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
        return head.encode() + body_of(target, size)

    with (
        plane.in_front_of(talk) as (address, origin, _),
        contextlib.ExitStack() as stack,
    ):
        bodies = [post(f"/first-{at}") + post(f"/second-{at}") for at in range(count)]
        clients = [stack.enter_context(wire.Wire(address, timeout_s=60)) for _ in range(count)]
        sending = [pushing(client, both) for client, both in zip(clients, bodies, strict=True)]
        wire.eventually(lambda: len(origin.requests) == count, "all are asked for")
        time.sleep(LATE_S)
        may_read.set()
        for client in clients:
            assert [client.answer().body, client.answer().body] == [b"same", b"same"]
        for thread in sending:
            thread.join(wire.TIMEOUT_S)
            assert not thread.is_alive()


@pytest.mark.parametrize("kind", ["route", "cache"])
def test_a_client_that_leaves_frees_its_origin(kind: str) -> None:
    def talk(peer: upstream.Peer) -> None:
        peer.next()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
        while True:
            peer.send(bytes(65536))

    with plane.in_front_of(talk, kind) as (address, origin, _):
        with wire.Wire(address) as client:
            client.send(wire.request("/"))
            client.head()
            client.take(100_000)
        wire.eventually(lambda: origin.ended == 1, "the origin's connection ends")


def test_a_client_that_leaves_in_the_middle_of_its_body_frees_its_origin() -> None:
    def talk(peer: upstream.Peer) -> None:
        peer.head()
        peer.upstream.requests.append(wire.Message("", ()))
        peer.rest()

    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
    for kind in ["route", "cache"]:
        with plane.in_front_of(talk, kind) as (address, origin, _):
            with wire.Wire(address) as client:
                client.send(head + b"abc")
                await_head(origin)
            await_end(origin)


@pytest.mark.parametrize("kind", ["route", "cache"])
@pytest.mark.parametrize("framing", ["Content-Length: 100", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("is_reset", [False, True], ids=["closes", "resets"])
def test_an_origin_that_dies_in_its_answer_is_never_a_short_success(
    kind: str, framing: str, is_reset: bool
) -> None:
    def talk(peer: upstream.Peer) -> None:
        peer.next()
        piece = b"abc" if "Length" in framing else b"3\r\nabc\r\n"
        peer.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode() + piece)
        if is_reset:
            peer.reset()

    with (
        plane.in_front_of(talk, kind) as (address, _, _),
        wire.Wire(address) as client,
        pytest.raises(wire.CutError),
    ):
        client.ask("/")


def test_a_reset_behind_an_answer_without_length_is_no_success_either() -> None:
    def talk(peer: upstream.Peer) -> None:
        peer.next()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nabc")
        peer.upstream.requests.append(wire.Message("", ()))
        release.wait(wire.TIMEOUT_S)
        peer.reset()

    release = threading.Event()
    with plane.in_front_of(talk) as (address, _, _), wire.Wire(address) as client:
        client.send(wire.request("/"))
        head = client.head()
        release.set()
        with pytest.raises(wire.CutError):
            client.body(head)


@pytest.mark.parametrize("kind", ["route", "cache"])
@pytest.mark.parametrize("broken", [b"0x5\r\n", b"1\r\nxXX0\r\n\r\n"])
def test_framing_that_breaks_under_way_cuts_the_answer(kind: str, broken: bytes) -> None:
    begun = threading.Event()

    def talk(peer: upstream.Peer) -> None:
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        begun.wait(wire.TIMEOUT_S)
        peer.send(broken)
        peer.rest()

    with plane.in_front_of(talk, kind) as (address, _, _), wire.Wire(address) as client:
        client.send(wire.request("/"))
        head = client.head()
        begun.set()
        with pytest.raises(wire.CutError):
            client.body(head)


@pytest.mark.parametrize("kind", ["route", "cache"])
def test_a_cut_shows_also_where_only_the_close_ends_an_answer(kind: str) -> None:
    release = threading.Event()

    def talk(peer: upstream.Peer) -> None:
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        release.wait(wire.TIMEOUT_S)

    with plane.in_front_of(talk, kind) as (address, _, _), wire.Wire(address) as client:
        client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        assert client.head().status == 200
        assert client.take(3) == b"abc"
        release.set()
        with pytest.raises(ConnectionResetError):
            client.socket.recv(1)


@pytest.mark.parametrize("kind", ["route", "cache"])
def test_a_kept_connection_that_its_origin_closed_fails_no_get(kind: str) -> None:
    def talk(peer: upstream.Peer) -> None:
        if peer.next():
            peer.send(wire.answer(b"x", "Cache-Control: no-store"))

    with plane.in_front_of(talk, kind) as (address, origin, _), wire.Wire(address) as client:
        statuses = [client.ask(f"/{n}").status for n in range(300)]
    assert statuses == [200] * 300
    assert len(origin.requests) == 300


@pytest.mark.parametrize("kind", ["route", "cache"])
def test_a_get_is_repeated_once_where_a_kept_connection_was_reset(kind: str) -> None:
    def talk(peer: upstream.Peer) -> None:
        while request := peer.next():
            if request.target == "/reset":
                peer.reset()
                return
            peer.send(wire.answer(b"x", "Cache-Control: no-store"))

    with plane.in_front_of(talk, kind) as (address, origin, _), wire.Wire(address) as client:
        assert client.ask("/first").status == 200
        assert client.ask("/reset").status == 502
        assert origin.targets() == ["/first", "/reset", "/reset"]
        assert client.ask("/after").status == 200


@pytest.mark.parametrize("kind", ["route", "cache"])
def test_a_post_is_never_sent_twice(kind: str) -> None:
    def talk(peer: upstream.Peer) -> None:
        while request := peer.next():
            if request.method == "POST":
                peer.reset()
                return
            peer.send(wire.answer(b"x", "Cache-Control: no-store"))

    with plane.in_front_of(talk, kind) as (address, origin, _):
        for body in [b"", b"abc"]:
            with wire.Wire(address) as client:
                assert client.ask("/warm").status == 200
                client.send(wire.request("/once", method="POST", body=body))
                assert client.answer().status == 502
            assert origin.targets().count("/once") == 1
            origin.requests.clear()


def test_an_origin_that_closes_right_after_accept_is_asked_once() -> None:
    with plane.in_front_of(lambda _: None) as (address, origin, _):
        with wire.Wire(address) as client:
            client.send(wire.request("/", method="POST", body=b"abc"))
            assert client.answer().status == 502
        assert wire.fetch(address, "/").status == 502
        assert origin.connections == 2
