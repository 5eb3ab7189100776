"""Ask a server whether it is well, by the gRPC health checking protocol over plain HTTP/2.

HTTP/2 is the `h2` package's; of Protocol Buffers the two messages need a dozen bytes, which are
written and read here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.events
import h2.exceptions

if TYPE_CHECKING:
    import asyncio

ANSWER_BYTES_MAX = 64 * 2**10
READ_BYTES = 64 * 2**10
SERVING = "SERVING"
_PATH = "/grpc.health.v1.Health/Check"
_WORDS = {0: "UNKNOWN", 1: SERVING, 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_CODES = {5: "NOT_FOUND", 12: "UNIMPLEMENTED", 14: "UNAVAILABLE"}


async def check(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str, service: str
) -> str:
    """Return the status that a server says of a service: SERVING, or another word.

    Args:
        reader: of a connection to it.
        writer: of the same connection; left open.
        authority: HOST:PORT.
        service: its name; empty for the whole server.

    Raises:
        ConnectionError: it speaks no HTTP/2, ended the connection, or refused the call.
        ValueError: its answer is no answer to this call.
    """
    connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    connection.initiate_connection()
    stream = connection.get_next_available_stream_id()
    head = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", _PATH),
        (":authority", authority),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "alongside-probe"),
    ]
    connection.send_headers(stream, head)
    connection.send_data(stream, _framed(_request(service)), end_stream=True)
    call = _Call(stream)
    try:
        while not call.is_over:
            writer.write(connection.data_to_send())
            await writer.drain()
            data = await reader.read(READ_BYTES)
            if not data:
                raise ConnectionError("the connection ended before the answer")
            for event in connection.receive_data(data):
                call.take(event, connection)
    except h2.exceptions.H2Error as error:
        raise ConnectionError(f"its answer is no HTTP/2: {error}") from error
    return call.result()


class _Call:
    """What was answered so far."""

    def __init__(self, stream: int) -> None:
        self.is_over = False
        self._stream = stream
        self._fields: dict[str, str] = {}
        self._body = b""

    def take(self, event: h2.events.Event, connection: h2.connection.H2Connection) -> None:
        """Note what came; what is for another stream is none of ours."""
        match event:
            case h2.events.ConnectionTerminated():
                raise ConnectionError("it closed the connection")
            case h2.events.StreamReset(stream_id=self._stream):
                raise ConnectionError("it refused the call")
            case h2.events.ResponseReceived() | h2.events.TrailersReceived():
                for name, value in event.headers or []:
                    self._fields[str(name)] = str(value)
            case h2.events.DataReceived():
                self._body += event.data or b""
                if len(self._body) > ANSWER_BYTES_MAX:
                    raise ValueError("its answer is too long")
                connection.acknowledge_received_data(
                    event.flow_controlled_length or 0, self._stream
                )
            case h2.events.StreamEnded():
                self.is_over = True
            case _:
                return

    def result(self) -> str:
        """Return the word that the answer says."""
        http = self._fields.get(":status", "")
        if http != "200":
            raise ValueError(f"its answer is HTTP {http}")
        code = self._fields.get("grpc-status", "")
        if code != "0":
            known = _CODES.get(int(code), code) if code.isdecimal() else "none"
            message = self._fields.get("grpc-message", "")
            raise ValueError(f"its gRPC status is {known}{': ' if message else ''}{message}")
        if len(self._body) < 5 or self._body[0] != 0:
            raise ValueError("its answer is not one plain message")
        length = int.from_bytes(self._body[1:5])
        if len(self._body) != 5 + length:
            raise ValueError("its answer is not one plain message")
        return _status(self._body[5:])


def _framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4) + message


def _request(service: str) -> bytes:
    """Return a HealthCheckRequest: field 1, the service's name, which is left out when empty."""
    name = service.encode()
    return b"\x0a" + _varint(len(name)) + name if name else b""


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _status(message: bytes) -> str:
    """Return the word of a HealthCheckResponse: field 1; unknown fields are left out of account."""
    at, status = 0, 0
    while at < len(message):
        tag, at = _number(message, at)
        match tag & 7:
            case 0:
                value, at = _number(message, at)
                status = value if tag >> 3 == 1 else status
            case 1:
                at += 8
            case 2:
                length, at = _number(message, at)
                at += length
            case 5:
                at += 4
            case _:
                raise ValueError("its answer is no message")
    if at != len(message):
        raise ValueError("its answer is cut")
    return _WORDS.get(status, f"status {status}")


def _number(message: bytes, at: int) -> tuple[int, int]:
    """Return the varint at a place, and the place behind it."""
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("its answer is cut")
        number |= (message[at] & 0x7F) << shift
        at += 1
        if message[at - 1] < 0x80:
            return number, at
    raise ValueError("its answer has a number that is too long")
