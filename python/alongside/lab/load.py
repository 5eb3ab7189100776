"""Send requests over kept connections as a strict client, and record what became of each.

In:    an address, paths in order, a number of connections, patience; pages already known.
Out:   one record a request: when, how long, status, bytes, what the caches said, how it failed.
Not:   retrying; open-loop arrivals; TLS; more than one process.
Next:  figures sums the records up.
"""

import asyncio
import contextlib
import dataclasses
import enum
import hashlib
import itertools
import re
from collections.abc import Callable, Iterator, Sequence

from alongside.base import clock

HEAD_BYTES_MAX = 65_536
BODY_BYTES_MAX = 1 << 30
STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) [^\r\n]*", re.DOTALL)
DECIMAL = re.compile(rb"[0-9]{1,18}")
HEXADECIMAL = re.compile(rb"[0-9A-Fa-f]{1,15}")


class Failure(enum.Enum):
    """Why a request failed, as seen by a client that does not retry."""

    STATUS = "status"  # not the one wanted
    SHORT = "short"  # the body ended early, or nothing says where it ends
    WRONG = "wrong"  # a body or validator other than this path had before
    MALFORMED = "malformed"  # not HTTP/1.1
    RESET = "reset"  # refused, or closed before an answer
    TIMEOUT = "timeout"


class FailedError(Exception):
    """A request failed; raised and caught in this module."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.value)
        self.failure = failure


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """What a path is: the length and digest of its body, and its validator if it has one."""

    body_bytes: int
    digest: bytes
    etag: str | None


class Ledger:
    """Remember the first page of every path; later answers must equal it."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}

    def agrees(self, path: str, page: Page) -> bool:
        """Return whether a page is the one this path had first; the first one is believed."""
        return self.pages.setdefault(path, page) == page

    def mixed_up(self) -> list[str]:
        """Return a sentence for each path with the body of another, where no two should share."""
        owners: dict[bytes, str] = {}
        return [
            f"{path} and {owners[page.digest]} got the same body"
            for path, page in self.pages.items()
            if owners.setdefault(page.digest, path) != path
        ]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What to send: `paths` in their order, one at a time on each of `connections`.

    `seconds_max` bounds the sending: no request starts after it. `timeout_s` is for each request,
    connecting included. `status` is the only right one. An endless one begins anew after the last
    path, and its records are told but not kept.
    """

    host: str
    port: int
    paths: Sequence[str]
    connections: int = 16
    timeout_s: float = 10.0
    seconds_max: float | None = None
    status: int = 200
    is_endless: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """What became of one request; `status` and `body_bytes` are 0 where no whole answer came."""

    number: int
    path: str
    started_s: float
    latency_s: float
    status: int
    body_bytes: int
    cache_status: str | None
    failure: Failure | None


@dataclasses.dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer: names in lower case; lines of one name joined by a comma."""

    status: int
    fields: dict[bytes, bytes]

    def text(self, name: bytes) -> str | None:
        """Return a field's value, None if absent."""
        value = self.fields.get(name)
        return None if value is None else value.decode("latin-1")


