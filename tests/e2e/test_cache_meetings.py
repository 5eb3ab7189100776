"""Who gets which answer where requests meet: confirmations, variants, passed answers."""

from __future__ import annotations

import threading
from concurrent import futures

import pytest
from tests.e2e import plane, upstream, wire

CLIENTS = 20
FRESH = "Cache-Control: max-age=60"
STALE = "Cache-Control: max-age=0"


def is_hit(answer: wire.Message) -> bool:
    return "hit" in str(answer.field("cache-status")).split("; ")


def test_a_cookie_on_a_confirmation_reaches_one_client_only() -> None:
    gate = threading.Event()
    numbers = iter(range(1000))
    lock = threading.Lock()

    def answer(request: wire.Message) -> bytes:
        if request.field("if-none-match") is None:
            return wire.answer(b"page", STALE, 'ETag: "1"')
        gate.wait(wire.TIMEOUT_S)
        with lock:
            cookie = f"Set-Cookie: id={next(numbers)}"
        return f'HTTP/1.1 304 X\r\nETag: "1"\r\n{STALE}\r\n{cookie}\r\n\r\n'.encode()

    with (
        plane.answering(answer, "cache") as (address, _, process),
        futures.ThreadPoolExecutor(CLIENTS) as pool,
    ):
        wire.fetch(address, "/page")
        asked = [pool.submit(wire.fetch, address, "/page") for _ in range(CLIENTS)]
        name = "alongside_cache_waiting"
        wire.eventually(lambda: process.metric(name) == CLIENTS - 1, "all wait")
        gate.set()
        answers = [one.result() for one in asked]
    assert {one.body for one in answers} == {b"page"}
    assert len({one.field("set-cookie") for one in answers}) == CLIENTS


def heads_that_no_guard_lets_in_anew() -> list[bytes]:
    credentials = b"Authorization: Basic eDp5\r\n"
    short = [b"A%d:%s\r\n" % (n, b"x" * 400) for n in range(80)]
    long = b"".join([b"GET /page HTTP/1.1\r\nHost:a\r\n", credentials, *short])
    filler = b"F:" + b"x" * (32768 - len(long) - 6) + b"\r\n\r\n"
    return [b"GET /page HTTP/1.0\r\n" + credentials + b"\r\n", long + filler]


@pytest.mark.parametrize("head", heads_that_no_guard_lets_in_anew(), ids=["hostless", "full"])
def test_credentials_count_however_the_head_is_written(head: bytes) -> None:
    def answer(request: wire.Message) -> bytes:
        return wire.answer(str(request.field("authorization")).encode(), FRESH)

    with plane.answering(answer, "cache") as (address, origin, _):
        with wire.Wire(address) as client:
            client.send(head)
            assert client.answer().body == b"Basic eDp5"
        first = head.splitlines(keepends=True)[0]
        host = b"Host: a\r\n" if b"HTTP/1.1" in first else b""
        with wire.Wire(address) as other:
            other.send(first + host + b"\r\n")
            assert other.answer().body == b"None"
        assert len(origin.requests) == 2


def test_a_page_of_a_client_that_names_no_host_can_be_purged() -> None:
    with plane.answering(lambda _: wire.answer(b"x", FRESH), "cache") as (address, _, process):
        with wire.Wire(address) as client:
            client.send(b"GET /page HTTP/1.0\r\n\r\n")
            client.rest()
        assert process.admin("POST", "/purge", {"cache": None, "url": "http://localhost/page"}) == (
            200,
            {"purged": 1},
        )


@pytest.mark.parametrize("field", ["X-Forwarded-For", "X-Forwarded-Prefix"])
def test_variants_follow_what_the_origin_sees(field: str) -> None:
    def answer(request: wire.Message) -> bytes:
        return wire.answer(str(request.field(field)).encode(), FRESH, f"Vary: {field}")

    with plane.answering(answer, "cache") as (address, origin, _):
        bodies = {wire.fetch(address, "/a", f"{field}: 10.0.0.{n}").body for n in range(5)}
        assert len(bodies) == len(origin.requests) == 1


