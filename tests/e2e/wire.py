"""A client's end of a connection, read message by message.

In:    an address; bytes to send.
Out:   answers, whole or cut, in the order in which they came.
Not:   retrying, reconnecting, or any header of its own.
Next:  upstream.py is the other end; the engine's tests stand between both.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import socket
import time
from collections.abc import Callable, Iterator
from typing import Self

TIMEOUT_S = 15.0
Address = tuple[str, int]


class CutError(Exception):
    """The peer closed or reset before the message was whole."""


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer: its first line, fields, body and trailer lines."""

    line: str
    fields: tuple[tuple[str, str], ...]
    body: bytes = b""
    trailers: bytes = b""

    @property
    def status(self) -> int:
        """The status of an answer."""
        return int(self.line.split(" ")[1])

    @property
    def target(self) -> str:
        """The target of a request."""
        return self.line.split(" ")[1]

    @property
    def method(self) -> str:
        """The method of a request."""
        return self.line.split(" ")[0]

    def field(self, name: str) -> str | None:
        """Return a field's value; several are joined by commas."""
        values = [value for known, value in self.fields if known == name.lower()]
        return ", ".join(values) if values else None


class Wire:
    """One connection, blocking, every wait bounded by `timeout_s`."""

    def __init__(
        self,
        peer: Address | socket.socket,
        *,
        source: str | None = None,
        receive_bytes: int | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        if isinstance(peer, socket.socket):
            self.socket = peer
        else:
            self.socket = socket.socket()
            if receive_bytes is not None:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            if source is not None:
                self.socket.bind((source, 0))
        self.socket.settimeout(timeout_s)
        if not isinstance(peer, socket.socket):
            try:
                self.socket.connect(peer)
            except OSError:
                self.socket.close()
                raise
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close both ways."""
        self.socket.close()

    def reset(self) -> None:
        """Close so that the peer gets a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of it."""
        self.socket.sendall(data)

    def fill(self) -> bool:
        """Receive once; return False at the end or after a reset."""
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionError:
            return False
        self.buffer += data
        return bool(data)

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        while len(self.buffer) < count:
            if not self.fill():
                raise CutError(bytes(self.buffer[:200]))
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    def until(self, end: bytes) -> bytes:
        """Return what comes up to and with `end`."""
        while (at := self.buffer.find(end)) < 0:
            if not self.fill():
                raise CutError(bytes(self.buffer[:200]))
        return self.take(at + len(end))

    def rest(self) -> bytes:
        """Return everything up to the peer's end."""
        while self.fill():
            pass
        return self.take(len(self.buffer))

    def is_over(self) -> bool:
        """Wait for the peer's end; return whether it comes before anything else."""
        return not self.buffer and not self.fill()

    def head(self) -> Message:
        """Return the next head."""
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")[:-2]
        pairs = (line.partition(":") for line in lines[1:])
        return Message(lines[0], tuple((name.lower(), text.strip()) for name, _, text in pairs))

    def body(self, head: Message, *, to_close: bool = False) -> Message:
        """Return a head's message with the body that its framing promises."""
        if (head.field("transfer-encoding") or "").lower() == "chunked":
            data, trailers = self._chunks()
            return dataclasses.replace(head, body=data, trailers=trailers)
        length = head.field("content-length")
        if length is None:
            return dataclasses.replace(head, body=self.rest()) if to_close else head
        return dataclasses.replace(head, body=self.take(int(length)))

    def answer(self, *, to_head: bool = False) -> Message:
        """Return the next answer, informational ones too."""
        head = self.head()
        if to_head or head.status < 200 or head.status in {204, 304}:
            return head
        return self.body(head, to_close=True)

    def ask(self, target: str, *fields: str, method: str = "GET") -> Message:
        """Send a request without a body; return its answer."""
        self.send(request(target, *fields, method=method))
        return self.answer(to_head=method == "HEAD")

    def request(self) -> Message | None:
        """Return the next request, whole; None at the peer's end."""
        try:
            return self.body(self.head())
        except (CutError, OSError):
            return None

    def _chunks(self) -> tuple[bytes, bytes]:
        data = bytearray()
        while size := int(self.until(b"\r\n").split(b";")[0], 16):
            data += self.take(size + 2)[:-2]
        trailers = b""
        while (line := self.until(b"\r\n")) != b"\r\n":
            trailers += line
        return bytes(data), trailers


def request(target: str, *fields: str, method: str = "GET", body: bytes = b"") -> bytes:
    """Return a request as bytes; Host is `a` unless a field says otherwise."""
    lines = [f"{method} {target} HTTP/1.1", *fields]
    if not any(field.lower().startswith("host:") for field in fields):
        lines.insert(1, "Host: a")
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def answer(body: bytes = b"", *fields: str, status: int = 200) -> bytes:
    """Return an answer with a length as bytes."""
    lines = [f"HTTP/1.1 {status} X", *fields, f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunked(*pieces: bytes, trailers: bytes = b"") -> bytes:
    """Return pieces as chunks with their end; empty ones are left out."""
    framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece)
    return framed + b"0\r\n" + trailers + b"\r\n"


def fetch(address: Address, target: str, *fields: str, method: str = "GET") -> Message:
    """Return the answer to one request on a connection of its own."""
    with Wire(address) as wire:
        return wire.ask(target, *fields, method=method)


@contextlib.contextmanager
def many(address: Address, count: int) -> Iterator[list[Wire]]:
    """Open many connections; close them all."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Wire(address)) for _ in range(count)]


def eventually(
    condition: Callable[[], object], what: str, *, deadline_s: float = TIMEOUT_S
) -> None:
    """Wait until a callable returns something true.

    Raises:
        AssertionError: it did not in time.
    """
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"in vain: {what}"
        time.sleep(0.01)


def status_of(received: bytes) -> int:
    """Return the status of an answer's first line; 0 where there is none."""
    match = re.match(rb"HTTP/1\.1 (\d{3})", received)
    return int(match[1]) if match else 0
