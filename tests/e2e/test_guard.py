"""The guard's table over a real data plane: what the client gets, and what the origin got."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import TypedDict, cast

import pytest
from tests.e2e import client, dataplane, origin

TABLE = Path(__file__).parents[1] / "guard" / "inputs.json"
AFTER = b"GET /after HTTP/1.1\r\nHost: a\r\n\r\n"


class Repeat(TypedDict):
    """A string many times."""

    repeat: str
    times: int


Bytes = list[str | Repeat]


class Trickle(TypedDict):
    """Bytes sent again and again."""

    bytes: str
    each_ms: int


class Afterwards(TypedDict):
    """A further exchange on a connection of its own."""

    send: Bytes
    origin: Bytes
    client_must_see: list[str]


class Row(TypedDict, total=False):
    """A row; tests/guard/README.md says what each key means."""

    id: str
    about: str
    side: str
    send: Bytes
    then_send: Bytes
    then_trickle: Trickle
    before: list[Bytes]
    clients: int
    kind: str
    limits: dict[str, int]
    origin: Bytes
    origin_first: Bytes
    origin_answers_at: str
    origin_closes: bool
    allowed: list[int]
    must_close: bool
    may_stay_silent: bool
    is_cut: bool
    is_pure: bool
    answers_max: int
    client_must_see: list[str]
    client_must_not_see: list[str]
    may_reach_upstream: bool
    must_reach_upstream: list[str]
    must_not_reach_upstream: list[str]
    upstream_requests_min: int
    upstream_requests_max: int
    upstream_must_not_complete: bool
    upstream_never_asked: list[str]
    upstream_connection_is_spent: bool
    reads_nothing_ms: int
    afterwards: Afterwards


ROWS = cast("list[Row]", json.loads(TABLE.read_text()))


def raw(parts: Bytes) -> bytes:
    """Return the bytes that a list of strings and repetitions stands for."""
    texts = [part if isinstance(part, str) else part["repeat"] * part["times"] for part in parts]
    return "".join(texts).encode("latin-1")


class Bench:
    """Data planes in front of recording origins, one pair for each kind and set of limits."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._pairs: dict[str, tuple[tuple[str, int], origin.Origin]] = {}

    def pair(self, row: Row) -> tuple[tuple[str, int], origin.Origin]:
        """Return the address of the data plane that a row needs, and its origin."""
        kind, limits = row.get("kind", "route"), row.get("limits", {})
        name = json.dumps([kind, limits])
        if name not in self._pairs:
            server = origin.Origin()
            self._stack.callback(server.close)
            contents = dataplane.document(kind, server.address, limits)
            plane = dataplane.running(contents, self._folder)
            self._pairs[name] = (self._stack.enter_context(plane), server)
        return self._pairs[name]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with contextlib.ExitStack() as stack:
        yield Bench(tmp_path_factory.mktemp("guard"), stack)


def ask(address: tuple[str, int], data: bytes) -> client.Client:
    """Send one request on a connection of its own and read its answer."""
    with contextlib.closing(client.Client(address)) as connection:
        connection.send(data)
        connection.read(quiet_s=0.05, deadline_s=10, answers=1)
    return connection


def talk(address: tuple[str, int], row: Row) -> client.Client:
    """Send what a row says the way it says; return the connection with all that came back."""
    waits_ms = row.get("reads_nothing_ms", 0)
    receive_bytes = 4096 if waits_ms else None
    with contextlib.closing(client.Client(address, receive_bytes=receive_bytes)) as connection:
        connection.send(raw(row["send"]))
        time.sleep(waits_ms / 1000)  # the silence is the input
        if "then_trickle" in row:
            slow = row["then_trickle"]
            data, each_s = slow["bytes"].encode("latin-1"), slow["each_ms"] / 1000
            connection.trickle(data, each_s=each_s, deadline_s=10)
        if "then_send" in row:
            connection.read(quiet_s=0.05, deadline_s=10, answers=1)
            connection.send(raw(row["then_send"]))
            connection.read(quiet_s=0.5, deadline_s=2, answers=1)
        answers = None if row["must_close"] else 1
        connection.read(quiet_s=0.3, deadline_s=10, answers=answers)
    return connection


def talk_at_once(address: tuple[str, int], row: Row) -> list[client.Client]:
    """Let as many clients as the row says talk at the same time."""
    count = row.get("clients", 1)
    with futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: talk(address, row), range(count)))


def check_client(row: Row, connection: client.Client) -> None:
    """Assert on what one client got."""
    answers = connection.answers()
    if not (row.get("may_stay_silent") and not connection.received and connection.is_closed):
        is_torn = row.get("is_cut") and connection.is_closed and not answers
        assert answers or is_torn, f"no answer: {connection.received[:200]!r}"
        if answers:
            assert answers[0].status in row["allowed"], connection.received[:400]
    if row["must_close"]:
        assert connection.is_closed, "the connection stays open"
    if row.get("is_cut"):
        assert not any(a.is_complete and a.status < 300 for a in answers), "it looks complete"
    assert len(answers) <= row.get("answers_max", len(answers)), connection.received[:400]
    for text in row.get("client_must_see", []):
        assert text.encode("latin-1") in connection.received, connection.received[:400]
    for text in row.get("client_must_not_see", []):
        assert text.encode("latin-1") not in connection.received, connection.received[:400]


def check_origin(row: Row, server: origin.Origin) -> None:
    """Assert on what the origin received."""
    received, requests = server.received(), server.requests
    if not row["may_reach_upstream"]:
        assert received == b""
    lowered = received.lower()
    for text in row.get("must_reach_upstream", []):
        assert text.lower().encode("latin-1") in lowered, received[:600]
    for text in row.get("must_not_reach_upstream", []):
        assert text.lower().encode("latin-1") not in lowered, received[:600]
    assert len(requests) >= row.get("upstream_requests_min", 0), received[:600]
    assert len(requests) <= row.get("upstream_requests_max", len(requests)), received[:600]
    if row.get("upstream_must_not_complete"):
        assert not any(request.is_complete for request in requests)
    asked = {request.target for request in requests}
    assert not asked & set(row.get("upstream_never_asked", []))


def check_spent(address: tuple[str, int], server: origin.Origin) -> None:
    """Assert that the next request comes on another upstream connection."""
    used = {request.connection for request in server.requests}
    server.play(origin.Script())
    later = ask(address, AFTER)
    assert [answer.status for answer in later.answers()] == [200], later.received[:400]
    assert server.requests[-1].target == "/after"
    assert server.requests[-1].connection not in used


def script(row: Row) -> origin.Script:
    """Return what a row lets the origin answer."""
    answer, first = row.get("origin"), row.get("origin_first")
    return origin.Script(
        answer=origin.PLAIN if answer is None else raw(answer),
        first=None if first is None else raw(first),
        at_head=row.get("origin_answers_at") == "head",
        closes=row.get("origin_closes", False),
    )


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_input_is_answered_and_nothing_hostile_passes(row: Row, bench: Bench) -> None:
    address, server = bench.pair(row)
    server.play(script(row))
    for data in row.get("before", []):
        ask(address, raw(data))

    connections = talk_at_once(address, row)

    for connection in connections:
        check_client(row, connection)
    check_origin(row, server)
    if row.get("upstream_connection_is_spent"):
        check_spent(address, server)
    if "afterwards" in row:
        later = row["afterwards"]
        server.play(origin.Script(raw(later["origin"])))
        answers = ask(address, raw(later["send"])).answers()
        bodies = [answer.body.decode("latin-1") for answer in answers]
        assert bodies == later["client_must_see"]
