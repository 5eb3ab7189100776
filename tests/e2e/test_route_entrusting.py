"""Who sees to it that a node forgets, when the router that knows what is gone."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator
from functools import partial

import pytest
from tests.e2e import dataplane, plane, replicas, upstream, wire
from tests.e2e.routes import HEALTH, answering, document, free_address, named, nodes
from tests.e2e.test_route_forgetting import CACHES, FORGOT, is_order

FRESH = "Cache-Control: max-age=3600"
OWED = wire.answer(b"", "X-Alongside-Owed: 1")


class Pages:
    """An origin whose pages change with each request that is no GET."""

    def __init__(self) -> None:
        self.version = 0

    def __call__(self, request: wire.Message) -> bytes:
        """Answer with the version."""
        self.version += request.method != "GET"
        return wire.answer(str(self.version).encode(), FRESH)


def meant_for(request: wire.Message) -> str | None:
    """Return the node that an order is to be passed on to."""
    return request.field("x-alongside-for") if is_order(request) else None


def copies(node: upstream.Upstream) -> list[tuple[str, str | None]]:
    """Return what a node was asked to tell others: the target, and whom."""
    return [(r.target, meant_for(r)) for r in node.requests if meant_for(r)]


def cache(name: str, own: bytes = FORGOT, copy: bytes = OWED) -> upstream.Answer:
    """Answer like a cache of ours, with its name."""

    def answer(request: wire.Message) -> bytes:
        if is_order(request):
            return copy if meant_for(request) else own
        return wire.answer(name.encode())

    return answer


def silent(until: threading.Event) -> upstream.Talk:
    """Answer as a cache of ours, but no order before an event."""

    def talk(peer: upstream.Peer) -> None:
        while (head := peer.next()) is not None:
            if is_order(head):
                until.wait(wire.TIMEOUT_S)
            peer.send(FORGOT if is_order(head) else wire.answer(b"a"))

    return talk


@contextlib.contextmanager
def router(origin: str, addresses: dict[str, str]) -> Iterator[plane.Plane]:
    contents = document(addresses, origin=origin, health=CACHES)
    with plane.running(contents) as process:
        yield process


def of(fleet: replicas.Fleet) -> dict[str, str]:
    return {f"n{at}": "{}:{}".format(*fleet.address(at)) for at in range(len(fleet.documents))}


@pytest.mark.parametrize("cut_off", [0, 1])
def test_what_a_killed_router_owed_is_told_by_a_sibling(cut_off: int) -> None:
    """The first router cannot reach a node that the second one reads from."""
    with (
        upstream.Upstream.answering(Pages()) as origin,
        replicas.fleet(origin.address) as fleet,
        router(origin.address, {**of(fleet), f"n{cut_off}": free_address()}) as first,
        router(origin.address, of(fleet)) as second,
    ):
        targets = [*fleet.targets(0, 5), *fleet.targets(1, 5)]
        for target in targets:
            assert [fleet.ask(at, target).body for at in range(2)] == [b"0", b"0"]
        for target in targets:
            assert wire.fetch(first.address, target, method="DELETE").status == 200
        wire.eventually(lambda: first.events("node_minded"), "a sibling has taken it over")
        first.process.kill()
        first.process.wait()

        def is_new(address: wire.Address) -> bool:
            return all(wire.fetch(address, target).body != b"0" for target in targets)

        for at in range(2):
            wire.eventually(partial(is_new, fleet.address(at)), f"n{at} has forgotten")
        assert all(is_new(second.address) for _ in range(5))


def test_no_router_reads_the_old_page_from_a_node_that_was_frozen_when_it_changed() -> None:
    with (
        upstream.Upstream.answering(Pages()) as origin,
        replicas.fleet(origin.address, 3) as fleet,
        router(origin.address, of(fleet)) as first,
        router(origin.address, of(fleet)) as second,
    ):
        targets = fleet.targets(0, 3)
        for target in targets:
            assert {fleet.ask(at, target).body for at in range(3)} == {b"0"}
        with fleet.frozen(0):
            for target in targets:
                assert wire.fetch(first.address, target, method="PUT").status == 200
            wire.eventually(lambda: first.events("node_minded"), "a sibling has taken it over")
            first.process.kill()
            first.process.wait()
            for target in targets:
                assert wire.fetch(second.address, target).body != b"0"

        def is_new() -> bool:
            return all(fleet.ask(0, target).body != b"0" for target in targets)

        wire.eventually(is_new, "n0 has forgotten")
        for _ in range(10):
            assert b"0" not in {wire.fetch(second.address, target).body for target in targets}
            assert is_new()


def test_a_sibling_is_asked_once_for_each_change_that_a_node_has_not_heard_of() -> None:
    done = threading.Event()
    with (
        nodes(silent(done)) as (a,),
        answering(cache("b"), named("origin")) as (b, source),
        router(source.address, {"a": a.address, "b": b.address}) as process,
    ):
        targets = [f"/{number}" for number in range(20)]
        for target in targets:
            assert wire.fetch(process.address, target, method="DELETE").body == b"origin"
        wanted = [(target, "a") for target in targets]
        wire.eventually(lambda: copies(b) == wanted, "the sibling is asked")
        # Each was told once to forget, and once to tell.
        assert len([r for r in b.requests if is_order(r)]) == 2 * len(targets)
        done.set()
        wire.eventually(
            lambda: process.metric("alongside_route_node_share_ratio", node="a") > 0, "it was told"
        )


def test_a_writer_waits_for_the_successor_of_a_node_that_ends() -> None:
    """Another router may read from it as soon as it is there: a promise comes too late."""
    left = 0

    def ending(peer: upstream.Peer) -> None:
        nonlocal left
        while (head := peer.next()) is not None:
            if is_order(head) and left > 0:
                left -= 1
                peer.send(wire.answer(b"", "Connection: close", status=503))
                return
            peer.send(cache("a")(head))

    with (
        nodes(ending) as (a,),
        answering(cache("b"), named("o")) as (b, source),
        router(source.address, {"a": a.address, "b": b.address}) as process,
    ):
        targets = (f"/{number}" for number in itertools.count())

        def is_told_first() -> bool:
            """Return whether it was; not where the machine took as long as a dead node."""
            nonlocal left
            left, target = 3, next(targets)
            wire.fetch(process.address, target, method="DELETE")
            is_told = left == 0 and [r for r in a.requests if r.target == target][3:]
            return bool(is_told) and (target, "a") not in copies(b)

        wire.eventually(is_told_first, "the writer is answered when the successor was told")


def test_nobody_is_asked_while_all_can_be_told() -> None:
    with (
        answering(cache("a"), cache("b"), cache("c"), named("o")) as (a, b, c, source),
        router(source.address, {"a": a.address, "b": b.address, "c": c.address}) as process,
    ):
        for number in range(20):
            wire.fetch(process.address, f"/{number}", method="DELETE")
        orders = [len([r for r in node.requests if is_order(r)]) for node in [a, b, c]]
        assert orders == [20, 20, 20]
        assert not [copy for node in [a, b, c] for copy in copies(node)]


@pytest.mark.parametrize("status", [200, 400, 404, 503, 504])
def test_another_sibling_is_asked_where_one_does_not_promise_it(status: int) -> None:
    with (
        answering(
            cache("b", copy=wire.answer(b"", "X-Alongside-Purged: 1", status=status)),
            cache("c"),
            named("o"),
        ) as (b, c, source),
        router(source.address, {"a": free_address(), "b": b.address, "c": c.address}) as process,
    ):
        wire.fetch(process.address, "/x", method="DELETE")
        wire.eventually(lambda: copies(c) == [("/x", "a")], "the other one is asked")
        process.told("node_minded")
        dataplane.cut(process.process)
        assert [line["by"] for line in process.events("node_minded")] == ["c"]
        assert not [line for line in process.events("node_behind") if line["node"] != "a"]


def test_what_a_sibling_has_taken_over_is_given_to_another_when_it_is_away_itself() -> None:
    is_away = threading.Event()

    def absent(peer: upstream.Peer) -> None:
        while (head := peer.next()) is not None:
            if is_away.is_set():
                return
            peer.send(cache("b")(head))

    with (
        nodes(absent) as (b,),
        answering(cache("c"), named("o")) as (c, source),
        router(source.address, {"a": free_address(), "b": b.address, "c": c.address}) as process,
    ):
        wire.fetch(process.address, "/x", method="DELETE")
        wire.eventually(lambda: copies(b) == [("/x", "a")], "the first one is asked")
        is_away.set()
        wire.fetch(process.address, "/y", method="DELETE")
        wanted = {("/x", "a"), ("/y", "a"), ("/y", "b")}
        wire.eventually(lambda: wanted <= set(copies(c)), "the other one knows all")


def test_a_router_that_ends_says_what_a_sibling_has_taken_over() -> None:
    with answering(cache("b"), named("o")) as (b, source):
        contents = document(
            {"a": free_address(), "b": b.address},
            origin=source.address,
            health={**HEALTH, "probe": "cache"},
            limits={"drain_timeout_ms": 100},
        )
        with plane.running(contents) as process:
            wire.fetch(process.address, "/x", method="DELETE")
            wire.eventually(lambda: copies(b), "the sibling is asked")
            process.told("node_minded")
            process.terminate()
            process.process.wait(timeout=wire.TIMEOUT_S)
            lines = process.events("forgets_dropped")
            assert [(line["node"], line["open"], line["minded"]) for line in lines] == [("a", 1, 1)]
