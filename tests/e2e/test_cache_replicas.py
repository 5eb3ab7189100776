"""What replicas of a cache do for each other, and what nobody notices when one of them does not."""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures

import pytest
from tests.e2e import plane, replicas, upstream, wire

FRESH = "Cache-Control: max-age=60"
OURS = "x-alongside-"
PROMPT_S = 6.0
"""A deadline far from 60 s, the response_timeout that a frozen sibling must not cost."""


def status(answer: wire.Message) -> list[str]:
    """Return the members of Cache-Status, the cache nearest to the origin first."""
    return str(answer.field("cache-status")).split(", ")


def names(answer: wire.Message) -> list[str]:
    return [member.split(";")[0] for member in status(answer)]


def numbered() -> Callable[[wire.Message], bytes]:
    """Return an origin whose answers are numbered."""
    lock, count = threading.Lock(), iter(range(100_000))

    def answer(_: wire.Message) -> bytes:
        with lock:
            return wire.answer(str(next(count)).encode(), FRESH)

    return answer


def leaked(origin: upstream.Upstream) -> list[tuple[str, str]]:
    """Return the fields of ours that the origin saw."""
    fields = [field for request in origin.requests for field in request.fields]
    return [field for field in fields if field[0].startswith(OURS)]


@pytest.mark.parametrize("threads", [1, 4])
def test_many_misses_of_two_replicas_are_one_request_to_the_origin(threads: int) -> None:
    gate = threading.Event()
    clients = 500

    def answer(_: wire.Message) -> bytes:
        gate.wait(wire.TIMEOUT_S)
        return wire.answer(b"page" * 5000, FRESH)

    with (
        upstream.Upstream.answering(answer) as origin,
        replicas.fleet(origin.address, threads=threads) as fleet,
        contextlib.ExitStack() as stack,
    ):
        open_ = [
            stack.enter_context(wire.Wire(fleet.address(number % 2))) for number in range(clients)
        ]
        for client in open_:
            client.send(wire.request("/page"))
        name = "alongside_cache_waiting"

        def waiting() -> float:
            return sum(node.metric(name) for node in fleet.nodes.values())

        # One of each replica asks, and one of these waits for the other's.
        wire.eventually(lambda: waiting() == clients - 1, "all wait")
        gate.set()
        assert {client.answer().body for client in open_} == {b"page" * 5000}
        assert len(origin.requests) == 1
        assert not leaked(origin)
        assert all(fleet.holds(at, "/page") for at in range(2))
        collapsed = sum(node.metric("alongside_cache_collapsed") for node in fleet.nodes.values())
        # One client of each replica began, or where a sibling's question came first, of one.
        assert collapsed in {clients - 2, clients - 1}


def test_a_client_sees_that_a_sibling_had_it() -> None:
    with (
        upstream.Upstream.answering(numbered()) as origin,
        replicas.fleet(origin.address, 3) as fleet,
    ):
        target = fleet.targets(0, 1)[0]
        second, third = fleet.order(target)[1:]
        assert fleet.ask(0, target).body == b"0"
        there = fleet.ask(second, target)
        assert (there.body, names(there)) == (b"0", ["n0", f"n{second}"])
        assert "hit" in status(there)[0].split("; ")
        assert "stored" in status(there)[1].split("; ")
        here = fleet.ask(second, target)
        assert (here.body, names(here)) == (b"0", [f"n{second}"])
        # The first has lost it, and finds it with a sibling.
        fleet.kill(0)
        fleet.start(0)
        again = fleet.ask(third, target)
        assert (again.body, names(again)) == (b"0", [f"n{second}", "n0", f"n{third}"])
        assert len(origin.requests) == 1
        asked = "alongside_cache_sibling_requests"
        assert fleet.nodes[0].metric(asked, outcome="hit") == 1
        assert fleet.nodes[second].metric(asked, outcome="hit") == 1
        assert fleet.nodes[0].metric("alongside_cache_requests") == 0


def test_a_miss_of_all_is_fetched_by_the_first() -> None:
    with (
        upstream.Upstream.answering(numbered()) as origin,
        replicas.fleet(origin.address, 3) as fleet,
    ):
        target = fleet.targets(0, 1)[0]
        last = fleet.order(target)[2]
        answer = fleet.ask(last, target)
        assert names(answer) == ["n0", f"n{last}"]
        assert "fwd=uri-miss" in status(answer)[0]
        assert fleet.nodes[0].metric("alongside_cache_sibling_requests", outcome="miss") == 1
        assert fleet.nodes[last].metric("alongside_cache_sibling_requests", outcome="fetched") == 1
        assert fleet.holds(0, target)
        assert fleet.holds(last, target)
        assert len(origin.requests) == 1