@pytest.mark.parametrize("is_warm", [False, True], ids=["cold", "warm"])
def test_clients_of_one_variant_share_one_request(is_warm: bool) -> None:
    gate = threading.Event()

    def answer(request: wire.Message) -> bytes:
        lang = request.field("x-lang") or ""
        if lang != "warm":
            gate.wait(wire.TIMEOUT_S)
        return wire.answer(lang.encode(), FRESH, "Vary: X-Lang")

    with (
        plane.answering(answer, "cache") as (address, origin, process),
        futures.ThreadPoolExecutor(CLIENTS) as pool,
    ):
        if is_warm:
            wire.fetch(address, "/a", "X-Lang: warm")
        asked = [pool.submit(wire.fetch, address, "/a", f"X-Lang: {n % 2}") for n in range(CLIENTS)]
        waiting = CLIENTS - (2 if is_warm else 1)
        name = "alongside_cache_waiting"
        wire.eventually(lambda: process.metric(name) == waiting, "all wait")
        gate.set()
        assert [one.result().body for one in asked] == [b"%d" % (n % 2) for n in range(CLIENTS)]
        assert len(origin.requests) == 2 + is_warm
        assert process.metric("alongside_cache_origin_requests") == 2 + is_warm
        assert is_hit(wire.fetch(address, "/a", "X-Lang: 1"))


def test_a_page_is_stored_as_soon_as_it_may_be_again() -> None:
    def answer(request: wire.Message) -> bytes:
        return wire.answer(b"x", FRESH, *(["Set-Cookie: a=1"] if request.field("x-new") else []))

    with plane.answering(answer, "cache") as (address, origin, _):
        wire.fetch(address, "/page", "X-New: 1")
        wire.fetch(address, "/page")
        assert is_hit(wire.fetch(address, "/page"))
        assert len(origin.requests) == 2


@pytest.mark.parametrize(
    ("method", "fields", "words"),
    [
        ("HEAD", [], ["fwd=uri-miss", "detail=head"]),
        ("GET", ["Range: bytes=0-1"], ["fwd=uri-miss", "detail=range"]),
        ("POST", [], ["fwd=method", "detail=method"]),
        ("GET", ["Cache-Control: no-store"], ["fwd=bypass", "detail=request-no-store"]),
    ],
)
def test_what_is_passed_on_says_so(method: str, fields: list[str], words: list[str]) -> None:
    data = wire.answer(b"x", FRESH, "Cache-Status: inner; hit")
    with plane.answering(lambda _: data, "cache") as (address, _, _):
        status = str(wire.fetch(address, "/a", *fields, method=method).field("cache-status"))
        assert status == "; ".join(["inner; hit, main", *words])


def test_a_confirmation_that_ends_its_connection_is_not_asked_on_it_again() -> None:
    def talk(peer: upstream.Peer) -> None:
        while request := peer.next():
            if request.field("if-none-match"):
                peer.send(b'HTTP/1.1 304 X\r\nETag: "1"\r\nConnection: close\r\n\r\n')
                continue
            peer.send(wire.answer(b"x", STALE, 'ETag: "1"'))

    with plane.in_front_of(talk, "cache") as (address, origin, _):
        for _ in range(3):
            assert wire.fetch(address, "/a").body == b"x"
        assert origin.connections == 2


def test_another_origin_brings_other_pages() -> None:
    def says(text: bytes) -> upstream.Upstream:
        return upstream.Upstream.answering(lambda _: wire.answer(text, FRESH))

    with says(b"old") as old, says(b"new") as new:
        document = plane.document("cache", old.address)
        with plane.running(document) as process:
            assert wire.fetch(process.address, "/a").body == b"old"
            moved = {**plane.document("cache", new.address), "generation": 2}
            moved["listeners"] = document["listeners"]
            assert process.put(moved)[0] == 200
            assert wire.fetch(process.address, "/a").body == b"new"


def test_a_stored_answer_says_when_it_was_made() -> None:
    with plane.answering(lambda _: wire.answer(b"x", FRESH), "cache") as (address, _, _):
        miss, hit = wire.fetch(address, "/a"), wire.fetch(address, "/a")
        assert is_hit(hit)
        assert hit.field("date") == miss.field("date") is not None
