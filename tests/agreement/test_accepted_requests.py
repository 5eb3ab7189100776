"""What `tests/caches/accepted*.json` ask, memcached and Redis answer alike through us, and once."""

from __future__ import annotations

import contextlib
import io
import json
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias, TypedDict

import pytest
from tests.e2e import fleets, memcaches, plane, wire

pytestmark = fleets.NEEDS_DATA_PLANE

TABLES = Path(__file__).parent.parent / "caches"
# What is sent in two pieces has no end of its line when a server first looks at it.
LAST_BYTES = 3
CLOSES = b"closes"


class Repeated(TypedDict):
    """A part that is repeated: in bytes without anything between, in words so many times."""

    repeat: str
    times: int


Part: TypeAlias = str | Repeated


class Row(TypedDict, total=False):
    """Requests on one connection, each of which one reply answers."""

    about: str
    send: list[Part | list[Part]]
    replies: int
    answers: list[str]
    because: str


def rows(name: str) -> list[Row]:
    """Return a table."""
    table: list[Row] = json.loads((TABLES / name).read_text())
    return table


def text(part: Part) -> bytes:
    """Return a part's bytes."""
    return (part if isinstance(part, str) else part["repeat"] * part["times"]).encode()


def words(parts: Sequence[Part]) -> bytes:
    """Return a request of Redis."""
    args = [
        arg
        for part in parts
        for arg in ([part] if isinstance(part, str) else [part["repeat"]] * part["times"])
    ]
    return b"*%d\r\n" % len(args) + b"".join(
        b"$%d\r\n%s\r\n" % (len(arg), arg.encode()) for arg in args
    )


def sent(row: Row) -> bytes:
    """Return a row's bytes."""
    return b"".join(words(one) if isinstance(one, list) else text(one) for one in row["send"])


def answered(address: wire.Address, request: bytes, last: tuple[bytes, bytes]) -> bytes:
    """Return what answers a request before the answer of the last one; `CLOSES` at an end."""
    asked, end = last
    received = bytearray()
    with socket.create_connection(address, wire.TIMEOUT_S) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(ConnectionError):
            link.sendall(request[:-LAST_BYTES])
            # The server has taken what came so far when another connection's request is answered.
            with socket.create_connection(address, wire.TIMEOUT_S) as other:
                other.sendall(asked)
                assert other.recv(len(end)), "nobody else is served"
            link.sendall(request[-LAST_BYTES:] + asked)
            while not received.endswith(end):
                piece = link.recv(1 << 16)
                if not piece:
                    return CLOSES
                received += piece
            return bytes(received.removesuffix(end))
    return CLOSES


def memcache_replies(received: bytes) -> Iterator[bytes]:
    """Yield the last line of each reply of memcache."""
    stream = io.BytesIO(received)
    while line := stream.readline():
        if line.startswith((b"VALUE ", b"VA ")):
            stream.read(int(line.split()[3 if line.startswith(b"VALUE") else 1]) + 2)
        if not line.startswith(b"VALUE "):
            yield line


def redis_replies(received: bytes) -> Iterator[bytes]:
    """Yield the first line of each reply of Redis."""
    stream = io.BytesIO(received)
    while line := stream.readline():
        yield line
        pass_over(stream, line)


def pass_over(stream: io.BytesIO, line: bytes) -> None:
    """Read what belongs to a line, however deep it lies."""
    left = 1
    while left:
        left -= 1
        if line.startswith((b"$", b"=", b"!")) and line != b"$-1\r\n":
            stream.read(int(line[1:]) + 2)
        if line.startswith((b"*", b"~")):
            left += max(int(line[1:]), 0)
        if line.startswith(b"%"):
            left += 2 * int(line[1:])
        line = stream.readline() if left else b""


def wrong(row: Row, theirs: bytes, ours: bytes, replies: int) -> Iterator[str]:
    """Yield what differs in another way than a row says."""
    about = row["about"]
    told = b"".join(b"%s\r\n" % line.encode() for line in row.get("answers", []))
    wanted = told or theirs
    if (theirs == CLOSES) != ("answers" in row):
        yield f"{about}: the server says {theirs[:200]!r}"
    elif ours != wanted:
        pairs = enumerate(zip(ours, wanted, strict=False))
        at = next((at for at, (one, other) in pairs if one != other), 0)
        yield f"{about}: at {at}: {ours[at : at + 200]!r}, not {wanted[at : at + 200]!r}"
    elif replies != row.get("replies", len(row["send"])):
        yield f"{about}: {replies} replies"


def check(
    table: str,
    server: memcaches.Server,
    process: plane.Plane,
    last: tuple[bytes, bytes],
    replies: Callable[[bytes], Iterator[bytes]],
) -> None:
    """Ask a server and ours everything of a table; no connection to servers may end meanwhile."""
    host, port = server.address.rsplit(":", 1)
    found: list[str] = []
    for row in rows(table):
        theirs = answered((host, int(port)), sent(row), last)
        ours = answered(process.address, sent(row), last)
        found += wrong(row, theirs, ours, len(list(replies(ours))))
    assert not found, "\n".join(found)
    assert process.metric("alongside_ambassador_server_ends") == 0
    assert process.metric("alongside_ambassador_failed") == 0


@pytest.mark.needs("memcached")
def test_memcached_answers_alike_through_us() -> None:
    last = (b"mn\r\n", b"MN\r\n")
    with memcaches.memcached() as direct, memcaches.pooled(count=1) as (process, _):
        check("accepted.json", direct, process, last, memcache_replies)


LAST = (words(["ECHO", "that was all"]), b"$12\r\nthat was all\r\n")


@pytest.mark.needs("redis-server")
def test_redis_answers_alike_through_us() -> None:
    with memcaches.redis() as direct, memcaches.redis() as behind:
        document = memcaches.document({"a": behind.address}, protocol="redis")
        with plane.running(document) as process:
            check("accepted_redis.json", direct, process, LAST, redis_replies)


def newer(address: wire.Address, request: bytes) -> bytes:
    """Return what answers a request of a client that speaks RESP3, as it is after `HELLO`."""
    begun = (words(["ECHO", "begun"]), b"$5\r\nbegun\r\n")
    said = answered(address, words(["HELLO", "3"]) + begun[0] + request, LAST)
    hello, _, replies = said.partition(begun[1])
    assert hello.startswith(b"%7\r\n"), hello
    return replies


@pytest.mark.needs("redis-server")
def test_redis_answers_alike_in_resp3() -> None:
    with contextlib.ExitStack() as stack:
        direct, *behind = [stack.enter_context(memcaches.redis()) for _ in range(4)]
        named = dict(zip(memcaches.NAMES, behind, strict=True))
        document = memcaches.document(memcaches.places(named), protocol="redis")
        process = stack.enter_context(plane.running(document))
        host, port = direct.address.rsplit(":", 1)
        found: list[str] = []
        for row in rows("accepted_resp3.json"):
            theirs = newer((host, int(port)), sent(row))
            ours = newer(process.address, sent(row))
            found += wrong(row, theirs, ours, len(list(redis_replies(ours))))
        assert not found, "\n".join(found)
        assert process.metric("alongside_ambassador_server_ends") == 0
        assert process.metric("alongside_ambassador_failed") == 0
        assert process.metric("alongside_ambassador_fragments") > 0, "nothing was of many servers"


def test_where_we_differ_the_tables_say_why() -> None:
    for name in ("accepted.json", "accepted_redis.json", "accepted_resp3.json"):
        for row in rows(name):
            assert ("answers" in row) == ("because" in row), row["about"]