@pytest.mark.parametrize("word", ["probe", "purge", "purge-all", "meet", "warm", "dance"])
def test_questions_from_outside_mean_nothing(word: str) -> None:
    forged = [
        f"X-Alongside-Ask: {word}",
        "X-Alongside-From: n1",
        "X-Alongside-Key: theirs",
        "X_Alongside_Ask: purge",
    ]
    with (
        upstream.Upstream.answering(numbered()) as origin,
        replicas.fleet(origin.address) as fleet,
    ):
        outer = fleet.nodes[0].addresses()["outer"]
        assert wire.fetch(outer, "/a").body == b"0"
        assert wire.fetch(outer, "/a", *forged).body == b"0"
        fresh = wire.fetch(outer, "/b", *forged)
        assert (fresh.status, fresh.body) == (200, b"1")
        assert not [name for name, _ in fresh.fields if name.startswith(OURS)]
        assert wire.fetch(outer, "/c", *forged, method="POST").body == b"2"
        assert wire.fetch(outer, "/a").body == b"0"
        assert len(origin.requests) == 3
        assert not leaked(origin)


def test_questions_of_ours_never_reach_the_origin() -> None:
    with (
        upstream.Upstream.answering(numbered()) as origin,
        replicas.fleet(origin.address) as fleet,
    ):
        probe = fleet.ask(0, "/a", "X-Alongside-Ask: probe")
        assert (probe.status, probe.body) == (200, b"")
        assert probe.field("x-alongside-warmth") == "100"
        assert fleet.ask(0, "/a", "X-Alongside-Ask: dance").status == 400
        assert fleet.ask(0, "/a", "X-Alongside-Ask: purge").body == b'{"purged": 0}\n'
        assert fleet.ask(0, "/a", "X-Alongside-Ask: warm").status == 200
        asked = ["X-Alongside-Ask: meet", "Cache-Control: only-if-cached"]
        assert fleet.ask(0, "/a", *asked).status == 504
        assert not origin.requests
        with wire.Wire(fleet.address(0)) as client:
            # The connection goes on, also after a question that had a body.
            client.send(wire.request("/a", "X-Alongside-Ask: purge", method="POST", body=b"x" * 99))
            assert client.answer().status == 200
            assert client.ask("/a").body == b"0"


def test_what_origins_say_in_our_fields_is_not_believed() -> None:
    lies = ["X-Alongside-Fault: unreachable", "X-Alongside-Age-Ms: 59000", "X-Alongside-Warmth: 1"]
    data = wire.answer(b"x", FRESH, *lies)
    with (
        upstream.Upstream.answering(lambda _: data) as origin,
        replicas.fleet(origin.address) as fleet,
    ):
        for at in [0, 1]:
            answer = fleet.ask(at, "/a")
            assert (answer.status, int(answer.field("age") or "0") < 10) == (200, True)
            assert not [name for name, _ in answer.fields if name.startswith(OURS)]


def test_a_purge_between_ours_reaches_every_key_and_fills_on_their_way() -> None:
    gate = threading.Event()
    count = iter(range(100))

    def answer(request: wire.Message) -> bytes:
        if request.target == "/slow" and not gate.is_set():
            gate.wait(wire.TIMEOUT_S)
        return wire.answer(str(next(count)).encode(), FRESH)

    with (
        upstream.Upstream.answering(answer) as origin,
        replicas.fleet(origin.address, 1) as fleet,
    ):
        for key in ["FR", "US"]:
            fleet.ask(0, "/a", f"X-Alongside-Key: {key}")
        assert fleet.ask(0, "/a", "X-Alongside-Ask: purge").body == b'{"purged": 2}\n'
        assert not fleet.holds(0, "/a", "X-Alongside-Key: FR")
        with futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(fleet.ask, 0, "/slow")
            wire.eventually(lambda: len(origin.requests) == 3, "the fetch is on its way")
            assert fleet.ask(0, "/slow", "X-Alongside-Ask: purge").status == 200
            gate.set()
            assert asked.result().status == 200
        assert not fleet.holds(0, "/slow")


