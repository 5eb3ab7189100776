"""What is stored, for how long, and how it is confirmed, ranged, purged."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent import futures

import pytest
from tests.e2e import plane, upstream, wire

FRESH = "Cache-Control: max-age=60"
HIT = "hit"


def is_hit(answer: wire.Message) -> bool:
    return HIT in str(answer.field("cache-status")).split("; ")


@pytest.mark.parametrize(
    ("fields", "is_stored"),
    [
        ([FRESH], True),
        (["Cache-Control: s-maxage=60, max-age=0"], True),
        (["Cache-Control: s-maxage=0, max-age=60"], False),
        (["Cache-Control: max-age=0"], False),
        (["Cache-Control: no-store"], False),
        (["Cache-Control: no-store, max-age=60"], False),
        (["Cache-Control: private, max-age=60"], False),
        (["Cache-Control: no-cache"], False),
        ([FRESH, "Set-Cookie: a=b"], False),
        ([FRESH, "Vary: *"], False),
        ([FRESH, "Age: 61"], False),
        ([], False),
    ],
)
def test_only_what_may_be_reused_is(fields: list[str], is_stored: bool) -> None:
    with plane.answering(lambda _: wire.answer(b"x", *fields), "cache") as (address, origin, _):
        wire.fetch(address, "/a")
        assert is_hit(wire.fetch(address, "/a")) == is_stored
        assert len(origin.requests) == (1 if is_stored else 2)


@pytest.mark.parametrize(
    ("control", "is_shared"),
    [("max-age=60", False), ("public, max-age=60", True), ("s-maxage=60", True)],
)
def test_answers_to_credentials_are_shared_only_where_marked(control: str, is_shared: bool) -> None:
    data = wire.answer(b"x", f"Cache-Control: {control}")
    with plane.answering(lambda _: data, "cache") as (address, _, _):
        wire.fetch(address, "/a", "Authorization: Basic eDp5")
        assert is_hit(wire.fetch(address, "/a", "Authorization: Basic eDp6")) == is_shared
        assert is_hit(wire.fetch(address, "/a")) == is_shared


def test_variants_are_kept_apart() -> None:
    def answer(request: wire.Message) -> bytes:
        return wire.answer((request.field("x-lang") or "none").encode(), FRESH, "Vary: X-Lang")

    with plane.answering(answer, "cache") as (address, origin, _):
        for _ in range(3):
            for lang in ["fr", "de"]:
                assert wire.fetch(address, "/a", f"X-Lang: {lang}").body == lang.encode()
            assert wire.fetch(address, "/a").body == b"none"
        assert len(origin.requests) == 3


def test_ten_thousand_variants_stay_bounded_and_right() -> None:
    def answer(request: wire.Message) -> bytes:
        body = (request.field("x-lang") or "").encode() * 1000
        return wire.answer(body, FRESH, "Vary: X-Lang")

    limits = {"requests_per_connection_max": 20_000}
    with (
        plane.answering(answer, "cache", limits) as (address, _, process),
        wire.Wire(address) as client,
    ):
        before = process.resident_bytes()
        for number in range(10_000):
            lang = f"{number:06d}"
            assert client.ask("/a", f"X-Lang: {lang}").body == lang.encode() * 1000
        assert process.resident_bytes() - before < 24 << 20
        assert is_hit(client.ask("/a", "X-Lang: 000000"))


def test_a_stale_answer_is_confirmed_and_used_again() -> None:
    def answer(request: wire.Message) -> bytes:
        if request.field("if-none-match") == '"v1"':
            return b'HTTP/1.1 304 X\r\nCache-Control: max-age=60\r\nETag: "v1"\r\n\r\n'
        return wire.answer(b"page", "Cache-Control: max-age=1", 'ETag: "v1"')

    with plane.answering(answer, "cache") as (address, origin, _):
        assert wire.fetch(address, "/a").body == b"page"
        end = time.monotonic() + wire.TIMEOUT_S
        while is_hit(wire.fetch(address, "/a")) and len(origin.requests) < 2:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert origin.requests[1].field("if-none-match") == '"v1"'
        again = wire.fetch(address, "/a")
        assert (again.body, is_hit(again), len(origin.requests)) == (b"page", True, 2)


def test_every_use_is_confirmed_where_asked_and_a_change_replaces() -> None:
    version = ["1"]

    def answer(request: wire.Message) -> bytes:
        tag = f'"{version[0]}"'
        if request.field("if-none-match") == tag:
            return f"HTTP/1.1 304 X\r\nCache-Control: no-cache\r\nETag: {tag}\r\n\r\n".encode()
        return wire.answer(version[0].encode(), "Cache-Control: no-cache", f"ETag: {tag}")

    with plane.answering(answer, "cache") as (address, origin, _):
        assert [wire.fetch(address, "/a").body for _ in range(3)] == [b"1"] * 3
        version[0] = "2"
        assert [wire.fetch(address, "/a").body for _ in range(2)] == [b"2"] * 2
        assert [r.field("if-none-match") for r in origin.requests] == [
            None,
            '"1"',
            '"1"',
            '"1"',
            '"2"',
        ]


def test_conditional_clients_get_304() -> None:
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    data = wire.answer(b"page", FRESH, 'ETag: "v1"', f"Last-Modified: {date}")
    with plane.answering(lambda _: data, "cache") as (address, origin, _), wire.Wire(address) as c:
        assert c.ask("/a", 'If-None-Match: "v1"').status == 304
        assert c.ask("/a", 'If-None-Match: "v0", W/"v1"').status == 304
        assert c.ask("/a", f"If-Modified-Since: {date}").status == 304
        assert c.ask("/a", 'If-None-Match: "v2"').body == b"page"
        assert len(origin.requests) == 1
        assert origin.requests[0].field("if-none-match") is None


def test_head_is_answered_from_the_stored_page() -> None:
    with plane.answering(lambda _: wire.answer(b"page", FRESH), "cache") as (address, origin, _):
        with wire.Wire(address) as client:
            client.ask("/a")
            head = client.ask("/a", method="HEAD")
            assert (head.status, head.field("content-length"), is_hit(head)) == (200, "4", True)
            assert client.ask("/a").body == b"page"
        assert len(origin.requests) == 1


def test_parts_are_cut_from_the_stored_whole() -> None:
    body = bytes(range(256)) * 300
    data = wire.answer(body, FRESH, 'ETag: "v"')
    with plane.answering(lambda _: data, "cache") as (address, origin, _), wire.Wire(address) as c:
        c.ask("/a")
        for text, first, last in [
            ("0-9", 0, 9),
            ("70000-", 70_000, 76_799),
            ("-5", 76_795, 76_799),
        ]:
            part = c.ask("/a", f"Range: bytes={text}")
            assert (part.status, part.body) == (206, body[first : last + 1])
            assert part.field("content-range") == f"bytes {first}-{last}/76800"
        assert c.ask("/a", "Range: bytes=76800-").status == 416
        assert c.ask("/a", "Range: bytes=0-1", 'If-Range: "w"').status == 200
        assert c.ask("/a").body == body
        assert len(origin.requests) == 1


def test_a_page_is_forgotten_on_request() -> None:
    count = iter(range(100))
    with plane.answering(lambda _: wire.answer(str(next(count)).encode(), FRESH), "cache") as (
        address,
        _,
        process,
    ):
        assert [wire.fetch(address, "/a?q").body for _ in range(2)] == [b"0", b"0"]
        assert wire.fetch(address, "/other").body == b"1"
        purge = {"cache": "main", "url": "http://a/a?q"}
        assert process.admin("POST", "/purge", purge) == (200, {"purged": 1})
        assert process.admin("POST", "/purge", purge) == (200, {"purged": 0})
        assert wire.fetch(address, "/a?q").body == b"2"
        assert wire.fetch(address, "/other").body == b"1"
        for bad in [{}, {"url": "/a"}, {"url": "http://a/", "cache": "none"}]:
            assert process.admin("POST", "/purge", bad)[0] == 400


def slow_at_first(gate: threading.Event) -> upstream.Answer:
    """Answer with the request's number, the first one when a gate is open."""
    count = itertools.count()

    def answer(_: wire.Message) -> bytes:
        number = next(count)
        if number == 0:
            gate.wait(wire.TIMEOUT_S)
        return wire.answer(str(number).encode(), FRESH)

    return answer


