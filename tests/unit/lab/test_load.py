import asyncio
import dataclasses
from collections.abc import Callable

import pytest

from alongside.base import clock
from alongside.lab import load

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "a"\r\nCache-Status: c; hit\r\n\r\nhello'
HANG = b""

Answers = Callable[[str], tuple[bytes, bool]]
"""From a path to the bytes of its answer and whether the server then closes."""


@dataclasses.dataclass
class Server:
    """A server that sends exactly the bytes it is told to."""

    answers: Answers
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer until told to close, or the client leaves."""
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                answer, is_last = self.answers(head.split(b" ")[1].decode())
                writer.write(answer)
                await writer.drain()
                if is_last:
                    return
        except (EOFError, OSError):
            return
        finally:
            writer.close()


def send(
    answers: Answers, paths: list[str], *, connections: int = 1, seconds_max: float | None = None
) -> tuple[list[load.Record], Server]:
    server = Server(answers)

    async def main() -> list[load.Record]:
        async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
            plan = load.Plan(
                host="127.0.0.1",
                port=listening.sockets[0].getsockname()[1],
                paths=paths,
                connections=connections,
                timeout_s=0.05 if "/hang" in paths else 5.0,
                seconds_max=seconds_max,
            )
            return await load.run(plan, ledger=load.Ledger(), time=clock.SystemClock())

    return asyncio.run(main()), server


def check(answer: bytes, failure: load.Failure | None, *, is_last: bool = False) -> load.Record:
    """Ask for an answer, then for a good one: the first ends as said, the second is well."""
    path = "/hang" if answer == HANG and not is_last else "/odd"
    answers = {path: (answer, is_last), "/good": (OK, False)}
    (first, second), _ = send(answers.__getitem__, [path, "/good"])
    assert (first.failure, second.failure) == (failure, None)
    return first


def test_records_what_came() -> None:
    record = check(OK, None)
    assert (record.number, record.path, record.status) == (0, "/odd", 200)
    assert (record.body_bytes, record.cache_status) == (5, "c; hit")
    assert record.latency_s > 0.0


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n"
        b"0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: 1\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK,
        b"HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n",
    ],
)
def test_takes_every_whole_answer(answer: bytes) -> None:
    check(answer, None)


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", load.Failure.STATUS),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno", load.Failure.STATUS),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", load.Failure.STATUS),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", load.Failure.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", load.Failure.MALFORMED),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
            load.Failure.MALFORMED,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            load.Failure.MALFORMED,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
            load.Failure.MALFORMED,
        ),
        (b"HTTP/1.1 200 OK\r\nNo colon\r\n\r\n", load.Failure.MALFORMED),
        (b"SSH-2.0-x\r\n\r\n", load.Failure.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n", load.Failure.MALFORMED),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil close", load.Failure.SHORT),
        (HANG, load.Failure.TIMEOUT),
    ],
)
def test_names_each_way_to_fail(answer: bytes, failure: load.Failure) -> None:
    check(answer, failure)


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (b"", load.Failure.RESET),
        (b"HTTP/1.1 200 OK\r\nContent-Le", load.Failure.RESET),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", load.Failure.SHORT),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            load.Failure.SHORT,
        ),
    ],
)
def test_a_server_that_closes_early_fails_the_request(answer: bytes, failure: load.Failure) -> None:
    check(answer, failure, is_last=True)


def test_an_announced_end_is_no_failure() -> None:
    last = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    records, server = send(lambda _: (last, True), ["/a", "/b", "/a"])
    assert [record.failure for record in records] == [None] * 3
    assert server.connections == 3


def test_a_page_that_changes_is_wrong() -> None:
    bodies = iter([b"aa", b"bb", b"aa", b"aaa"])

    def answers(_: str) -> tuple[bytes, bool]:
        body = next(bodies)
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body), False

    records, _ = send(answers, ["/a"] * 4)
    wrong = load.Failure.WRONG
    assert [record.failure for record in records] == [None, wrong, None, wrong]


def test_a_validator_that_changes_is_wrong() -> None:
    tags = iter([b'"a"', b'"b"'])

    def answers(_: str) -> tuple[bytes, bool]:
        return b"HTTP/1.1 200 OK\r\nETag: %s\r\nContent-Length: 0\r\n\r\n" % next(tags), False

    records, _ = send(answers, ["/a"] * 2)
    assert [record.failure for record in records] == [None, load.Failure.WRONG]


def test_a_body_that_two_paths_share_is_named() -> None:
    ledger = load.Ledger()
    for path, digest in (("/a", b"1"), ("/b", b"2"), ("/c", b"1"), ("/a", b"1")):
        ledger.agrees(path, load.Page(1, digest, None))
    assert ledger.mixed_up() == ["/c and /a got the same body"]


def test_refused_connections_fail_every_request_and_end() -> None:
    async def main() -> list[load.Record]:
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        plan = load.Plan(host="127.0.0.1", port=port, paths=["/"] * 20)
        return await load.run(plan, ledger=load.Ledger(), time=clock.SystemClock())

    records = asyncio.run(main())
    assert [record.failure for record in records] == [load.Failure.RESET] * 20


def test_connections_are_kept_and_every_path_is_asked_for_once() -> None:
    paths = [f"/{number}" for number in range(400)]
    records, server = send(lambda _: (OK, False), paths, connections=8)
    assert sorted(record.number for record in records) == list(range(400))
    assert all(record.path == f"/{record.number}" for record in records)
    assert server.connections == 8


def test_starts_nothing_after_its_time() -> None:
    records, _ = send(lambda _: (OK, False), ["/"] * 1_000_000, seconds_max=0.05)
    assert 0 < len(records) < 1_000_000
    assert max(record.started_s for record in records) - records[0].started_s <= 0.06