def test_a_killed_sibling_is_skipped_at_once() -> None:
    with (
        upstream.Upstream.answering(numbered()) as origin,
        replicas.fleet(origin.address) as fleet,
    ):
        targets = fleet.targets(0, 20)
        assert names(fleet.ask(1, targets[0])) == ["n0", "n1"]
        fleet.kill(0)
        began = time.monotonic()
        answers = [fleet.ask(1, target) for target in targets[1:]]
        assert time.monotonic() - began < PROMPT_S
        assert {answer.status for answer in answers} == {200}
        assert all(names(answer) == ["n1"] for answer in answers)
        assert len(origin.requests) == len(targets)
        failed = fleet.nodes[1].metric("alongside_cache_sibling_requests", outcome="unreachable")
        assert 1 <= failed < len(answers)
        # It is used again when it is back, by a probe that nobody waits for.
        fleet.start(0)
        more = iter(fleet.targets(0, 10_000, prefix="/more"))
        wire.eventually(lambda: names(fleet.ask(1, next(more))) == ["n0", "n1"], "it is back")


def test_a_frozen_sibling_costs_a_moment_once() -> None:
    with (
        upstream.Upstream.answering(numbered()) as origin,
        replicas.fleet(origin.address) as fleet,
    ):
        below, above = fleet.targets(0, 20), fleet.targets(1, 20)
        assert names(fleet.ask(1, below[0])) == ["n0", "n1"]
        with fleet.frozen(0):
            began = time.monotonic()
            answers = [fleet.ask(1, target) for target in below[1:] + above]
            assert time.monotonic() - began < PROMPT_S
            assert {answer.status for answer in answers} == {200}
            # What the frozen one was asked it will ask when it is back.
            assert len(origin.requests) == len(below) + len(above)
        more = iter(fleet.targets(0, 10_000, prefix="/more"))
        wire.eventually(lambda: names(fleet.ask(1, next(more))) == ["n0", "n1"], "it is back")


def test_a_sibling_that_freezes_while_it_fetches_is_not_waited_for() -> None:
    gate, count = threading.Event(), iter(range(100))

    def answer(_: wire.Message) -> bytes:
        number = next(count)
        if number == 0:
            gate.wait(wire.TIMEOUT_S)
        return wire.answer(str(number).encode(), FRESH)

    with (
        upstream.Upstream.answering(answer) as origin,
        replicas.fleet(origin.address) as fleet,
        wire.Wire(fleet.address(1)) as client,
    ):
        target = fleet.targets(0, 1)[0]
        client.send(wire.request(target))
        wire.eventually(lambda: origin.requests, "the first asks the origin")
        with fleet.frozen(0):
            began = time.monotonic()
            assert client.answer().body == b"1"
            assert time.monotonic() - began < PROMPT_S
        gate.set()


def test_a_slow_origin_is_no_frozen_sibling() -> None:
    def answer(_: wire.Message) -> bytes:
        # Longer than a sibling may be silent without being looked after.
        time.sleep(2.5)
        return wire.answer(b"x", FRESH)

    with (
        upstream.Upstream.answering(answer) as origin,
        replicas.fleet(origin.address) as fleet,
        futures.ThreadPoolExecutor(20) as pool,
    ):
        asked = [pool.submit(fleet.ask, number % 2, "/a") for number in range(20)]
        assert {one.result().body for one in asked} == {b"x"}
        assert len(origin.requests) == 1


def test_a_sibling_that_dies_in_the_middle_of_a_body_leaves_no_half_answer() -> None:
    gate = threading.Event()

    def talk(peer: upstream.Peer) -> None:
        while peer.next():
            if peer.upstream.connections > 1:
                peer.send(wire.answer(bytes(200_000), FRESH))
                continue
            peer.send(f"HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: 200000\r\n\r\nhalf".encode())
            gate.wait(wire.TIMEOUT_S)

    with upstream.Upstream(talk) as origin, replicas.fleet(origin.address) as fleet:
        target = fleet.targets(0, 1)[0]
        with wire.Wire(fleet.address(1)) as client:
            client.send(wire.request(target))
            client.head()
            assert client.take(4) == b"half"
            fleet.kill(0)
            assert client.rest() == b""
        gate.set()
        assert not fleet.holds(1, target)
        assert fleet.ask(1, target).body == bytes(200_000)


