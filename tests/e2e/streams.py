"""A client of HTTP/2 that says what it is told, wrong things too.

In:    a connection over TLS; requests, frames.
Out:   what came for each stream, and how the connection ended.
Not:   checks on what it sends, so that it can send what no client should.
Next:  test_tls_http2.py, test_tls_floods.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ssl
import struct
import time
from collections.abc import Callable, Iterable
from typing import Self

import hpack
from h2 import config, connection, events, settings
from hyperframe import frame as frames
from tests.e2e import secure, wire

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS = 1, 4
ENHANCE_YOUR_CALM = 11


@dataclasses.dataclass(slots=True)
class Answer:
    """What came on one stream."""

    fields: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    informed: list[int] = dataclasses.field(default_factory=list)
    body: bytes = b""
    trailers: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    is_over: bool = False
    reset: int | None = None

    @property
    def status(self) -> int:
        """The status; 0 while there is none."""
        return int(dict(self.fields).get(":status", "0"))

    def field(self, name: str) -> str | None:
        """Return a field's value."""
        return dict(self.fields).get(name)


class Client:
    """One connection, blocking, every wait bounded."""

    def __init__(
        self,
        address: wire.Address,
        context: ssl.SSLContext,
        host: str | None = "a.example",
        *,
        window: int | None = None,
        timeout_s: float = wire.TIMEOUT_S,
    ) -> None:
        self.tls = secure.secure(address, context, host)
        assert self.tls.selected_alpn_protocol() == "h2"
        self.tls.settimeout(timeout_s)
        self.authority = host or "a.example"
        self.answers: dict[int, Answer] = {}
        self.goaway: int | None = None
        self.pongs = 0
        self.is_ended = False
        options = config.H2Configuration(
            header_encoding="utf-8",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            validate_inbound_headers=False,
        )
        self.state = connection.H2Connection(options)
        # What GOAWAY leaves open comes to its end.
        self.state._frame_dispatch_table[frames.GoAwayFrame] = self._left
        known = {settings.SettingCodes.ENABLE_PUSH: 0}
        if window is not None:
            known[settings.SettingCodes.INITIAL_WINDOW_SIZE] = window
        self.state.local_settings = settings.Settings(client=True, initial_values=known)
        self.reads_on = window is None
        self.state.initiate_connection()
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.tls.close()

    def flush(self) -> None:
        """Send what is due."""
        with contextlib.suppress(OSError):
            self.tls.sendall(self.state.data_to_send())

    def ask(
        self,
        target: str,
        *fields: tuple[str, str],
        method: str = "GET",
        ends: bool = True,
        **pseudo: str,
    ) -> int:
        """Send a request's head; return its stream."""
        stream = self.state.get_next_available_stream_id()
        known = {
            ":method": method,
            ":scheme": pseudo.pop("scheme", "https"),
            ":authority": pseudo.pop("authority", self.authority),
            ":path": target,
        }
        known |= {f":{name}": value for name, value in pseudo.items()}
        self.answers[stream] = Answer()
        head = [(name, value) for name, value in known.items() if value]
        self.state.send_headers(stream, [*head, *fields], end_stream=ends)
        self.flush()
        return stream

    def fetch(self, target: str, *fields: tuple[str, str], method: str = "GET") -> Answer:
        """Return the answer to a request without a body."""
        return self.answer(self.ask(target, *fields, method=method))

    def send(self, stream: int, data: bytes, *, ends: bool = False) -> None:
        """Send a body's bytes as there is room for them, until the other side wants no more."""
        while (data or ends) and self.answers[stream].reset is None:
            room = min(self.state.local_flow_control_window(stream), 16384, len(data))
            if data and room == 0:
                self.read()
                continue
            piece, data = data[:room], data[room:]
            self.state.send_data(stream, piece, end_stream=ends and not data)
            self.flush()
            if not data:
                return

    def reset(self, stream: int) -> None:
        """Give a stream up."""
        self.state.reset_stream(stream, 8)
        self.flush()

    def answer(self, stream: int) -> Answer:
        """Wait until a stream is over; return what came."""
        got = self.answers[stream]
        self.until(lambda: got.is_over or got.reset is not None, f"stream {stream} ends")
        return got

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Read until something holds.

        Raises:
            AssertionError: the connection ended before, or time is up.
        """
        end = time.monotonic() + wire.TIMEOUT_S
        while not condition():
            assert not self.is_ended, f"ended (GOAWAY {self.goaway}) before: {what}"
            assert time.monotonic() < end, f"in vain: {what}"
            self.read()

    def read(self) -> None:
        """Receive once."""
        try:
            data = self.tls.recv(1 << 16)
        except (ConnectionError, ssl.SSLError):
            data = b""
        if not data:
            self.is_ended = True
            return
        for event in self.state.receive_data(data):
            self._take(event)
        self.flush()

    def drain(self) -> None:
        """Read to the connection's end."""
        end = time.monotonic() + wire.TIMEOUT_S
        while not self.is_ended:
            assert time.monotonic() < end, "the connection stays"
            self.read()

    def _left(self, found: frames.GoAwayFrame) -> tuple[list[frames.Frame], list[events.Event]]:
        self.goaway = int(found.error_code)
        return [], []

    def _take(self, event: events.Event) -> None:
        stream = getattr(event, "stream_id", None) or 0
        answer = self.answers.get(stream, Answer())
        match event:
            case events.InformationalResponseReceived():
                answer.informed.append(int(dict(_text(event.headers))[":status"]))
            case events.ResponseReceived():
                answer.fields = _text(event.headers)
            case events.TrailersReceived():
                answer.trailers = _text(event.headers)
            case events.DataReceived():
                answer.body += event.data
                if self.reads_on and event.flow_controlled_length:
                    self.state.acknowledge_received_data(event.flow_controlled_length, stream)
            case events.StreamEnded():
                answer.is_over = True
            case events.StreamReset():
                answer.reset = int(event.error_code)
            case events.PingAckReceived():
                self.pongs += 1
            case _:
                pass


