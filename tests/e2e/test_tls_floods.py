"""Frames of HTTP/2 that nobody should send: what the origin got is the assertion that counts."""

from __future__ import annotations

import contextlib
import json
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypedDict, cast

import hpack
import pytest
from tests.e2e import origin, plane, secure, streams, wire
from tests.e2e.streams import frame

TABLE = Path(__file__).parents[1] / "guard" / "streams.json"
SMUGGLED = b"smug"
RESIDENT_BYTES_MORE_MAX = 48 * 1024 * 1024
Address = tuple[str, int]


class Row(TypedDict, total=False):
    """A row; tests/guard/README.md says what each key means."""

    id: str
    about: str
    method: str
    path: str
    authority: str
    scheme: str
    fields: list[list[str]]
    repeat: int
    body: str
    allowed: list[str]
    must_not_complete: bool


ROWS = cast("list[Row]", json.loads(TABLE.read_text()))


class Bench:
    """One data plane in front of an origin that records every byte."""

    def __init__(self, server: origin.Origin, process: plane.Plane) -> None:
        self.server = server
        self.process = process
        self.address = process.address

    def raw(self, begin: bytes = b"") -> streams.Raw:
        """Return a connection on which frames are bytes."""
        return streams.Raw(self.address, secure.context(None, ("h2",)), begin)

    def serves(self) -> bool:
        """Whether a new client is served."""
        with streams.Client(self.address, secure.context(None, ("h2",))) as client:
            return client.fetch("/after").status == 200


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("floods")
    tls = secure.Authority(folder).pair("a.example").put(folder / "tls")
    with contextlib.closing(origin.Origin()) as server:
        limits = {"body_timeout_ms": 2000}
        with plane.running(secure.document(server.address, {"default": tls}, limits)) as process:
            yield Bench(server, process)