def test_variants_cross_replicas_and_stay_apart() -> None:
    def answer(request: wire.Message) -> bytes:
        return wire.answer((request.field("x-lang") or "none").encode(), FRESH, "Vary: X-Lang")

    with (
        upstream.Upstream.answering(answer) as origin,
        replicas.fleet(origin.address) as fleet,
    ):
        for target in [*fleet.targets(0, 2), *fleet.targets(1, 2)]:
            for _ in range(2):
                for at in [0, 1]:
                    for lang in ["fr", "de"]:
                        body = fleet.ask(at, target, f"X-Lang: {lang}").body
                        assert body == lang.encode()
                    assert fleet.ask(at, target).body == b"none"
        assert len(origin.requests) == 4 * 3


def test_two_keys_of_one_url_never_mix() -> None:
    with (
        upstream.Upstream.answering(numbered()) as origin,
        replicas.fleet(origin.address) as fleet,
    ):
        bodies: dict[str, set[bytes]] = {}
        for _ in range(3):
            for at in [0, 1]:
                for key in ["", "FR", "US", "%46R"]:
                    answer = fleet.ask(at, "/a", *([f"X-Alongside-Key: {key}"] if key else []))
                    bodies.setdefault(key, set()).add(answer.body)
        assert {len(found) for found in bodies.values()} == {1}
        assert len(set.union(*bodies.values())) == 4
        assert len(origin.requests) == 4
        assert not leaked(origin)


def test_a_sibling_that_does_not_believe_us_is_not_believed() -> None:
    with (
        upstream.Upstream.answering(numbered()) as origin,
        replicas.fleet(origin.address, started=0) as fleet,
    ):
        listeners = fleet.documents[0]["listeners"]
        assert isinstance(listeners, list)
        listeners[0]["inner"] = []
        fleet.start(0)
        fleet.start(1)
        # It holds the page of no key, and strips the key that its sibling asks with.
        assert fleet.ask(0, "/a").body == b"0"
        bodies = [fleet.ask(1, "/a", f"X-Alongside-Key: {key}").body for key in ["FR", "US"]]
        assert bodies == [b"1", b"2"]
        numbers = fleet.targets(0, 2)
        assert names(fleet.ask(1, numbers[0])) == ["n1"]
        asked = fleet.nodes[1].metric("alongside_cache_sibling_requests", outcome="refused")
        assert asked <= 2


def test_an_age_never_falls_on_its_way_over_two_replicas() -> None:
    made = time.monotonic()
    data = wire.answer(b"x", FRESH, "Age: 20")
    with (
        upstream.Upstream.answering(lambda _: data) as origin,
        replicas.fleet(origin.address) as fleet,
    ):
        target = fleet.targets(0, 1)[0]

        def age(at: int) -> int:
            return int(fleet.ask(at, target).field("age") or "0")

        age(0)
        for turn in range(60):
            if turn % 20 == 0:
                # The other one takes it over anew, each time at another part of a second.
                fleet.kill(1)
                fleet.start(1)
            assert 20 <= age(0) <= age(1) <= 20 + (time.monotonic() - made) + 2
            time.sleep(0.055)
        assert len(origin.requests) == 1


def test_what_a_slow_origin_takes_makes_no_answer_older_at_the_sibling() -> None:
    def answer(_: wire.Message) -> bytes:
        time.sleep(1.5)
        return wire.answer(b"x", "Cache-Control: max-age=3")

    with (
        upstream.Upstream.answering(answer) as origin,
        replicas.fleet(origin.address) as fleet,
    ):
        target = fleet.targets(0, 1)[0]
        fleet.ask(1, target)
        # 1.5 s count at the first replica; counted twice it would be stale here.
        assert fleet.holds(1, target)


