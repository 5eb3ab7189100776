"""One request to the origin for many clients, and what may not be shared."""

from __future__ import annotations

import threading
import time
from concurrent import futures

import pytest
from tests.e2e import plane, upstream, wire

CLIENTS = 100
FRESH = "Cache-Control: max-age=60"


def ask_all(address: wire.Address, target: str, *fields: str) -> list[wire.Message | None]:
    """Ask the same at the same time; None for an answer that was cut."""

    def ask(_: int) -> wire.Message | None:
        try:
            return wire.fetch(address, target, *fields)
        except (wire.CutError, OSError):
            return None

    with futures.ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(ask, range(CLIENTS)))


def repeating(data: bytes) -> upstream.Talk:
    """Return an origin that always answers the same."""

    def talk(peer: upstream.Peer) -> None:
        while peer.next():
            peer.send(data)

    return talk


def test_a_hit_is_the_miss_byte_for_byte() -> None:
    body = bytes(range(256)) * 2000
    chunks = wire.chunked(body[:1000], body[1000:])
    fields = f'{FRESH}\r\nX-A: b\r\nETag: "1"\r\nTransfer-Encoding: chunked'
    for framed in [
        wire.answer(body, FRESH, "X-A: b", 'ETag: "1"'),
        f"HTTP/1.1 200 X\r\n{fields}\r\n\r\n".encode() + chunks,
    ]:
        with plane.in_front_of(repeating(framed), "cache") as (address, origin, _):
            began = time.monotonic()
            miss, hit = wire.fetch(address, "/a"), wire.fetch(address, "/a")
            took_s = time.monotonic() - began
            assert miss.body == hit.body == body
            assert (miss.status, hit.status, len(origin.requests)) == (200, 200, 1)
            for name in ["x-a", "etag", "cache-control"]:
                assert miss.field(name) == hit.field(name) is not None
            assert "fwd=uri-miss" in str(miss.field("cache-status"))
            assert "stored" in str(miss.field("cache-status"))
            assert "hit" in str(hit.field("cache-status")).split("; ")
            assert 0 <= int(hit.field("age") or "-1") <= 1 + took_s


def test_an_older_age_of_the_origin_is_passed_on() -> None:
    data = wire.answer(b"x", FRESH, "Age: 20")
    with plane.answering(lambda _: data, "cache") as (address, _, _):
        began = time.monotonic()
        for _ in range(2):
            age = int(wire.fetch(address, "/").field("age") or "0")
            assert 20 <= age <= 21 + time.monotonic() - began


@pytest.mark.parametrize("threads", [1, 4])
def test_many_clients_share_one_request_and_read_as_it_comes(threads: int) -> None:
    release = threading.Event()

    def talk(peer: upstream.Peer) -> None:
        peer.next()
        peer.send(f"HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: 200000\r\n\r\nfirst".encode())
        release.wait(wire.TIMEOUT_S)
        peer.send(bytes(199_995))

    with (
        upstream.Upstream(talk) as origin,
        plane.running(plane.document("cache", origin.address, threads=threads)) as process,
    ):
        address = process.address
        with wire.many(address, CLIENTS) as clients:
            for client in clients:
                client.send(wire.request("/a"))
            for client in clients:
                assert client.head().status == 200
                assert client.take(5) == b"first"
            release.set()
            assert all(client.take(199_995) == bytes(199_995) for client in clients)
        assert len(origin.requests) == 1
        assert process.metric("alongside_cache_collapsed") == CLIENTS - 1
        assert wire.fetch(address, "/a").body == b"first" + bytes(199_995)
        assert len(origin.requests) == 1


def test_a_slow_reader_does_not_hold_up_those_who_wait_with_it() -> None:
    size = 12 << 20

    def talk(peer: upstream.Peer) -> None:
        while peer.next():
            start.wait(wire.TIMEOUT_S)
            peer.send(wire.answer(bytes(size), FRESH))

    start = threading.Event()
    with (
        plane.in_front_of(talk, "cache") as (address, _, _),
        wire.Wire(address, receive_bytes=4096) as slow,
        wire.Wire(address) as quick,
    ):
        slow.send(wire.request("/large"))
        quick.send(wire.request("/large"))
        start.set()
        assert slow.head().status == 200
        assert len(quick.answer().body) == size


@pytest.mark.parametrize("is_reset", [False, True], ids=["closes", "resets"])
def test_an_origin_that_dies_cuts_everyone_and_nothing_is_stored(is_reset: bool) -> None:
    waiting = threading.Event()
    dead = wire.answer(b"whole", FRESH)

    def talk(peer: upstream.Peer) -> None:
        if not peer.next():
            return
        if len(peer.upstream.requests) > 1:
            peer.send(dead)
            return
        waiting.wait(wire.TIMEOUT_S)
        peer.send(f"HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: 100\r\n\r\nhalf".encode())
        if is_reset:
            peer.reset()

    with plane.in_front_of(talk, "cache") as (address, origin, process):
        with wire.many(address, CLIENTS) as clients:
            for client in clients:
                client.send(wire.request("/a"))
            name = "alongside_cache_waiting"
            wire.eventually(lambda: process.metric(name) == CLIENTS - 1, "all wait")
            waiting.set()
            for client in clients:
                received = client.rest()
                assert wire.status_of(received) in {0, 200, 502}
                assert b"half" not in received or len(received.split(b"\r\n\r\n")[1]) == 4
        assert len(origin.requests) == 1
        assert wire.fetch(address, "/a").body == b"whole"
        assert len(origin.requests) == 2


