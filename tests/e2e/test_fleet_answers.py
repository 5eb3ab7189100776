"""Routers before real replicas: long answers of nodes that are killed, and misses that meet."""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
from collections.abc import Iterator

import pytest
from tests.e2e import plane, replicas, routes, upstream, wire

MIB = 1 << 20
HEALTH = {"probe": "cache", "interval_ms": 200, "timeout_ms": 300}


@contextlib.contextmanager
def routed(nodes: replicas.Fleet, origin: str, count: int = 1) -> Iterator[list[plane.Plane]]:
    """Start routers in front of all replicas."""
    addresses = {f"n{at}": "{}:{}".format(*nodes.address(at)) for at in nodes.nodes}
    contents = routes.document(addresses, origin=origin, health=HEALTH)
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(plane.running(contents)) for _ in range(count)]


@pytest.mark.parametrize("size", [MIB, 100 * MIB])
def test_an_answer_whose_node_is_killed_arrives_whole(size: int) -> None:
    body = routes.body_of(size)
    with (
        upstream.Upstream(routes.ranged(body, '"v1"', None, is_chunked=False)) as origin,
        replicas.fleet(origin.address) as nodes,
        routed(nodes, origin.address) as (router,),
        wire.Wire(router.address, receive_bytes=1 << 14, timeout_s=60) as client,
    ):
        client.send(wire.request("/big"))
        head = client.head()
        assert (head.status, head.field("content-length")) == (200, str(size))
        begun = client.take(100_000)
        told = router.admin("GET", "/explain?route=main&url=/big")[1]
        busy = [one["id"] for one in told["replicas"] if one["in_flight"]]  # type: ignore[attr-defined]
        for name in busy:
            nodes.kill(int(name.removeprefix("n")))
        assert begun + client.take(size - len(begun)) == body
        # The small one may lie in the kernel's buffers by then; the large one cannot.
        if size > MIB:
            assert router.metric("alongside_route_resumed", route="main") >= 1
        assert client.ask("/big").body == body


def test_misses_of_one_key_meet_behind_two_routers() -> None:
    go_on = threading.Event()

    def slow(request: wire.Message) -> bytes:
        go_on.wait(wire.TIMEOUT_S)
        return wire.answer(request.target.encode(), "Cache-Control: max-age=600")

    with (
        upstream.Upstream.answering(slow) as origin,
        replicas.fleet(origin.address) as nodes,
        routed(nodes, origin.address, 2) as routers,
        concurrent.futures.ThreadPoolExecutor(500) as pool,
    ):
        asked = [
            pool.submit(wire.fetch, routers[number % 2].address, "/one") for number in range(500)
        ]

        def waiting() -> float:
            return sum(router.metric("alongside_http_requests_under_way") for router in routers)

        wire.eventually(lambda: waiting() == 500, "all are under way")
        # Who comes to a replica only now joins the others, or finds the answer stored.
        go_on.set()
        assert {one.result().body for one in asked} == {b"/one"}
        assert origin.targets() == ["/one"]