def test_a_confirmation_reaches_both_replicas_by_one_question() -> None:
    def answer(request: wire.Message) -> bytes:
        if request.field("if-none-match") == '"v1"':
            return b'HTTP/1.1 304 X\r\nCache-Control: max-age=60\r\nETag: "v1"\r\n\r\n'
        return wire.answer(b"page", "Cache-Control: max-age=1", 'ETag: "v1"')

    with (
        upstream.Upstream.answering(answer) as origin,
        replicas.fleet(origin.address) as fleet,
    ):
        target = fleet.targets(0, 1)[0]
        assert fleet.ask(1, target).body == b"page"
        wire.eventually(
            lambda: not fleet.holds(0, target) and not fleet.holds(1, target), "it is stale"
        )
        again = fleet.ask(1, target)
        assert (again.status, again.body) == (200, b"page")
        assert names(again) == ["n0", "n1"]
        assert "fwd-status=304" in status(again)[1]
        assert [request.field("if-none-match") for request in origin.requests] == [None, '"v1"']
        assert fleet.holds(0, target)
        assert fleet.holds(1, target)
        assert fleet.ask(1, target, 'If-None-Match: "v1"').status == 304


def test_what_is_for_one_client_is_not_shared_by_replicas() -> None:
    count, lock = iter(range(1000)), threading.Lock()
    gate = threading.Event()

    def answer(_: wire.Message) -> bytes:
        gate.wait(wire.TIMEOUT_S)
        with lock:
            return wire.answer(b"x", FRESH, f"Set-Cookie: id={next(count)}")

    with (
        upstream.Upstream.answering(answer) as origin,
        replicas.fleet(origin.address) as fleet,
        futures.ThreadPoolExecutor(20) as pool,
    ):
        asked = [pool.submit(fleet.ask, number % 2, "/mine") for number in range(20)]
        wire.eventually(lambda: origin.requests, "they ask")
        gate.set()
        cookies = [one.result().field("set-cookie") for one in asked]
        assert len(set(cookies)) == 20
        assert not fleet.holds(0, "/mine")
        assert not fleet.holds(1, "/mine")
        assert len(origin.requests) == 20


def test_a_body_that_only_the_close_ends_is_kept_by_nobody() -> None:
    def talk(peer: upstream.Peer) -> None:
        if peer.next():
            peer.send(f"HTTP/1.1 200 OK\r\n{FRESH}\r\nConnection: close\r\n\r\nsome".encode())

    with upstream.Upstream(talk) as origin, replicas.fleet(origin.address) as fleet:
        target = fleet.targets(0, 1)[0]
        assert fleet.ask(1, target).body == b"some"
        assert not fleet.holds(0, target)
        assert not fleet.holds(1, target)


def test_what_only_its_own_client_may_ask_for_goes_straight_to_the_origin() -> None:
    with (
        upstream.Upstream.answering(numbered()) as origin,
        replicas.fleet(origin.address) as fleet,
    ):
        requests = [
            ("GET", ["Authorization: Basic eDp5"]),
            ("GET", ["Range: bytes=0-0"]),
            ("GET", ["Cache-Control: no-store"]),
            ("HEAD", []),
            ("POST", []),
        ]
        for number, (method, fields) in enumerate(requests):
            target = fleet.targets(0, 1, prefix=f"/{number}/")[0]
            answer = wire.fetch(fleet.address(1), target, *fields, method=method)
            assert names(answer) == ["n1"]
        assert fleet.nodes[1].metric("alongside_cache_sibling_requests") == 0
        assert len(origin.requests) == len(requests)


def test_an_origin_that_is_gone_is_an_error_at_both_replicas() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    with replicas.fleet(address) as fleet:
        for target in fleet.targets(0, 3):
            assert [fleet.ask(at, target).status for at in [1, 0, 1]] == [502] * 3


def test_an_origin_that_answers_nothing_is_asked_by_one_replica_only() -> None:
    def talk(peer: upstream.Peer) -> None:
        while peer.next():
            time.sleep(1)
            return

    limits = {"response_timeout_ms": 5000}
    with (
        upstream.Upstream(talk) as origin,
        replicas.fleet(origin.address, limits=limits) as fleet,
    ):
        target = fleet.targets(0, 1)[0]
        assert fleet.ask(1, target).status == 502
        assert len(origin.requests) == 1


