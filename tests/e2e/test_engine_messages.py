"""Messages through the engine: framing, order, interim answers, versions."""

from __future__ import annotations

import contextlib
import socket

import pytest
from tests.e2e import plane, upstream, wire


def by_target(request: wire.Message) -> bytes:
    return wire.answer(f"{request.method} {request.target} {len(request.body)}".encode())


def test_a_connection_serves_many_requests() -> None:
    with plane.answering(by_target) as (address, origin, _), wire.Wire(address) as client:
        bodies = [client.ask(f"/{n}").body for n in range(50)]
    assert bodies == [f"GET /{n} 0".encode() for n in range(50)]
    assert origin.connections == 1


def test_pipelined_requests_are_answered_in_order() -> None:
    with plane.answering(by_target) as (address, _, _), wire.Wire(address) as client:
        asked = [wire.request(f"/{n}", body=b"x" * (n % 3)) for n in range(200)]
        client.send(b"".join(asked))
        bodies = [client.answer().body for _ in asked]
    assert bodies == [f"GET /{n} {n % 3}".encode() for n in range(200)]


def test_bytes_may_come_one_at_a_time_both_ways() -> None:
    def talk(peer: upstream.Peer) -> None:
        while (request := peer.next()) is not None:
            data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            for byte in data + wire.chunked(b"got ", request.body):
                peer.send(bytes([byte]))

    asked = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with plane.in_front_of(talk) as (address, origin, _), wire.Wire(address) as client:
        for _ in range(2):
            for byte in asked + wire.chunked(b"abc", b"de"):
                client.send(bytes([byte]))
            assert client.answer().body == b"got abcde"
    assert [request.body for request in origin.requests] == [b"abcde"] * 2