def test_a_page_that_is_purged_on_its_way_is_not_kept() -> None:
    gate = threading.Event()
    with plane.answering(slow_at_first(gate), "cache") as (address, origin, process):
        with futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(wire.fetch, address, "/a")
            wire.eventually(lambda: origin.requests, "the fetch is on its way")
            assert process.admin("POST", "/purge", {"url": "http://a/a"})[0] == 200
            gate.set()
            assert asked.result().body == b"0"
        assert wire.fetch(address, "/a").body == b"1"
        assert wire.fetch(address, "/a").body == b"1"


def test_who_asks_after_a_purge_does_not_get_what_was_fetched_before() -> None:
    gate = threading.Event()
    with plane.answering(slow_at_first(gate), "cache") as (address, origin, process):
        with wire.Wire(address) as early, wire.Wire(address) as late:
            early.send(wire.request("/a"))
            wire.eventually(lambda: origin.requests, "the fetch is on its way")
            process.admin("POST", "/purge", {"url": "http://a/a"})
            late.send(wire.request("/a"))
            wire.eventually(lambda: len(origin.requests) == 2, "the late one asks anew")
            gate.set()
            assert (early.answer().body, late.answer().body) == (b"0", b"1")
        assert wire.fetch(address, "/a").body == b"1"