def versioned() -> Callable[[wire.Message], bytes]:
    """Return an origin whose pages change with each request that is no GET."""
    version = [0]

    def answer(request: wire.Message) -> bytes:
        version[0] += request.method != "GET"
        return wire.answer(str(version[0]).encode(), FRESH)

    return answer


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_change_through_one_replica_is_known_to_its_siblings(method: str) -> None:
    with (
        upstream.Upstream.answering(versioned()) as origin,
        replicas.fleet(origin.address, 3) as fleet,
    ):
        purges = "alongside_cache_sibling_purges"

        def told() -> float:
            return fleet.nodes[1].metric(purges, outcome="told")

        for version in range(5):
            for at in range(3):
                assert fleet.ask(at, "/a").body == b"%d" % version
            before = told()
            assert fleet.ask(1, "/a", method=method).status == 200
            # Who asks the changed replica next gets nothing old, whatever its siblings hold.
            assert fleet.ask(1, "/a").body == b"%d" % (version + 1)
            wanted = before + 2
            wire.eventually(functools.partial(lambda all_: told() == all_, wanted), "all know")


def test_a_change_that_a_frozen_sibling_missed_is_told_again() -> None:
    with (
        upstream.Upstream.answering(versioned()) as origin,
        replicas.fleet(origin.address) as fleet,
    ):
        target = fleet.targets(0, 1)[0]
        for at in range(2):
            assert fleet.ask(at, target).body == b"0"
        with fleet.frozen(0):
            assert fleet.ask(1, target, method="DELETE").status == 200
            assert fleet.ask(1, target).body == b"1"
            purges = "alongside_cache_sibling_purges"
            wire.eventually(
                lambda: fleet.nodes[1].metric(purges, outcome="failed") > 0, "an attempt failed"
            )
        wire.eventually(lambda: fleet.ask(0, target).body == b"1", "n0 knows")


def test_no_replica_takes_back_from_a_sibling_what_it_has_purged() -> None:
    version = [b"old"]
    with (
        upstream.Upstream.answering(lambda _: wire.answer(version[0], FRESH)) as origin,
        replicas.fleet(origin.address, 3) as fleet,
    ):
        targets = [fleet.targets(at, 1)[0] for at in range(3)]
        for target in targets:
            assert {fleet.ask(at, target).body for at in range(3)} == {b"old"}
        version[0] = b"new"
        # Two of them learn of a purge; the third still has all pages.
        for target in targets:
            for at in [0, 1]:
                assert fleet.ask(at, target, "X-Alongside-Ask: purge").body == b'{"purged": 1}\n'
        for target in targets:
            assert [fleet.ask(at, target).body for at in [0, 1, 2]] == [b"new", b"new", b"old"]
        assert fleet.nodes[0].metric("alongside_cache_sibling_requests", outcome="outdated") >= 1


def test_everything_is_forgotten_on_one_word() -> None:
    with (
        upstream.Upstream.answering(numbered()) as origin,
        replicas.fleet(origin.address, 1) as fleet,
    ):
        for target in ["/a", "/b"]:
            fleet.ask(0, target)
        assert fleet.ask(0, "/", "X-Alongside-Ask: purge-all").body == b'{"purged": 2}\n'
        assert not fleet.holds(0, "/a")
        assert not fleet.holds(0, "/b")


def test_a_client_that_waits_sees_who_asked_the_origin_when_it_has_said_so() -> None:
    data = wire.answer(b"x", FRESH, "Cache-Status: cdn; hit", "Cache-Status: lb; fwd=miss")
    with plane.answering(lambda _: data, "cache") as (address, _, _):
        miss, hit = wire.fetch(address, "/a"), wire.fetch(address, "/a")
        assert names(miss) == ["cdn", "lb", "main"]
        assert names(hit) == ["main"]


def test_a_replica_tells_a_sibling_what_a_router_could_not() -> None:
    with (
        upstream.Upstream.answering(numbered()) as origin,
        replicas.fleet(origin.address) as fleet,
    ):
        for target in ["/a", "/b", "/c"]:
            assert fleet.ask(0, target).body == fleet.ask(1, target).body
        said = fleet.ask(1, "/a", "X-Alongside-Ask: purge", "X-Alongside-For: n0")
        assert (said.status, said.field("x-alongside-owed")) == (200, "1")
        assert said.field("x-alongside-purged") is None
        wire.eventually(lambda: not fleet.holds(0, "/a"), "n0 was told")
        # What is for a sibling is for it alone.
        assert [fleet.holds(at, "/b") for at in range(2)] == [True, True]
        assert fleet.holds(1, "/a")
        fleet.ask(1, "/", "X-Alongside-Ask: purge-all", "X-Alongside-For: n0")
        wire.eventually(lambda: not fleet.holds(0, "/b"), "n0 was told")
        assert not fleet.holds(0, "/c")
        assert fleet.holds(1, "/b")


