"""A client that sends raw bytes and says exactly what came back.

In:    an address, bytes.
Out:   the bytes received, the answers in them, whether the connection was closed.
Not:   any HTTP of its own: it sends what no client should.
Next:  test_guard.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import socket
import time

STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """One answer; 1xx other than 101 are left out."""

    status: int
    head: bytes
    body: bytes
    is_complete: bool


class Client:
    """One connection."""

    def __init__(self, address: tuple[str, int], *, receive_bytes: int | None = None) -> None:
        self._socket = socket.socket()
        if receive_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self._socket.settimeout(10)
        try:
            self._socket.connect(address)
        except OSError:
            self._socket.close()
            raise
        self.received = b""
        self.is_closed = False
        self._is_quiet = False

    def close(self) -> None:
        """Close; what was received stays."""
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send; a peer that stopped reading is no error, its answer is read all the same."""
        with contextlib.suppress(OSError):
            self._socket.sendall(data)

    def read(self, *, quiet_s: float, deadline_s: float, answers: int | None = None) -> None:
        """Receive until the peer closes, or says nothing for `quiet_s` after `answers` answers.

        With `answers=None` only closing or the deadline ends it.
        """
        end = time.monotonic() + deadline_s
        while not self.is_closed and (left := end - time.monotonic()) > 0:
            is_enough = answers is not None and self._complete() >= answers
            self._receive(min(left, quiet_s) if is_enough else min(left, 0.1))
            if is_enough and self._is_quiet:
                return

    def trickle(self, data: bytes, *, each_s: float, deadline_s: float) -> None:
        """Send `data` again and again until the peer closes."""
        end = time.monotonic() + deadline_s
        while not self.is_closed and time.monotonic() < end:
            self.send(data)
            self._receive(each_s)

    def _receive(self, wait_s: float) -> None:
        self._socket.settimeout(max(wait_s, 0.001))
        try:
            data = self._socket.recv(1 << 20)
        except TimeoutError:
            self._is_quiet = True
            return
        except OSError:
            data = b""
        self._is_quiet = False
        self.received += data
        self.is_closed = not data

    def _complete(self) -> int:
        return sum(answer.is_complete for answer in self.answers())

    def answers(self, *, to_head: bool = False) -> list[Answer]:
        """Return the answers in what was received."""
        found, rest = [], self.received
        while match := STATUS_LINE.match(rest):
            head, blank, rest = rest.partition(b"\r\n\r\n")
            status = int(match[1])
            if not blank:
                found.append(Answer(status, head, b"", is_complete=False))
                break
            if status == 101:
                found.append(Answer(status, head, rest, is_complete=True))
                break
            if status < 200:
                continue
            has_no_body = to_head or status in {204, 304}
            body, rest, is_complete = (b"", rest, True) if has_no_body else self._body(head, rest)
            found.append(Answer(status, head, body, is_complete))
        return found

    def _body(self, head: bytes, rest: bytes) -> tuple[bytes, bytes, bool]:
        if re.search(rb"\r\ntransfer-encoding: *chunked", head, re.IGNORECASE):
            return chunks(rest)
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        if length is None:
            return rest, b"", self.is_closed
        count = int(length[1])
        return rest[:count], rest[count:], len(rest) >= count


def chunks(rest: bytes) -> tuple[bytes, bytes, bool]:
    """Return a chunked body, what follows it, and whether its end was there."""
    body = b""
    while match := re.match(rb"([0-9a-f]+)\r\n", rest, re.IGNORECASE):
        size = int(match[1], 16)
        rest = rest[match.end() :]
        if size == 0:
            end = rest.find(b"\r\n") if rest.startswith(b"\r\n") else rest.find(b"\r\n\r\n") + 2
            return body, rest[end + 2 :], end >= 0
        body += rest[:size]
        rest = rest[size + 2 :]
    return body, b"", False
