"""Upgraded connections: bytes both ways, and what is no upgrade."""

from __future__ import annotations

import socket

import pytest
from tests.e2e import plane, upstream, wire

UPGRADE = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: x")
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: y\r\n\r\n"
)


def echo(peer: upstream.Peer) -> None:
    """Switch, greet at once, then send back what comes, then say goodbye."""
    peer.next()
    peer.send(SWITCHED + b"hi")
    while peer.fill():
        peer.send(peer.take(len(peer.buffer)))
    peer.send(b"bye")


@pytest.mark.parametrize("kind", ["route", "cache"])
def test_bytes_pass_both_ways_also_those_sent_with_the_heads(kind: str) -> None:
    with plane.in_front_of(echo, kind) as (address, origin, _), wire.Wire(address) as client:
        client.send(wire.request("/chat", *UPGRADE) + b"early")
        head = client.head()
        assert (head.status, head.field("upgrade")) == (101, "websocket")
        assert head.field("sec-websocket-accept") == "y"
        assert client.take(7) == b"hiearly"
        blob = bytes(range(256)) * 4096
        for _ in range(4):
            client.send(blob)
            assert client.take(len(blob)) == blob
        client.socket.shutdown(socket.SHUT_WR)
        assert client.rest() == b"bye"
        assert origin.requests[0].field("upgrade") == "websocket"
        wire.eventually(lambda: origin.ended == 1, "the origin's connection ends")


def test_a_refused_upgrade_stays_http() -> None:
    with (
        plane.answering(lambda request: wire.answer(request.target.encode())) as (address, _, _),
        wire.Wire(address) as client,
    ):
        assert client.ask("/no", *UPGRADE).body == b"/no"
        assert client.ask("/next").body == b"/next"


def test_a_tunnel_outlives_documents() -> None:
    with plane.in_front_of(echo) as (address, origin, process), wire.Wire(address) as client:
        client.send(wire.request("/chat", *UPGRADE))
        assert client.head().status == 101
        client.take(2)
        current = plane.document("route", origin.address)
        port = process.address[1]
        moved = [{"name": "web", "address": f"127.0.0.1:{port}", "serves": "main"}]
        for generation in range(2, 6):
            listeners = moved if generation % 2 else []
            status, _ = process.put({**current, "generation": generation, "listeners": listeners})
            assert status == 200
            client.send(b"still")
            assert client.take(5) == b"still"


def test_a_silent_tunnel_ends_at_its_limit() -> None:
    limits = {"tunnel_timeout_ms": 300}
    with plane.in_front_of(echo, limits=limits) as (address, _, _), wire.Wire(address) as client:
        client.send(wire.request("/chat", *UPGRADE))
        assert client.head().status == 101
        assert client.take(2) == b"hi"
        assert client.rest() in {b"", b"bye"}


def test_an_origin_that_leaves_ends_the_tunnel() -> None:
    def talk(peer: upstream.Peer) -> None:
        peer.next()
        peer.send(SWITCHED + b"last words")
        peer.reset()

    with plane.in_front_of(talk) as (address, _, _), wire.Wire(address) as client:
        client.send(wire.request("/chat", *UPGRADE))
        wire.eventually(lambda: not client.fill(), "the tunnel ends")