def test_a_replica_promises_nothing_for_who_is_no_sibling_and_to_nobody_outside() -> None:
    with (
        upstream.Upstream.answering(numbered()) as origin,
        replicas.fleet(origin.address) as fleet,
    ):
        fleet.ask(0, "/a")
        for name in ["n1x", "n0", "", "x" * 300]:
            order = ["X-Alongside-Ask: purge", f"X-Alongside-For: {name}"]
            said = fleet.ask(0, "/a", *order)
            assert (said.status, said.field("x-alongside-owed")) == (404, None), name
        outer = fleet.nodes[1].addresses()["outer"]
        said = wire.fetch(outer, "/a", "X-Alongside-Ask: purge", "X-Alongside-For: n0")
        assert said.field("x-alongside-owed") is None
        assert fleet.holds(0, "/a")
        assert not leaked(origin)


def is_order(request: wire.Message) -> bool:
    return (request.field("x-alongside-ask") or "").startswith("purge")


def sibling_of_ours(answers: list[int]) -> Callable[[wire.Message], bytes]:
    """Answer orders with these statuses, then like a cache of ours; nothing else is stored."""
    left = iter(answers)

    def answer(request: wire.Message) -> bytes:
        if not is_order(request):
            return wire.answer(status=504)
        status_ = next(left, 200)
        fields = ["X-Alongside-Purged: 1"] if status_ == 200 else []
        return wire.answer(b"", *fields, status=status_)

    return answer


@contextlib.contextmanager
def beside(sibling: upstream.Upstream, origin: upstream.Upstream) -> Iterator[replicas.Fleet]:
    """Start `n0`, whose sibling `n1` is a program of the test."""
    with replicas.fleet(origin.address, 2, started=0) as fleet:
        caches = fleet.documents[0]["caches"]
        assert isinstance(caches, list)
        caches[0]["replica"]["siblings"] = [{"id": "n1", "address": sibling.address}]
        caches[0]["replica"]["warm_bytes_per_s"] = None
        fleet.start(0)
        yield fleet


def test_siblings_are_told_as_routers_tell() -> None:
    with (
        upstream.Upstream.answering(numbered()) as origin,
        upstream.Upstream.answering(sibling_of_ours([503, 500])) as sibling,
        beside(sibling, origin) as fleet,
    ):
        assert fleet.ask(0, "/a?b", method="DELETE").status == 200

        def told() -> list[tuple[str, ...]]:
            names_ = ["host", "cache-control", "x-alongside-ask", "x-alongside-from"]
            return [
                (r.method, r.target, *(str(r.field(name)) for name in names_))
                for r in sibling.requests
                if is_order(r)
            ]

        order = ("HEAD", "/a?b", "a", "only-if-cached", "purge", "n0")
        wire.eventually(lambda: told() == [order] * 3, "told until it has forgotten")
        purges = functools.partial(fleet.nodes[0].metric, "alongside_cache_sibling_purges")
        wire.eventually(lambda: purges(outcome="told") == 1, "it is counted")
        assert purges(outcome="failed") == 2


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_replica_that_ends_tells_its_siblings_first(*, comes_back: bool) -> None:
    is_away = threading.Event()
    is_away.set()
    told: list[str] = []

    def absent(peer: upstream.Peer) -> None:
        while (head := peer.next()) is not None:
            if is_away.is_set():
                return
            told.extend([head.target] if is_order(head) else [])
            peer.send(sibling_of_ours([])(head))

    with (
        upstream.Upstream.answering(numbered()) as origin,
        upstream.Upstream(absent) as sibling,
        beside(sibling, origin) as fleet,
    ):
        node = fleet.nodes[0]
        assert fleet.ask(0, "/a", method="DELETE").status == 200
        wire.eventually(lambda: any(map(is_order, sibling.requests)), "it is told in vain")
        assert node.metric("alongside_cache_sibling_owed_orders") == 1
        assert node.metric("alongside_cache_sibling_owed_bytes") > 100
        node.terminate()
        node.told("draining")
        if comes_back:
            is_away.clear()
        node.process.wait(timeout=wire.TIMEOUT_S)
        dropped = [(line["node"], line["open"]) for line in node.events("forgets_dropped")]
        assert (told, dropped) == ((["/a"], []) if comes_back else ([], [("n1", 1)]))
