"""Routes over nodes that are programs of the test.

In:    nodes by id, shards, what the route does when something fails.
Out:   documents; nodes that answer by a function, or talk as they like.
Not:   starting the data plane (plane.py).
Next:  test_route_replicas.py, test_route_answers.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from tests import ports
from tests.e2e import upstream, wire

MIB = 1 << 20
HEALTH = {"interval_ms": 200, "timeout_ms": 200}


def shard(name: str, *nodes: str) -> dict[str, object]:
    return {"name": name, "replicas": list(nodes)}


def document(
    nodes: dict[str, str],
    *shards: dict[str, object],
    origin: str | None = None,
    limits: dict[str, int] | None = None,
    **route: object,
) -> dict[str, object]:
    """Return a document of one route over these nodes; one shard of all of them by default."""
    whole: dict[str, object] = {
        "name": "main",
        "key": "request.uri",
        "function": "ketama",
        "shards": list(shards) or [shard("main-0", *nodes)],
        "health": HEALTH,
        **({"origin": {"address": origin}} if origin else {}),
        **route,
    }
    return {
        "schema": 1,
        "epoch": 0,
        "generation": 1,
        "limits": {"drain_timeout_ms": 2000, **(limits or {})},
        "listeners": [{"name": "web", "address": "127.0.0.1:0", "serves": "main"}],
        "nodes": [{"id": name, "address": address} for name, address in nodes.items()],
        "routes": [whole],
    }


def named(name: str) -> Callable[[wire.Message], bytes]:
    """Answer with the node's name."""
    return lambda _: wire.answer(name.encode())


@contextlib.contextmanager
def nodes(*talks: upstream.Talk) -> Iterator[list[upstream.Upstream]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(upstream.Upstream(talk)) for talk in talks]


@contextlib.contextmanager
def answering(*answers: upstream.Answer) -> Iterator[list[upstream.Upstream]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(upstream.Upstream.answering(answer)) for answer in answers]


def free_address() -> str:
    """Return an address at which nobody listens."""
    return f"127.0.0.1:{ports.free_port()}"


def body_of(size: int) -> bytes:
    return bytes(n * 31 % 251 for n in range(1 << 10)) * (size >> 10)


def ranged(body: bytes, etag: str, cut_after: int | None, *, is_chunked: bool) -> upstream.Talk:
    """Serve a body by ranges; end the first answer that is whole after some bytes."""

    def talk(peer: upstream.Peer) -> None:
        while (head := peer.next()) is not None:
            asked = head.field("range")
            if asked and head.field("if-range") == etag:
                first, _, last = asked.removeprefix("bytes=").partition("-")
                part = body[int(first) : int(last) + 1 if last else None]
                where = f"bytes {first}-{int(first) + len(part) - 1}/{len(body)}"
                peer.send(wire.answer(part, f"ETag: {etag}", f"Content-Range: {where}", status=206))
                continue
            if is_chunked:
                start = f"HTTP/1.1 200 OK\r\nETag: {etag}\r\nTransfer-Encoding: chunked\r\n\r\n"
                peer.send(start.encode() + b"%x\r\n" % len(body) + body[:cut_after])
            else:
                whole = wire.answer(body, f"ETag: {etag}")
                peer.send(whole[: len(whole) - len(body) + (cut_after or len(body))])
            if cut_after is not None:
                return

    return talk