@pytest.mark.parametrize("kind", ["route", "cache"])
def test_answers_without_a_body_leave_the_connection_in_step(kind: str) -> None:
    def answer(request: wire.Message) -> bytes:
        return {
            "/204": b"HTTP/1.1 204 No Content\r\n\r\n",
            "/304": b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 7\r\n\r\n',
            "/head": b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n",
            "/headchunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        }.get(request.target, wire.answer(b"next"))

    with plane.answering(answer, kind) as (address, origin, _), wire.Wire(address) as client:
        assert client.ask("/204").status == 204
        assert client.ask("/304", 'If-None-Match: "a"', "Range: bytes=0-1").status == 304
        head = client.ask("/head", method="HEAD")
        assert (head.status, head.field("content-length")) == (200, "12345")
        assert client.ask("/headchunked", method="HEAD").status == 200
        assert client.ask("/next").body == b"next"
    assert origin.connections == 1


def test_chunks_and_trailers_pass_both_ways() -> None:
    def answer(request: wire.Message) -> bytes:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        return head + wire.chunked(request.body, b"!", trailers=b"X-Sum: 7\r\n")

    asked = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n"
    with plane.answering(answer) as (address, origin, _), wire.Wire(address) as client:
        client.send(asked + wire.chunked(b"ab", b"c", trailers=b"X-Check: 1\r\n"))
        got = client.answer()
        assert client.ask("/again").body == b"!"
    assert (got.body, got.trailers.lower()) == (b"abc!", b"x-sum: 7\r\n")
    assert (origin.requests[0].body, origin.requests[0].trailers.lower()) == (
        b"abc",
        b"x-check: 1\r\n",
    )


def test_lengths_pass_both_ways() -> None:
    with (
        plane.answering(lambda request: wire.answer(request.body[::-1])) as (address, origin, _),
        wire.Wire(address) as client,
    ):
        client.send(wire.request("/", method="PUT", body=b"abcdef" * 9999))
        got = client.answer()
    assert got.field("content-length") == "59994"
    assert got.body == b"fedcba" * 9999
    assert origin.requests[0].field("content-length") == "59994"


def test_http_10_clients_get_what_they_understand() -> None:
    def answer(_: wire.Message) -> bytes:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        return b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + head + wire.chunked(b"ab", b"c")

    with plane.answering(answer) as (address, _, _), wire.Wire(address) as client:
        client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        received = client.rest()
    head, _, body = received.partition(b"\r\n\r\n")
    assert body == b"abc"
    assert head.startswith(b"HTTP/1.1 200")
    assert b"transfer-encoding" not in head.lower()


def test_http_10_clients_may_keep_the_connection() -> None:
    with plane.answering(by_target) as (address, _, _), wire.Wire(address) as client:
        for _ in range(3):
            client.send(b"GET /a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
            got = client.answer()
            assert (got.body, got.field("connection")) == (b"GET /a 0", "keep-alive")
        client.send(b"GET /a HTTP/1.0\r\nHost: a\r\n\r\n")
        assert client.answer().body == b"GET /a 0"
        assert client.is_over()


def test_an_answer_without_length_is_framed_for_clients_that_can_tell_its_end() -> None:
    def talk(peer: upstream.Peer) -> None:
        if peer.next():
            peer.send(b"HTTP/1.1 200 OK\r\n\r\nto the end")

    with plane.in_front_of(talk) as (address, _, _), wire.Wire(address) as client:
        first = client.ask("/")
        assert (first.body, first.field("transfer-encoding")) == (b"to the end", "chunked")
        assert client.ask("/").body == b"to the end"


def test_a_client_may_end_its_side_and_still_be_answered() -> None:
    with plane.answering(by_target) as (address, _, _), wire.Wire(address) as client:
        client.send(wire.request("/a", method="POST", body=b"12"))
        client.socket.shutdown(socket.SHUT_WR)
        assert client.answer().body == b"POST /a 2"


def test_continue_is_asked_of_the_origin_and_passed_back() -> None:
    def talk(peer: upstream.Peer) -> None:
        head = peer.head()
        assert head.field("expect") == "100-continue"
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        peer.send(wire.answer(peer.body(head).body))

    asked = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    for kind in ["route", "cache"]:
        with plane.in_front_of(talk, kind) as (address, _, _), wire.Wire(address) as client:
            client.send(asked)
            assert client.answer().status == 100
            client.send(b"hello")
            assert client.answer().body == b"hello"


def test_a_refusal_instead_of_continue_is_the_one_answer() -> None:
    def talk(peer: upstream.Peer) -> None:
        if peer.upstream.requests:
            peer.send(wire.answer(b"smuggled"))
        peer.upstream.requests.append(peer.head())
        peer.send(wire.answer(b"no", status=403))
        peer.rest()

    asked = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\nExpect: 100-continue\r\n\r\n"
    with plane.in_front_of(talk) as (address, origin, _), wire.Wire(address) as client:
        client.send(asked)
        got = client.answer()
        assert (got.status, got.body, got.field("connection")) == (403, b"no", "close")
        with contextlib.suppress(OSError):
            client.send(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n     ")
        assert client.rest() == b""
    assert len(origin.requests) == 1


def test_interim_answers_pass_as_they_come() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </%s.css>\r\n\r\n"

    def talk(peer: upstream.Peer) -> None:
        head = peer.head()
        peer.send(hints % b"a")
        peer.body(head)
        peer.send(hints % b"b" + wire.answer(b"x"))

    with plane.in_front_of(talk) as (address, _, _), wire.Wire(address) as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
        first = client.answer()
        client.send(b"1")
        answers = [first, client.answer(), client.answer()]
    assert [answer.status for answer in answers] == [103, 103, 200]
    assert [answer.field("link") for answer in answers] == ["</a.css>", "</b.css>", None]


def test_trace_context_passes_unchanged() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    fields = [f"Traceparent: {trace}", "tracestate: a=1,b=2", "tracestate: c=3"]
    for kind in ["route", "cache"]:
        with plane.answering(by_target, kind) as (address, origin, _):
            wire.fetch(address, "/", *fields)
            assert origin.requests[0].field("traceparent") == trace
            assert origin.requests[0].field("tracestate") == "a=1,b=2, c=3"
