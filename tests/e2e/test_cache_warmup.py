"""A replica that starts empty takes what its siblings have, and nothing it should not."""

from __future__ import annotations

import contextlib
import itertools
import signal
import time
from collections.abc import Iterator

import pytest
from tests.e2e import plane, replicas, upstream, wire

FRESH = "Cache-Control: max-age=600"
OTHER_ORIGIN = "sibling_of_another_origin"
FAST: dict[str, object] = {"warm_bytes_per_s": 1 << 30}
SLOW_BYTES_PER_S = 64 * 1024
SLOW: dict[str, object] = {"warm_bytes_per_s": SLOW_BYTES_PER_S}


def body_of(target: str) -> bytes:
    """Return what the origin says to a target: /SIZE/… has so many bytes."""
    return (target.encode() * 100_000)[: int(target.split("/")[1])]


def sized(request: wire.Message) -> bytes:
    return wire.answer(body_of(request.target), FRESH, f"X-Target: {request.target}")


@contextlib.contextmanager
def warm_fleet(
    targets: list[str], more: dict[str, object], count: int = 2, **frame: object
) -> Iterator[tuple[replicas.Fleet, upstream.Upstream]]:
    """Serve replicas of which only the first runs, and has these targets."""
    with (
        upstream.Upstream.answering(sized) as origin,
        replicas.fleet(origin.address, count, started=1, more=more, **frame) as fleet,
    ):
        for target in targets:
            assert fleet.ask(0, target).body == body_of(target)
        yield fleet, origin


def warmth(fleet: replicas.Fleet, at: int) -> int:
    return int(fleet.ask(at, "/", "X-Alongside-Ask: probe").field("x-alongside-warmth") or "-1")


def await_warm(fleet: replicas.Fleet, at: int) -> None:
    wire.eventually(lambda: warmth(fleet, at) == 100, "it is warm")


def held(fleet: replicas.Fleet, at: int, targets: list[str]) -> list[str]:
    """Return the targets that a replica holds, and see that each is what it should be."""
    found = []
    for target in targets:
        answer = fleet.ask(at, target, "Cache-Control: only-if-cached")
        if answer.status == 200:
            assert answer.body == body_of(target)
            assert answer.field("x-target") == target
            found.append(target)
    return found


@pytest.mark.parametrize("threads", [1, 4])
def test_a_new_replica_has_what_its_sibling_has(threads: int) -> None:
    targets = [f"/{size}/{number}" for number in range(20) for size in [0, 10, 5000, 200_000]]
    with warm_fleet(targets, FAST, threads=threads) as (fleet, origin):
        assert warmth(fleet, 0) == 100
        fleet.start(1)
        await_warm(fleet, 1)
        assert held(fleet, 1, targets) == targets
        assert len(origin.requests) == len(targets)
        node = fleet.nodes[1]
        # Once, however many threads serve.
        assert node.metric("alongside_cache_warmed_objects") == len(targets)
        assert node.metric("alongside_cache_warmed_bytes") > sum(map(len, map(body_of, targets)))
        assert node.metric("alongside_cache_warmth") == 100
        node.told("warmed_up")
        assert node.end() == 0
        assert len(node.events("warmed_up")) == 1


def test_variants_and_keys_come_as_they_are() -> None:
    def answer(request: wire.Message) -> bytes:
        says = f"{request.field('x-lang')} {len(origin.requests)}"
        return wire.answer(says.encode(), FRESH, "Vary: X-Lang, Accept")

    asked = [
        [],
        ["X-Lang: fr"],
        ["X-Lang: de , en", "Accept: a"],
        ["X-Alongside-Key: FR"],
        ["X-Alongside-Key: US", "X-Lang: fr"],
    ]
    with (
        upstream.Upstream.answering(answer) as origin,
        replicas.fleet(origin.address, started=1, more=FAST) as fleet,
    ):
        bodies = [fleet.ask(0, "/a", *fields).body for fields in asked]
        assert len(set(bodies)) == len(asked)
        fleet.start(1)
        await_warm(fleet, 1)
        only = "Cache-Control: only-if-cached"
        assert [fleet.ask(1, "/a", only, *fields).body for fields in asked] == bodies
        assert not fleet.holds(1, "/a", "X-Lang: it")
        assert not fleet.holds(1, "/a", "X-Alongside-Key: IT")


