"""An origin that records every byte it gets and answers what it is told.

In:    connections on a free loopback port; what to answer.
Out:   the bytes of each connection, and the request heads read from them.
Not:   any judgement: it reads as leniently as a careless server would.
Next:  test_guard.py asserts on what arrived.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import socket
import threading
from collections.abc import Iterator

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclasses.dataclass(frozen=True, slots=True)
class Script:
    """What the origin answers.

    Args:
        answer: to every request.
        first: to the first one, if it differs.
        at_head: answer before the body was read.
        closes: close after an answer.
    """

    answer: bytes = PLAIN
    first: bytes | None = None
    at_head: bool = False
    closes: bool = False


@dataclasses.dataclass(slots=True)
class Request:
    """A head that the origin read; `is_complete` once its body was too."""

    connection: int
    head: bytes
    is_complete: bool = False

    @property
    def target(self) -> str:
        """The target as sent."""
        return self.head.split(b" ", 2)[1].decode("latin-1")


class Origin:
    """A recording server; every connection is a thread that ends with it."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._script = Script()
        self._answered = 0
        self.connections: list[bytearray] = []
        self.requests: list[Request] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def play(self, script: Script) -> None:
        """Forget what was recorded and answer by `script` from now on."""
        with self._lock:
            self._script = script
            self._answered = 0
            self.requests = []
            for record in self.connections:
                record.clear()

    def received(self) -> bytes:
        """Return all bytes since the last script, connection after connection."""
        with self._lock:
            return b"".join(bytes(record) for record in self.connections)

    def close(self) -> None:
        """Stop accepting and end every connection."""
        # A thread in accept() keeps the socket alive; shutting it down wakes the thread.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                index = len(self.connections)
                self.connections.append(bytearray())
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection, index), daemon=True).start()

    def _serve(self, connection: socket.socket, index: int) -> None:
        with connection, contextlib.suppress(OSError):
            reader = Reader(connection, self.connections[index], self._lock)
            while (head := reader.until(b"\r\n\r\n")) is not None:
                if not self._exchange(connection, reader, Request(index, head)):
                    break
        with self._lock:
            self._open.discard(connection)

    def _exchange(self, connection: socket.socket, reader: Reader, request: Request) -> bool:
        """Answer one request; return whether the connection goes on."""
        with self._lock:
            self.requests.append(request)
            script = self._script
            is_first = self._answered == 0 and script.first is not None
            self._answered += 1
        answer = script.first if is_first and script.first is not None else script.answer
        if request.head.startswith(b"HEAD "):
            answer = answer[: answer.find(b"\r\n\r\n") + 4]
        if script.at_head:
            connection.sendall(answer)
        for _ in reader.body(request.head):
            pass
        if reader.is_over:
            return False
        request.is_complete = True
        if not script.at_head:
            connection.sendall(answer)
        if answer.startswith(b"HTTP/1.1 101"):
            while reader.fill():
                pass
        return not script.closes


class Reader:
    """Takes bytes from a connection and keeps a record of them."""

    def __init__(self, connection: socket.socket, record: bytearray, lock: threading.Lock) -> None:
        self._connection = connection
        self._record = record
        self._lock = lock
        self._buffer = b""
        self.is_over = False

    def fill(self) -> bool:
        """Receive once; return False at the end."""
        data = self._connection.recv(65536)
        with self._lock:
            self._record += data
        self._buffer += data
        self.is_over = not data
        return bool(data)

    def until(self, end: bytes) -> bytes | None:
        """Return bytes up to and with `end`; None if the connection ended before."""
        while end not in self._buffer:
            if not self.fill():
                return None
        taken, _, self._buffer = self._buffer.partition(end)
        return taken + end

    def exactly(self, count: int) -> bytes | None:
        """Return `count` bytes; None if the connection ended before."""
        while len(self._buffer) < count:
            if not self.fill():
                return None
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def body(self, head: bytes) -> Iterator[bytes]:
        """Yield the body's pieces, framed as the head says."""
        if re.search(rb"\r\ntransfer-encoding:[^\r]*chunked", head, re.IGNORECASE):
            while (line := self.until(b"\r\n")) is not None:
                size = int(line.split(b";")[0], 16)
                if size == 0:
                    while self.until(b"\r\n") not in {b"\r\n", None}:
                        pass
                    return
                yield self.exactly(size + 2) or b""
            return
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        if length and int(length[1]):
            yield self.exactly(int(length[1])) or b""