def outcome(client: streams.Raw) -> str:
    """Wait for what becomes of stream 1; return it in a word."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        for kind, _, stream, data in client.frames:
            if kind == streams.RESET and stream == 1:
                return "reset"
            if kind == streams.GOAWAY:
                return "goaway"
            if kind == streams.HEADERS and stream == 1:
                return status(data)
        if client.is_ended:
            return "closed"
        client.read(0.1)
    return "silence"


def status(block: bytes) -> str:
    """Return the status that a block of fields begins with; whatever it is, it is the first."""
    fields = [(str(name), str(value)) for name, value in hpack.Decoder().decode(block)]
    assert fields[0][0] == ":status"
    return fields[0][1]


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_a_stream_is_refused_and_nothing_hostile_passes(row: Row, bench: Bench) -> None:
    bench.server.play(origin.Script())
    fields = [(name, value) for name, value in row.get("fields", [])]
    fields += [(f"x-{number}", "1") for number in range(row.get("repeat", 0))]
    pseudo = {
        ":method": row.get("method", "GET"),
        ":scheme": row.get("scheme", "https"),
        ":authority": row.get("authority", "a.example"),
        ":path": row.get("path", "/"),
    }
    head = [(name, value) for name, value in pseudo.items() if value or name == ":path"]
    if pseudo[":method"] == "CONNECT":
        head = [pair for pair in head if pair[1]]
    body = row.get("body", "").encode("latin-1")
    with bench.raw() as client:
        block = client.encoder.encode([*head, *fields])
        send_head(client, block, ends=not body)
        if body:
            client.send(frame(streams.DATA, streams.END_STREAM, 1, body))
        got = outcome(client)
    assert got in row["allowed"], got
    received = bench.server.received()
    assert SMUGGLED not in received.lower(), received
    if "200" not in row["allowed"] and not body:
        assert received == b""
    if row.get("must_not_complete"):
        assert not any(request.is_complete for request in bench.server.requests)
    assert bench.serves()


def send_head(client: streams.Raw, block: bytes, *, ends: bool) -> None:
    """Send a block in as many frames as it takes."""
    pieces = [block[at : at + 16384] for at in range(0, len(block), 16384)]
    flags = streams.END_STREAM if ends else 0
    kind = streams.HEADERS
    for number, piece in enumerate(pieces):
        last = streams.END_HEADERS if number == len(pieces) - 1 else 0
        client.send(frame(kind, flags | last, 1, piece))
        kind, flags = streams.CONTINUATION, 0


Flood = Callable[[streams.Raw], Iterator[bytes]]


def resets(client: streams.Raw) -> Iterator[bytes]:
    """Ask and give up at once."""
    for number in range(20_000):
        stream = 2 * number + 1
        yield client.ask(stream, "/reset") + frame(streams.RESET, 0, stream, b"\0\0\0\x08")


def continuations(client: streams.Raw) -> Iterator[bytes]:
    """Never end a head."""
    yield frame(streams.HEADERS, streams.END_STREAM, 1, client.head("/endless"))
    for number in range(20_000):
        field = client.encoder.encode([(f"x-{number}", "y" * 50)])
        yield frame(streams.CONTINUATION, 0, 1, field)


def empty_continuations(client: streams.Raw) -> Iterator[bytes]:
    """Never end a head, and say nothing."""
    yield frame(streams.HEADERS, streams.END_STREAM, 1, client.head("/endless"))
    for _ in range(100_000):
        yield frame(streams.CONTINUATION, 0, 1)


def made_resets(client: streams.Raw) -> Iterator[bytes]:
    """Have the server give streams up, again and again."""
    for number in range(20_000):
        stream = 2 * number + 1
        yield client.ask(stream, "/made") + frame(streams.WINDOW, 0, stream, b"\0\0\0\0")


def made_overflows(client: streams.Raw) -> Iterator[bytes]:
    """Have the server give streams up by windows that overflow."""
    for number in range(20_000):
        stream = 2 * number + 1
        yield client.ask(stream, "/made") + frame(streams.WINDOW, 0, stream, b"\x7f\xff\xff\xff")


def crumbs(client: streams.Raw) -> Iterator[bytes]:
    """Refer to one field thousands of times."""
    seeded = client.encoder.encode([("cookie", "a" * 3000)])
    for number in range(200):
        stream = 2 * number + 1
        block = client.head("/bomb") + (seeded if number == 0 else b"") + b"\xbe" * 5000
        yield frame(streams.HEADERS, streams.END_HEADERS | streams.END_STREAM, stream, block)


def settings(_: streams.Raw) -> Iterator[bytes]:
    """Say how it is to be, again and again."""
    for _number in range(100_000):
        yield frame(streams.SETTINGS)


def pings(_: streams.Raw) -> Iterator[bytes]:
    """Ask whether anybody is there, again and again."""
    for _number in range(100_000):
        yield frame(streams.PING, 0, 0, b"\0" * 8)


def priorities(_: streams.Raw) -> Iterator[bytes]:
    """Say what goes first, again and again."""
    for _number in range(100_000):
        yield frame(streams.PRIORITY, 0, 1, b"\0\0\0\0\x10")


def empty_data(client: streams.Raw) -> Iterator[bytes]:
    """Send nothing, again and again."""
    yield client.ask(1, "/empty", flags=streams.END_HEADERS)
    for _ in range(100_000):
        yield frame(streams.DATA, 0, 1)


def windows(_: streams.Raw) -> Iterator[bytes]:
    """Open the window by one byte, again and again."""
    for _number in range(100_000):
        yield frame(streams.WINDOW, 0, 0, b"\0\0\0\x01")


def unknown(_: streams.Raw) -> Iterator[bytes]:
    """Send what nobody knows, again and again."""
    for _number in range(100_000):
        yield frame(0xFA)


FLOODS: list[tuple[str, Flood]] = [
    ("2-01", resets),
    ("2-02", continuations),
    ("2-02b", empty_continuations),
    ("2-03", made_resets),
    ("2-03b", made_overflows),
    ("2-04", crumbs),
    ("2-06", settings),
    ("2-06b", pings),
    ("2-06c", priorities),
    ("2-06d", empty_data),
    ("2-06e", windows),
    ("2-06f", unknown),
]


@pytest.mark.parametrize("flood", [flood for _, flood in FLOODS], ids=[name for name, _ in FLOODS])
@pytest.mark.parametrize("reads", [True, False], ids=["reads", "reads nothing"])
def test_a_flood_ends_its_connection_and_harms_nobody(
    flood: Flood, reads: bool, bench: Bench
) -> None:
    bench.server.play(origin.Script())
    before = bench.process.resident_bytes()
    with bench.raw() as client:
        client.tls.settimeout(5)
        batch = b""
        for data in flood(client):
            batch += data
            if len(batch) < 16_000:
                continue
            if not client.send(batch):
                break
            batch = b""
            if reads:
                client.read(0.001)
                client.tls.settimeout(5)
        else:
            client.send(batch)
        client.drain(10)
        assert client.is_ended or client.reasons(), "it goes on"
        # Who does not read may miss it.
        if reads and client.reasons():
            assert client.reasons()[-1] in {streams.ENHANCE_YOUR_CALM, 1, 0}
    assert bench.serves()
    asked = len(bench.server.requests)
    assert asked < 1000, "the origin has the work of it"
    more = bench.process.resident_bytes() - before
    assert more < RESIDENT_BYTES_MORE_MAX, f"{more} bytes stay"


BROKEN = {
    "data of no stream": frame(streams.DATA, 0, 0, b"x"),
    "a frame that is too long": frame(streams.PING, 0, 0, b"\0" * 9),
    "fields that are not packed so": frame(
        streams.HEADERS, streams.END_HEADERS | streams.END_STREAM, 1, b"\xff" * 20
    ),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_frames_that_break_the_protocol_end_the_connection_and_are_counted(
    broken: bytes, bench: Bench
) -> None:
    def counted() -> float:
        return bench.process.metric("alongside_http_refused", reason="h2_frames")

    before = counted()
    with bench.raw() as client:
        client.send(broken)
        client.drain(10)
        assert client.reasons()[-1] != 0
    wire.eventually(lambda: counted() == before + 1, "it is counted")
    assert bench.serves()
    assert counted() == before + 1, "who leaves in order is not"


def test_a_window_of_nothing_is_not_held_for_ever(bench: Bench) -> None:
    bench.server.play(
        origin.Script(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000)
    )
    begin = frame(streams.SETTINGS, 0, 0, struct.pack(">HI", 4, 0))
    with bench.raw(begin) as client:
        client.send(b"".join(client.ask(2 * number + 1, "/held") for number in range(50)))
        end = time.monotonic() + 15
        given_up = set[int]()
        while len(given_up) < 50 and time.monotonic() < end and not client.is_ended:
            client.read(0.2)
            given_up = {stream for kind, _, stream, _ in client.frames if kind == streams.RESET}
    assert len(given_up) == 50 or client.is_ended
    assert bench.serves()