def test_ages_come_along() -> None:
    data = wire.answer(b"x", FRESH, "Age: 100")
    with (
        upstream.Upstream.answering(lambda _: data) as origin,
        replicas.fleet(origin.address, started=1, more=FAST) as fleet,
    ):
        fleet.ask(0, "/a")
        wire.eventually(lambda: int(fleet.ask(0, "/a").field("age") or "0") >= 101, "it ages")
        fleet.start(1)
        await_warm(fleet, 1)
        least = int(fleet.ask(0, "/a").field("age") or "0")
        assert least <= int(fleet.ask(1, "/a").field("age") or "0") <= least + 10


def test_the_hottest_come_first_and_nothing_is_evicted_for_them() -> None:
    size = 100_000
    targets = [f"/{size}/{number}" for number in range(30)]
    hot = targets[20:25]
    with warm_fleet(targets, FAST) as (fleet, _):
        for _ in range(3):
            for target in hot:
                fleet.ask(0, target)
        caches = fleet.documents[1]["caches"]
        assert isinstance(caches, list)
        caches[0]["memory_bytes"] = replicas.MIB
        fleet.start(1)
        await_warm(fleet, 1)
        found = held(fleet, 1, targets)
        assert set(hot) <= set(found)
        assert len(found) < 10
        assert fleet.nodes[1].metric("alongside_cache_evicted") == 0


def test_a_purge_during_the_warm_up_wins() -> None:
    targets = [f"/60000/{number}" for number in range(8)]
    with warm_fleet(targets, SLOW) as (fleet, _):
        for target in targets[:4]:
            fleet.ask(0, target)
        fleet.start(1)
        objects = "alongside_cache_warmed_objects"
        wire.eventually(lambda: fleet.nodes[1].metric(objects) > 0, "it has begun")
        assert warmth(fleet, 1) < 100
        late = [target for target in targets if not fleet.holds(1, target)]
        assert late
        # The sender still has them and will send them.
        for target in late:
            assert fleet.ask(1, target, "X-Alongside-Ask: purge").status == 200
        await_warm(fleet, 1)
        assert held(fleet, 1, late) == []
        assert held(fleet, 0, late) == late


def test_a_warm_up_takes_no_more_than_it_may() -> None:
    targets = [f"/60000/{number}" for number in range(4)]
    with warm_fleet(targets, SLOW) as (fleet, _):
        began = time.monotonic()
        fleet.start(1)
        await_warm(fleet, 1)
        assert held(fleet, 1, targets) == targets
        # What lies in one buffer may come at once.
        paced = 4 * 60_000 - 2 * 65_536
        assert time.monotonic() - began > paced / SLOW_BYTES_PER_S


def test_a_sender_that_is_killed_leaves_whole_answers_only() -> None:
    # More than sockets take, so that some of it dies with the sender.
    targets = [f"/1000000/{number}" for number in range(12)]
    with warm_fleet(targets, {"warm_bytes_per_s": 2 * replicas.MIB}, 3) as (fleet, origin):
        fleet.start(1)
        objects = "alongside_cache_warmed_objects"
        wire.eventually(lambda: fleet.nodes[1].metric(objects) > 0, "it has begun")
        fleet.kill(0)
        await_warm(fleet, 1)
        assert fleet.nodes[1].told("warm_up_cut")
        found = held(fleet, 1, targets)
        assert 0 < len(found) < len(targets)
        before = len(origin.requests)
        for target in targets:
            assert fleet.ask(1, target).body == body_of(target)
        assert len(origin.requests) == before + len(targets) - len(found)


