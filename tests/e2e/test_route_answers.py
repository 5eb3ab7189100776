"""Answers that come slowly, break off or never end, and the places that requests take meanwhile."""

from __future__ import annotations

import concurrent.futures
import contextlib
import socket
import threading
import time

import pytest
from tests.e2e import plane, routes, upstream, wire


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("size", [routes.MIB, 100 * routes.MIB])
def test_a_long_answer_that_breaks_off_goes_on_from_a_sibling(size: int, is_chunked: bool) -> None:
    body, etag = routes.body_of(size), '"v1"'
    cut = [routes.ranged(body, etag, size // 3, is_chunked=is_chunked) for _ in range(2)]
    with (
        routes.nodes(*cut) as (a, b),
        plane.running(routes.document({"a": a.address, "b": b.address})) as process,
    ):
        with wire.Wire(process.address, timeout_s=60) as client:
            got = client.ask("/big", "Range-Not: x")
            assert (got.status, got.body == body) == (200, True)
            # The connection goes on as if nothing had been.
            assert client.ask("/big").body == body
        assert process.metric("alongside_route_resumed", route="main") == 2
        assert process.metric("alongside_http_cut", listener="web") == 0


def test_a_part_that_breaks_off_goes_on_too() -> None:
    body = routes.body_of(routes.MIB)

    def breaking(peer: upstream.Peer) -> None:
        while (head := peer.next()) is not None:
            asked = str(head.field("range")).removeprefix("bytes=")
            first, last = (int(number) for number in asked.split("-"))
            part = body[first : last + 1]
            where = f"Content-Range: bytes {first}-{last}/{len(body)}"
            whole = wire.answer(part, 'ETag: "v1"', where, status=206)
            if head.field("if-range") is None:
                peer.send(whole[:-1000])
                return
            peer.send(whole)

    with (
        routes.nodes(breaking, breaking) as (a, b),
        plane.running(routes.document({"a": a.address, "b": b.address})) as process,
    ):
        got = wire.fetch(process.address, "/big", "Range: bytes=1000-500999")
        assert (got.status, got.body == body[1000:501000]) == (206, True)
        assert [request.field("range") for request in [*a.requests, *b.requests]].count(
            "bytes=1000-500999"
        ) == 1


@pytest.mark.parametrize("other", ['"v2"', 'W/"v1"', "none"])
def test_another_version_never_completes_an_answer(other: str) -> None:
    body = routes.body_of(routes.MIB)

    def elsewhere(_: wire.Message) -> bytes:
        return wire.answer(body[::-1], f"ETag: {other}")

    with (
        routes.nodes(routes.ranged(body, '"v1"', 300_000, is_chunked=False)) as (a,),
        routes.answering(elsewhere) as (b,),
    ):
        contents = routes.document({"a": a.address}, origin=b.address)
        with plane.running(contents) as process, wire.Wire(process.address) as client:
            client.send(wire.request("/big"))
            head = client.head()
            assert head.field("etag") == '"v1"'
            with pytest.raises(wire.CutError):
                client.body(head)
            assert [request.field("range") for request in b.requests] == [
                f"bytes=300000-{routes.MIB - 1}"
            ]
            assert process.metric("alongside_http_cut", listener="web") == 1


def test_without_holding_long_answers_still_go_on_elsewhere() -> None:
    body = routes.body_of(routes.MIB)
    cut = [routes.ranged(body, '"v1"', 300_000, is_chunked=False) for _ in range(2)]
    with (
        routes.nodes(*cut) as (a, b),
        plane.running(routes.document({"a": a.address, "b": b.address}, buffer_bytes=0)) as process,
    ):
        assert wire.fetch(process.address, "/big").body == body


def test_a_part_of_what_a_delete_answers_is_never_asked_for() -> None:
    body = routes.body_of(routes.MIB)
    cut = [routes.ranged(body, '"v1"', 300_000, is_chunked=False) for _ in range(2)]
    with (
        routes.nodes(*cut) as (a, b),
        plane.running(routes.document({"a": a.address, "b": b.address})) as process,
    ):
        with pytest.raises(wire.CutError):
            wire.fetch(process.address, "/big", method="DELETE")
        assert len([*a.requests, *b.requests]) == 1


def test_only_the_end_of_the_chunks_was_missing() -> None:
    body = b"x" * 100_000

    def breaking(peer: upstream.Peer) -> None:
        while (head := peer.next()) is not None:
            if head.field("range"):
                whole = f"Content-Range: bytes */{len(body)}"
                peer.send(wire.answer(b"", 'ETag: "v1"', whole, status=416))
                continue
            start = b'HTTP/1.1 200 OK\r\nETag: "v1"\r\nTransfer-Encoding: chunked\r\n\r\n'
            peer.send(start + b"%x\r\n" % len(body) + body + b"\r\n")
            return

    with (
        routes.nodes(breaking, breaking) as (a, b),
        plane.running(routes.document({"a": a.address, "b": b.address})) as process,
    ):
        assert wire.fetch(process.address, "/big").body == body


def test_a_short_answer_that_comes_slowly_and_steadily_is_whole() -> None:
    def slow(peer: upstream.Peer) -> None:
        while peer.next() is not None:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n")
            for _ in range(10):
                time.sleep(0.3)
                peer.send(b"abc")

    limits = {"response_timeout_ms": 1000}
    with (
        routes.nodes(slow, slow) as (a, b),
        plane.running(routes.document({"a": a.address, "b": b.address}, limits=limits)) as process,
    ):
        assert wire.fetch(process.address, "/").body == b"abc" * 10


def test_a_short_answer_that_stalls_is_answered_for() -> None:
    def stalling(peer: upstream.Peer) -> None:
        while peer.next() is not None:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nabc")

    def broken(peer: upstream.Peer) -> None:
        while peer.next() is not None:
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            time.sleep(0.3)
            peer.send(b"zz\r\n")

    limits = {"response_timeout_ms": 700}
    for talk, status in [(stalling, 504), (broken, 502)]:
        with (
            routes.nodes(talk, talk) as (a, b),
            plane.running(
                routes.document({"a": a.address, "b": b.address}, limits=limits)
            ) as process,
        ):
            assert wire.fetch(process.address, "/").status == status


def failing_probe(is_bad: threading.Event, answer: upstream.Talk) -> upstream.Talk:
    """Answer probes with an error while told to, and everything else as it is said."""

    def talk(peer: upstream.Peer) -> None:
        head = peer.next()
        if head is None:
            return
        if head.target == "/up":
            peer.send(wire.answer(status=503 if is_bad.is_set() else 200))
            return
        answer(peer)

    return talk


PROBE = {"probe": "http", "path": "/up", **routes.HEALTH}


def test_a_stream_goes_on_although_its_node_is_left() -> None:
    is_bad, go_on = threading.Event(), threading.Event()

    def stream(peer: upstream.Peer) -> None:
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        go_on.wait(wire.TIMEOUT_S)
        peer.send(b"3\r\ntwo\r\n0\r\n\r\n")

    with routes.nodes(*[failing_probe(is_bad, stream)] * 2) as (a, b):
        contents = routes.document({"a": a.address, "b": b.address}, health=PROBE)
        with plane.running(contents) as process, wire.Wire(process.address) as client:
            client.send(wire.request("/events"))
            client.head()
            assert client.until(b"one\r\n")
            is_bad.set()
            wire.eventually(lambda: process.metric("alongside_route_node_left") == 2, "both left")
            # Longer than a look takes.
            time.sleep(1.0)
            go_on.set()
            assert client.until(b"0\r\n\r\n") == b"3\r\ntwo\r\n0\r\n\r\n"


def test_where_nobody_else_is_there_a_slow_node_is_waited_for() -> None:
    is_bad, go_on = threading.Event(), threading.Event()

    def late(peer: upstream.Peer) -> None:
        go_on.wait(wire.TIMEOUT_S)
        peer.send(wire.answer(b"late"))

    with routes.nodes(*[failing_probe(is_bad, late)] * 2) as (a, b):
        contents = routes.document({"a": a.address, "b": b.address}, health=PROBE)
        with plane.running(contents) as process, wire.Wire(process.address) as client:
            client.send(wire.request("/"))
            wire.eventually(
                lambda: any(r.target == "/" for r in [*a.requests, *b.requests]), "it is asked"
            )
            is_bad.set()
            wire.eventually(lambda: process.metric("alongside_route_node_left") == 2, "both left")
            time.sleep(1.0)
            go_on.set()
            assert client.answer().body == b"late"


def test_answers_go_on_elsewhere_also_where_every_place_is_taken() -> None:
    body, count = routes.body_of(routes.MIB), 4
    cut = [routes.ranged(body, '"v1"', 300_000, is_chunked=False) for _ in range(2)]
    limits = {"requests_max": count, "upstream_requests_max": count, "queue_max": count}
    with routes.nodes(*cut) as (a, b):
        contents = routes.document({"a": a.address, "b": b.address}, limits=limits)
        with plane.running(contents) as process:
            with concurrent.futures.ThreadPoolExecutor(count) as pool:
                asked = [pool.submit(wire.fetch, process.address, "/big") for _ in range(count)]
            assert all(one.result().body == body for one in asked)


def test_clients_that_do_not_read_take_no_places() -> None:
    body = b"x" * 60_000
    count = 5
    with routes.answering(*[lambda _: wire.answer(body)] * 2) as (a, b):
        limits = {"requests_max": count, "queue_timeout_ms": 100}
        contents = routes.document({"a": a.address, "b": b.address}, limits=limits)
        with plane.running(contents) as process, contextlib.ExitStack() as stack:
            for _ in range(count):
                client = wire.Wire(process.address, receive_bytes=4096)
                stack.enter_context(client)
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.send(wire.request("/"))
            wire.eventually(lambda: len([*a.requests, *b.requests]) == count, "all were asked")
            assert wire.fetch(process.address, "/").status == 200

            def under_way() -> float:
                return process.metric("alongside_http_requests_under_way")

            wire.eventually(lambda: under_way() == 0, "their places are free")


@pytest.mark.parametrize("is_pipelined", [False, True])
def test_a_body_in_chunks_reaches_the_second_node_whole_once(is_pipelined: bool) -> None:
    def reading(peer: upstream.Peer) -> None:
        while (message := peer.next()) is not None:
            peer.send(wire.answer(b"got " + message.body))

    slow = {"interval_ms": 60_000, "timeout_ms": 1000}
    for _ in range(4):
        with routes.nodes(reading) as (b,):
            contents = routes.document({"a": routes.free_address(), "b": b.address}, health=slow)
            with plane.running(contents) as process, wire.Wire(process.address) as client:
                post = b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                sent = post + wire.chunked(b"data")
                client.send(sent + (wire.request("/n") if is_pipelined else b""))
                assert client.answer().body == b"got data"
                if not is_pipelined:
                    client.send(wire.request("/n"))
                assert client.answer().body == b"got "
                assert [request.target for request in b.requests] == ["/p", "/n"]


def test_a_write_without_a_body_is_sent_to_the_origin_once() -> None:
    def closing(peer: upstream.Peer) -> None:
        peer.next()
        peer.send(wire.answer(b"first"))
        # The next one on this connection is read and never answered.
        peer.next()

    with routes.nodes(closing) as (source,), routes.answering(routes.named("a")) as (a,):
        contents = routes.document({"a": a.address}, origin=source.address)
        with plane.running(contents) as process, wire.Wire(process.address) as client:
            for n in range(3):
                assert client.ask(f"/{n}", method="DELETE").body == b"first"
            assert [request.target for request in source.requests] == ["/0", "/1", "/2"]