def test_an_unsafe_method_that_succeeds_invalidates_its_page() -> None:
    count = iter(range(100))

    def answer(request: wire.Message) -> bytes:
        status = 500 if request.field("x-fail") else 200
        return wire.answer(str(next(count)).encode(), FRESH, status=status)

    with plane.answering(answer, "cache") as (address, _, _), wire.Wire(address) as client:
        assert client.ask("/a").body == b"0"
        client.ask("/a", "X-Fail: 1", method="DELETE")
        assert client.ask("/a").body == b"0"
        client.ask("/a", method="DELETE")
        assert client.ask("/a").body == b"3"


def test_a_page_is_invalid_as_soon_as_the_change_is_announced() -> None:
    gate = threading.Event()

    def talk(peer: upstream.Peer) -> None:
        while request := peer.next():
            if request.method == "POST":
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
                gate.wait(wire.TIMEOUT_S)
                peer.send(b"done")
            else:
                peer.send(wire.answer(str(len(peer.upstream.requests)).encode(), FRESH))

    with plane.in_front_of(talk, "cache") as (address, _, _), wire.Wire(address) as client:
        assert wire.fetch(address, "/a").body == b"1"
        client.send(wire.request("/a", method="POST"))
        head = client.head()
        assert wire.fetch(address, "/a").body == b"3"
        gate.set()
        assert client.body(head).body == b"done"


def test_only_if_cached_never_asks_the_origin() -> None:
    with plane.answering(lambda _: wire.answer(b"x", FRESH), "cache") as (address, origin, _):
        with wire.Wire(address) as client:
            assert client.ask("/a", "Cache-Control: only-if-cached").status == 504
            assert client.ask("/a").status == 200
            assert client.ask("/a", "Cache-Control: only-if-cached").status == 200
        assert len(origin.requests) == 1


def test_a_cache_that_ends_answers_nothing_from_its_store() -> None:
    """What it has may be old by then: its successor is told what to forget."""

    def fresh(_: wire.Message) -> bytes:
        return wire.answer(b"x", "Cache-Control: max-age=600")

    with (
        plane.answering(fresh, "cache") as (address, origin, process),
        wire.many(address, 10) as clients,
    ):
        assert {client.ask("/a").body for client in clients} == {b"x"}
        assert origin.targets() == ["/a"]
        process.terminate()
        process.told("draining")
        for client in clients:
            # The thread that serves learns of it a moment later.
            if len(origin.requests) == 1:
                assert client.ask("/a").body == b"x"
        assert origin.targets() == ["/a", "/a"]


@pytest.mark.parametrize("length", [1000, 100_000])
def test_the_access_log_counts_the_bytes_of_misses_hits_and_ranges(length: int) -> None:
    data = wire.answer(b"x" * length, FRESH)
    with upstream.Upstream.answering(lambda _: data) as origin:
        contents = plane.document("cache", origin.address, access_log={"one_in": 1})
        with plane.running(contents) as process, wire.Wire(process.address) as client:
            for fields in [(), (), ("Range: bytes=10-19",)]:
                client.ask("/a", *fields)
            client.ask("/a", method="HEAD")
            refused = client.ask("/b", "Cache-Control: only-if-cached")

            def told() -> list[tuple[object, object]]:
                lines = [one for one in process.events("request") if one["listener"] == "web"]
                return [(line.get("cache"), line["body_bytes"]) for line in lines]

            wire.eventually(lambda: len(told()) == 5, "a line for each")
            found = [("uri-miss", length), ("hit", length), ("hit", 10), ("hit", 0)]
            assert told() == [*found, (None, len(refused.body))]