@pytest.mark.parametrize("more", [{}, {"host": "elsewhere"}])
def test_nothing_is_taken_from_a_sibling_of_another_origin(more: dict[str, object]) -> None:
    def other(request: wire.Message) -> bytes:
        return wire.answer(b"other" + body_of(request.target), FRESH)

    copied = [f"/1000/{number}" for number in range(10)]
    with warm_fleet(copied, FAST) as (fleet, origin), upstream.Upstream.answering(other) as new:
        caches = fleet.documents[1]["caches"]
        assert isinstance(caches, list)
        caches[0]["origin"] = {"address": origin.address if more else new.address, **more}
        fleet.start(1)
        await_warm(fleet, 1)
        assert held(fleet, 1, copied) == []
        # Neither where one meets at the other, nor where that one asks for what is stored.
        for asked_first, met_at in itertools.product(range(2), repeat=2):
            for target in fleet.targets(met_at, 3, prefix=f"/10/{asked_first}/"):
                for at in (asked_first, 1 - asked_first):
                    before = len(origin.requests), len(new.requests)
                    assert fleet.ask(at, target).status == 200
                    came = len(origin.requests) - before[0], len(new.requests) - before[1]
                    assert came == ((0, 1) if at and not more else (1, 0))


def test_an_origin_that_is_spelt_otherwise_is_said_once_where_it_may_be_another_one() -> None:
    copied = [f"/1000/{number}" for number in range(10)]
    for host, is_same in [("localhost", False), ("[::ffff:127.0.0.1]", True)]:
        with warm_fleet(copied, FAST) as (fleet, origin):
            caches = fleet.documents[1]["caches"]
            assert isinstance(caches, list)
            port = origin.address.rsplit(":", 1)[1]
            caches[0]["origin"] = {"address": f"{host}:{port}"}
            node = fleet.start(1)
            await_warm(fleet, 1)
            assert held(fleet, 1, copied) == (copied if is_same else [])
            for target in fleet.targets(0, 3, prefix="/10/"):
                assert fleet.ask(1, target).status == 200
            counted = node.metric("alongside_cache_sibling_requests", outcome="other_origin")
            assert (counted == 0) if is_same else (counted >= 3)
            assert node.end() == 0
            said = [(line["own"], line["theirs"]) for line in node.events(OTHER_ORIGIN)]
            assert said == ([] if is_same else [(f"localhost:{port}", f"127.0.0.1:{port}")])


def test_the_next_sibling_is_asked_where_one_is_gone() -> None:
    targets = [f"/1000/{number}" for number in range(10)]
    with warm_fleet(targets, FAST, 3) as (fleet, _):
        fleet.start(1)
        await_warm(fleet, 1)
        fleet.kill(0)
        fleet.start(2)
        await_warm(fleet, 2)
        assert held(fleet, 2, targets) == targets


def test_a_receiver_that_is_killed_can_begin_again() -> None:
    targets = [f"/60000/{number}" for number in range(12)]
    with warm_fleet(targets, SLOW) as (fleet, _):
        fleet.start(1)
        objects = "alongside_cache_warmed_objects"
        wire.eventually(lambda: fleet.nodes[1].metric(objects) > 0, "it has begun")
        fleet.kill(1)
        assert held(fleet, 0, targets) == targets
        caches = fleet.documents[1]["caches"]
        assert isinstance(caches, list)
        caches[0]["replica"]["warm_bytes_per_s"] = FAST["warm_bytes_per_s"]
        fleet.start(1)
        await_warm(fleet, 1)
        assert held(fleet, 1, targets) == targets


def test_a_frozen_sender_does_not_keep_a_replica_from_serving() -> None:
    targets = [f"/1000/{number}" for number in range(10)]
    with warm_fleet(targets, FAST) as (fleet, _):
        with fleet.frozen(0):
            fleet.start(1)
            assert fleet.ask(1, "/10/other").status == 200
            assert warmth(fleet, 1) == 0
        await_warm(fleet, 1)
        assert held(fleet, 1, targets) == targets