@pytest.mark.parametrize(
    "field", ["Cache-Control: private", "Set-Cookie: a=1", "Cache-Control: no-store"]
)
def test_an_answer_for_one_is_fetched_for_each(field: str) -> None:
    count = iter(range(10_000))
    lock = threading.Lock()
    gate = threading.Event()

    def answer(_: wire.Message) -> bytes:
        gate.wait(wire.TIMEOUT_S)
        with lock:
            return wire.answer(f"for {next(count)}".encode(), FRESH, field)

    with plane.answering(answer, "cache") as (address, origin, process):
        with futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(ask_all, address, "/mine")
            name = "alongside_cache_waiting"
            wire.eventually(lambda: process.metric(name) == CLIENTS - 1, "all wait")
            gate.set()
            answers = asked.result()
        bodies = {answer.body for answer in answers if answer}
        assert len(bodies) == CLIENTS
        assert len(origin.requests) == CLIENTS
        assert "hit" not in str(wire.fetch(address, "/mine").field("cache-status")).split("; ")


def test_waiters_with_another_variant_get_their_own() -> None:
    gate = threading.Event()

    def answer(request: wire.Message) -> bytes:
        gate.wait(wire.TIMEOUT_S)
        return wire.answer((request.field("x-lang") or "").encode(), FRESH, "Vary: X-Lang")

    with (
        plane.answering(answer, "cache") as (address, _, _),
        futures.ThreadPoolExecutor(20) as pool,
    ):
        asked = [pool.submit(wire.fetch, address, "/v", f"X-Lang: {n % 4}") for n in range(20)]
        gate.set()
        bodies = [one.result().body for one in asked]
    assert bodies == [str(n % 4).encode() for n in range(20)]


def test_credentials_of_one_client_do_not_stop_the_cache_for_others() -> None:
    data = wire.answer(b"x", FRESH)
    with plane.answering(lambda _: data, "cache") as (address, origin, _):
        wire.fetch(address, "/page", "Authorization: Basic eDp5")
        wire.fetch(address, "/page")
        wire.fetch(address, "/page")
        assert len(origin.requests) == 2


def test_a_request_that_the_origin_refuses_does_not_stop_the_cache_for_others() -> None:
    def answer(request: wire.Message) -> bytes:
        if request.field("x-odd"):
            return wire.answer(b"bad", status=400)
        return wire.answer(b"x", FRESH)

    with plane.answering(answer, "cache") as (address, origin, _):
        assert wire.fetch(address, "/page", "X-Odd: 1").status == 400
        wire.fetch(address, "/page")
        wire.fetch(address, "/page")
        assert len(origin.requests) == 2


def test_pages_whose_keys_differ_by_a_field_are_never_mixed_up_on_one_node() -> None:
    def answer(request: wire.Message) -> bytes:
        return wire.answer((request.field("x-country") or "").encode(), FRESH)

    with upstream.Upstream.answering(answer) as origin:
        web = {"name": "web", "address": "127.0.0.1:0", "serves": "main", "inner": ["127.0.0.1/32"]}
        node = plane.document("cache", origin.address, listeners=[web])
        with plane.running(node) as cache:
            address = "{}:{}".format(*cache.address)
            root = plane.document("route", address)
            key = 'request.headers["x-country"]'
            shard = {"name": "main-0", "replicas": ["main-0"]}
            route = {"name": "main", "key": key, "function": "ketama", "shards": [shard]}
            with plane.running({**root, "routes": [route]}) as router:
                for _ in range(3):
                    for country in ["fr", "us", "de", ""]:
                        got = wire.fetch(router.address, "/page", f"X-Country: {country}")
                        assert got.body == country.encode()
        assert len(origin.requests) == 4
        for request in origin.requests:
            assert not [name for name, _ in request.fields if name.startswith("x-alongside")]


@pytest.mark.parametrize("kind", ["route", "cache"])
def test_a_forged_key_has_no_influence(kind: str) -> None:
    with plane.answering(lambda _: wire.answer(b"x", FRESH), kind) as (address, origin, _):
        forged = ["X-Alongside-Key: evil", "X_Alongside_Key: evil", "X-Alongside-Other: evil"]
        for field in forged:
            wire.fetch(address, "/page", field)
        wire.fetch(address, "/page")
        assert len(origin.requests) == (1 if kind == "cache" else 4)
        for request in origin.requests:
            assert "evil" not in str(request.fields)
