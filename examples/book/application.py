"""Write and read keys of a memcached at localhost, for ever; say how it goes once a second.

It knows one address and memcache's text protocol, and nothing of shards.
"""

import itertools
import os
import socket
import sys
import time
from io import BufferedRWPair as Stream

ADDRESS = os.environ.get("MEMCACHE", "localhost:11211")
KEYS = 100
PERIOD_S = float(os.environ.get("PERIOD_S", "1"))


def ask(stream: Stream, order: bytes, last: tuple[bytes, ...]) -> list[bytes]:
    """Send an order and return the lines of its answer, to one of the last lines it can have."""
    stream.write(order)
    stream.flush()
    lines: list[bytes] = []
    while not lines or not lines[-1].startswith(last):
        lines.append(stream.readline())
        if not lines[-1]:
            raise ConnectionError("the connection was closed")
    return lines


def turn(stream: Stream, number: int) -> int:
    """Write every key and read it back; return how many came back as they were written."""
    right = 0
    for at in range(KEYS):
        key, value = f"key-{at}", f"value-{at}-{number}"
        ask(stream, f"set {key} 0 60 {len(value)}\r\n{value}\r\n".encode(), (b"STORED", b"SERVER_"))
        lines = ask(stream, f"get {key}\r\n".encode(), (b"END", b"SERVER_"))
        right += f"{value}\r\n".encode() in lines
    return right


def main() -> None:
    """Begin again where the connection breaks: an ambassador may start after its application."""
    host, _, port = ADDRESS.rpartition(":")
    for number in itertools.count():
        try:
            with socket.create_connection((host, int(port)), timeout=5) as connection:
                stream = connection.makefile("rwb")
                while True:
                    print(f"{turn(stream, number)} of {KEYS} keys came back", flush=True)
                    time.sleep(PERIOD_S)
        except OSError as error:
            print(f"{ADDRESS}: {error}", file=sys.stderr, flush=True)
            time.sleep(0.2)


main()