def test_other_documents_neither_restart_nor_end_a_warm_up() -> None:
    targets = [f"/60000/{number}" for number in range(8)]
    with warm_fleet(targets, SLOW) as (fleet, _):
        node = fleet.start(1)
        objects = "alongside_cache_warmed_objects"
        wire.eventually(lambda: node.metric(objects) > 0, "it has begun")
        for generation, memory in [(2, 8), (3, 32)]:
            caches = fleet.documents[1]["caches"]
            assert isinstance(caches, list)
            cache = {**caches[0], "memory_bytes": memory * replicas.MIB}
            changed = {**fleet.documents[1], "generation": generation, "caches": [cache]}
            assert node.put(changed)[0] == 200
            assert warmth(fleet, 1) < 100
        await_warm(fleet, 1)
        assert held(fleet, 1, targets) == targets
        assert node.put({**changed, "generation": 4})[0] == 200
        assert warmth(fleet, 1) == 100
        assert node.metric(objects) == len(targets)


def test_one_sibling_is_sent_one_stream_at_a_time() -> None:
    # More than sockets take.
    targets = [f"/1000000/{number}" for number in range(12)]
    with warm_fleet(targets, FAST) as (fleet, _):
        ask = wire.request("/", "X-Alongside-Ask: warm", "X-Alongside-From: n1")
        with wire.Wire(fleet.address(0), receive_bytes=4096) as slow:
            slow.send(ask)
            assert slow.head().status == 200
            second = fleet.ask(0, "/", "X-Alongside-Ask: warm", "X-Alongside-From: n1")
            assert second.status == 503
            other = fleet.ask(0, "/", "X-Alongside-Ask: warm", "X-Alongside-From: n2")
            assert other.status == 200
        wire.eventually(
            lambda: (
                fleet.ask(0, "/", "X-Alongside-Ask: warm", "X-Alongside-From: n1").status == 200
            ),
            "who left may ask again",
        )


@pytest.mark.parametrize("leaver", [0, 1], ids=["sender", "receiver"])
def test_who_leaves_does_not_wait_for_the_end_of_a_warm_up(leaver: int) -> None:
    # More than sockets take; all of it would take longer than the test waits.
    targets = [f"/1000000/{number}" for number in range(12)]
    limits = {"drain_timeout_ms": 60_000}
    more: dict[str, object] = {"warm_bytes_per_s": 512 * 1024}
    with warm_fleet(targets, more, limits=limits) as (fleet, _):
        fleet.start(1)
        objects = "alongside_cache_warmed_objects"
        wire.eventually(lambda: fleet.nodes[1].metric(objects) > 0, "it has begun")
        fleet.signal(leaver, signal.SIGTERM)
        assert fleet.nodes[leaver].process.wait(timeout=15) == 0


def broken(stream: bytes) -> upstream.Talk:
    """Return a sibling that sends this for a warm-up, and hangs up on all else."""

    def talk(peer: upstream.Peer) -> None:
        while request := peer.next():
            if request.field("x-alongside-ask") != "warm":
                return
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            peer.send(head + wire.chunked(stream))

    return talk


@pytest.mark.parametrize(
    "stream",
    [
        b"alongside-warm\x02" + bytes(8),
        b"something else",
        b"alongside-warm\x01" + bytes(8) + b"\x01" + b"\xff" * 46,
        b"alongside-warm\x01" + bytes(8) + b"\x07",
        b"alongside-warm\x01" + bytes(8) + b"\x01\xc8\x00" + bytes(44) + b"\x00\x01" + bytes(7),
    ],
    ids=["version", "format", "lengths", "kind", "empty"],
)
def test_nothing_of_a_broken_stream_is_stored(stream: bytes) -> None:
    with (
        upstream.Upstream.answering(sized) as origin,
        upstream.Upstream(broken(stream)) as sibling,
    ):
        port = int(sibling.address.rsplit(":", 1)[1])
        document = replicas.document(origin.address, 0, [0, port], FAST)
        with plane.running(document) as node:
            wire.eventually(lambda: node.metric("alongside_cache_warmth") == 100, "it is over")
            assert node.metric("alongside_cache_objects") == 0
            assert wire.fetch(node.addresses()["web"], "/10/a").body == body_of("/10/a")