def _text(fields: Iterable[tuple[str | bytes, str | bytes]] | None) -> list[tuple[str, str]]:
    def one(part: str | bytes) -> str:
        return part.decode("latin-1") if isinstance(part, bytes) else part

    return [(one(name), one(value)) for name, value in fields or ()]


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """Return a frame as bytes."""
    size = struct.pack(">I", len(payload))[1:]
    return size + bytes([kind, flags]) + struct.pack(">I", stream) + payload


class Raw:
    """A connection on which frames are bytes."""

    def __init__(
        self,
        address: wire.Address,
        context: ssl.SSLContext,
        begin: bytes = b"",
        *,
        first: bytes = b"",
    ) -> None:
        self.tls = secure.secure(address, context, first=first)
        self.encoder = hpack.Encoder()
        self.buffer = b""
        self.frames: list[tuple[int, int, int, bytes]] = []
        self.is_ended = False
        self.send(PREFACE + (begin or frame(SETTINGS)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.tls.close()

    def send(self, data: bytes) -> bool:
        """Send; return False where the other side no longer takes it."""
        try:
            self.tls.sendall(data)
        except (OSError, ssl.SSLError):
            self.is_ended = True
        return not self.is_ended

    def head(self, target: str, *fields: tuple[str, str], method: str = "GET") -> bytes:
        """Return the block of a request's fields."""
        known = [(":method", method), (":scheme", "https"), (":authority", "a.example")]
        block: bytes = self.encoder.encode([*known, (":path", target), *fields])
        return block

    def ask(self, stream: int, target: str, *, flags: int = END_HEADERS | END_STREAM) -> bytes:
        """Return the frame of a request."""
        return frame(HEADERS, flags, stream, self.head(target))

    def read(self, wait_s: float) -> bool:
        """Receive what is there; return whether anything came."""
        self.tls.settimeout(wait_s)
        try:
            data = self.tls.recv(1 << 16)
        except TimeoutError:
            return False
        except (OSError, ssl.SSLError):
            data = b""
        if not data:
            self.is_ended = True
            return False
        self.buffer += data
        while len(self.buffer) >= 9:
            size = int.from_bytes(self.buffer[:3], "big")
            if len(self.buffer) < 9 + size:
                break
            kind, flags = self.buffer[3], self.buffer[4]
            stream = int.from_bytes(self.buffer[5:9], "big")
            self.frames.append((kind, flags, stream, self.buffer[9 : 9 + size]))
            self.buffer = self.buffer[9 + size :]
        return True

    def drain(self, deadline_s: float = wire.TIMEOUT_S) -> None:
        """Read to the connection's end, or until the deadline."""
        end = time.monotonic() + deadline_s
        while not self.is_ended and time.monotonic() < end:
            self.read(0.1)

    def reasons(self) -> list[int]:
        """Return the codes of GOAWAY so far."""
        return [
            int.from_bytes(data[4:8], "big") for kind, _, _, data in self.frames if kind == GOAWAY
        ]
