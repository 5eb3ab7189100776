"""What `tests/caches/commands.json` says of twemproxy and Redis, the packaged ones do say."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TypeAlias, TypedDict

import pytest
from tests import ports
from tests.agreement import nutcracker

TABLE = Path(__file__).parent.parent / "caches" / "commands.json"
DEADLINE_S = 30.0
SERVERS = 8
# It ends the connection whether it is taken or not.
UNTOLD = {"QUIT"}
# Subcommands of which `COMMAND INFO` says what it does not say of the command.
SUBCOMMANDS = {
    "MEMORY": "memory|usage",
    "OBJECT": "object|encoding",
    "XGROUP": "xgroup|create",
    "XINFO": "xinfo|stream",
}

Reply: TypeAlias = "str | int | list[Reply] | None"


class Row(TypedDict, total=False):
    """A command."""

    name: str
    takes: list[int]
    key: int
    keys: list[int]


def rows() -> list[Row]:
    """Return the table."""
    table: list[Row] = json.loads(TABLE.read_text())
    return table


def array(args: Sequence[str]) -> bytes:
    """Return a request."""
    head = f"*{len(args)}\r\n"
    return (head + "".join(f"${len(arg)}\r\n{arg}\r\n" for arg in args)).encode()


def reply(stream: IO[bytes] | io.BufferedIOBase) -> Reply:
    """Read one reply, or one request; nothing at the end."""
    line = stream.readline().decode().removesuffix("\r\n")
    kind, text = line[:1], line[1:]
    if kind == "*":
        return [reply(stream) for _ in range(int(text))]
    if kind == "$":
        return stream.read(int(text) + 2).decode()[:-2] if text != "-1" else None
    return int(text) if kind == ":" else text or None


class Behind(socketserver.StreamRequestHandler):
    """A server that notes that it got a request; twemproxy can make an answer of its answer."""

    def __init__(self, index: int, got: set[int], *args: object) -> None:
        self._index = index
        self._got = got
        super().__init__(*args)  # type: ignore[arg-type]

    def handle(self) -> None:
        """Answer until the connection ends."""
        while isinstance(request := reply(self.rfile), list):
            self._got.add(self._index)
            values = len(request) - 1
            is_array = request[0] == "MGET"
            self.wfile.write(b"*%d\r\n" % values + b":1\r\n" * values if is_array else b":1\r\n")


class Server(socketserver.ThreadingUnixStreamServer):
    """One of the servers behind twemproxy."""

    daemon_threads = True


@contextlib.contextmanager
def running(command: str, *args: str) -> Iterator[None]:
    """Run a program."""
    path = nutcracker.COMMAND if command == "nutcracker" else command
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([path, *args], stdout=quiet, stderr=quiet)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def serving(path: Path, index: int, got: set[int]) -> Iterator[None]:
    """Run one of the servers behind twemproxy."""
    with Server(str(path), functools.partial(Behind, index, got)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def connected(path: Path) -> socket.socket:
    """Return a connection to a socket that is there soon."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(DEADLINE_S)
        try:
            link.connect(str(path))
        except OSError:
            link.close()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        else:
            return link


@contextlib.contextmanager
def twemproxy(folder: Path, got: set[int]) -> Iterator[Path]:
    """Run twemproxy before servers that note in `got` which of them got a request."""
    lines = ["pool:", f"  listen: {folder}/door", "  redis: true", "  distribution: modula"]
    lines += ["  hash: murmur", "  servers:"]
    with contextlib.ExitStack() as stack:
        for index in range(SERVERS):
            stack.enter_context(serving(folder / f"{index}", index, got))
            lines.append(f"   - {folder}/{index}:1 server{index}")
        settings = folder / "nutcracker.yml"
        settings.write_text("\n".join(lines) + "\n")
        # Its door of statistics needs a port, which nobody asks.
        door = ("-a", "127.0.0.1", "-s", str(ports.free_port()))
        stack.enter_context(running("nutcracker", "-c", str(settings), *door))
        yield folder / "door"


def is_taken(door: Path, args: Sequence[str]) -> bool:
    """Tell whether twemproxy answers a request, instead of ending the connection."""
    with connected(door) as link:
        link.sendall(array(args))
        try:
            return link.recv(1) != b""
        except ConnectionError:
            return False


def request(row: Row, count: int) -> list[str]:
    """Return a request with so many arguments."""
    return [row["name"], *["2"] * (count - 1)]


@pytest.mark.needs("nutcracker")
def test_twemproxy_takes_what_the_table_says(tmp_path: Path) -> None:
    asked = [row for row in rows() if row["name"] not in UNTOLD]
    with twemproxy(tmp_path, set()) as door:
        theirs = {
            row["name"]: [n for n in range(1, 9) if is_taken(door, request(row, n))]
            for row in asked
        }
    assert theirs == {row["name"]: row.get("takes", []) for row in asked}


@pytest.mark.needs("nutcracker")
def test_twemproxy_hashes_the_argument_that_the_table_says(tmp_path: Path) -> None:
    got: set[int] = set()
    unmoved: list[str] = []
    with twemproxy(tmp_path, got) as door:
        for row in rows():
            if "key" not in row:
                continue
            got.clear()
            args = request(row, row["takes"][-1])
            for number in range(12):
                args[row["key"]] = f"key{number}"
                assert is_taken(door, args), args
            if len(got) < 2:
                unmoved.append(row["name"])
    assert unmoved == []


@pytest.mark.needs("redis-server")
def test_redis_has_keys_where_the_table_says(tmp_path: Path) -> None:
    asked = [row for row in rows() if "keys" in row]
    names = [SUBCOMMANDS.get(row["name"], row["name"]) for row in asked]
    door = tmp_path / "redis.sock"
    options = ("--port", "0", "--unixsocket", str(door), "--save", "", "--dir", str(tmp_path))
    with running("redis-server", *options), connected(door) as link:
        link.sendall(array(["COMMAND", "INFO", *names]))
        with link.makefile("rb") as stream:
            told = reply(stream)
    assert isinstance(told, list)
    theirs = [info[3:6] if isinstance(info, list) else None for info in told]
    ours = [row["keys"] for row in asked]
    assert dict(zip(names, theirs, strict=True)) == dict(zip(names, ours, strict=True))