class Connection:
    """One kept connection, opened when first needed and again after it ended."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, path: str) -> tuple[Head, bytes]:
        """Return the head and the whole body of the answer to a GET.

        Raises:
            FailedError: the answer is not HTTP/1.1, or its body is not whole.
            OSError: the connection broke; so does the end of file before a head.
        """
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(
                self._host, self._port, limit=HEAD_BYTES_MAX
            )
        request = f"GET {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n\r\n"
        self._writer.write(request.encode("latin-1"))
        head = await _head(self._reader)
        while head.status < 200:  # interim
            head = await _head(self._reader)
        body = await _body(self._reader, head)
        if b"close" in head.fields.get(b"connection", b"").lower():
            await self.close()
        return head, body

    async def close(self) -> None:
        """End the connection; the next request opens another."""
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.transport.abort()  # nothing waits to be sent
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def run(
    plan: Plan,
    *,
    ledger: Ledger,
    time: clock.Clock,
    seen: Callable[[Record], None] = lambda _: None,
    is_over: Callable[[], bool] = lambda: False,
) -> list[Record]:
    """Send a plan and return its records in the order they ended.

    `seen` is told each at once; once `is_over` says so, no further request starts.
    """
    started_s = time.monotonic_s()
    deadline_s = None if plan.seconds_max is None else started_s + plan.seconds_max
    waiting = itertools.count() if plan.is_endless else iter(range(len(plan.paths)))
    records: list[Record] = []

    async def work() -> None:
        connection = Connection(plan.host, plan.port)
        try:
            for number in _until(waiting, deadline_s, time):
                if is_over():
                    return
                record = await _request(connection, plan, number, ledger, time)
                if not plan.is_endless:
                    records.append(record)
                seen(record)
        finally:
            await connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(plan.connections):
            group.create_task(work())
    return records


def _until(waiting: Iterator[int], deadline_s: float | None, time: clock.Clock) -> Iterator[int]:
    """Yield what waits until the deadline; what is left over stays with the others."""
    while deadline_s is None or time.monotonic_s() < deadline_s:
        found = next(waiting, None)
        if found is None:
            return
        yield found


async def _request(
    connection: Connection, plan: Plan, number: int, ledger: Ledger, time: clock.Clock
) -> Record:
    """Send one request and return its record; after a failure the connection is closed."""
    path = plan.paths[number % len(plan.paths)]
    started_s = time.monotonic_s()
    head: Head | None = None
    body = b""
    failure: Failure | None = None
    try:
        async with asyncio.timeout(plan.timeout_s):
            head, body = await connection.ask(path)
    except TimeoutError:
        failure = Failure.TIMEOUT
    except FailedError as error:
        failure = error.failure
    except (OSError, EOFError):
        failure = Failure.RESET
    latency_s = time.monotonic_s() - started_s
    if head is not None:
        failure = _judge(plan, path, head, body, ledger)
    elif failure is not None:
        await connection.close()
    return Record(
        number=number,
        path=path,
        started_s=started_s,
        latency_s=latency_s,
        status=head.status if head else 0,
        body_bytes=len(body),
        cache_status=head.text(b"cache-status") if head else None,
        failure=failure,
    )


def _judge(plan: Plan, path: str, head: Head, body: bytes, ledger: Ledger) -> Failure | None:
    """Return how a complete answer is wrong, None where it is right."""
    if head.status != plan.status:
        return Failure.STATUS
    page = Page(len(body), hashlib.sha256(body).digest(), head.text(b"etag"))
    return None if ledger.agrees(path, page) else Failure.WRONG


async def _head(reader: asyncio.StreamReader) -> Head:
    """Read the next head; the end of file before it is an EOFError."""
    try:
        lines = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
    except asyncio.LimitOverrunError as error:
        raise FailedError(Failure.MALFORMED) from error
    status = STATUS_LINE.fullmatch(lines[0])
    if status is None:
        raise FailedError(Failure.MALFORMED)
    fields: dict[bytes, bytes] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not name or name.strip() != name:
            raise FailedError(Failure.MALFORMED)
        name, value = name.lower(), value.strip()
        fields[name] = fields[name] + b", " + value if name in fields else value
    return Head(int(status[1]), fields)


# RFC 9112 section 6.3: what says where a body ends. An answer that ends with its connection
# cannot be told from a broken one, so a strict client takes it for short.


async def _body(reader: asyncio.StreamReader, head: Head) -> bytes:
    """Read the whole body of the answer to a GET."""
    if head.status in {204, 304}:
        return b""
    length = head.fields.get(b"content-length")
    coding = head.fields.get(b"transfer-encoding")
    try:
        if coding is not None:
            if coding.lower() != b"chunked" or length is not None:
                raise FailedError(Failure.MALFORMED)
            return await _chunks(reader)
        if length is None:
            raise FailedError(Failure.SHORT)
        return await reader.readexactly(_size(DECIMAL, length, 10))
    except (EOFError, OSError) as error:
        raise FailedError(Failure.SHORT) from error


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    """Read a chunked body; trailers are read and dropped."""
    pieces: list[bytes] = []
    body_bytes = 0
    while size := _size(HEXADECIMAL, (await _line(reader)).partition(b";")[0].strip(), 16):
        body_bytes += size
        if body_bytes > BODY_BYTES_MAX:
            raise FailedError(Failure.MALFORMED)
        pieces.append(await reader.readexactly(size))
        if await reader.readexactly(2) != b"\r\n":
            raise FailedError(Failure.MALFORMED)
    trailer_bytes = 0
    while line := await _line(reader):
        trailer_bytes += len(line)
        if trailer_bytes > HEAD_BYTES_MAX:
            raise FailedError(Failure.MALFORMED)
    return b"".join(pieces)


async def _line(reader: asyncio.StreamReader) -> bytes:
    """Read one line, without its end."""
    try:
        return (await reader.readuntil(b"\r\n"))[:-2]
    except asyncio.LimitOverrunError as error:
        raise FailedError(Failure.MALFORMED) from error


def _size(form: re.Pattern[bytes], text: bytes, base: int) -> int:
    """Return a length in bytes, at most `BODY_BYTES_MAX`."""
    if not form.fullmatch(text) or int(text, base) > BODY_BYTES_MAX:
        raise FailedError(Failure.MALFORMED)
    return int(text, base)
