"""Real servers of memcache and Redis, pools of them, and clients that take no error for an answer.

In:    what a pool is to be; which servers are killed and started again.
Out:   processes on loopback that end with the test; documents of one pool, `main`; values.
Not:   the process in front of them (plane.py); any retry.
Next:  test_ambassador.py, test_ambassador_terms.py.
"""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self
from urllib.parse import quote

import pytest
from tests import ports
from tests.e2e import plane, steady, wire

NAMES = ("a", "b", "c")


def program(name: str) -> str:
    """Return where a program is; skip the test where it is nowhere."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"waits for {name}: apt-get install {name}")
    return found


class Server:
    """One server, at an address that stays when it is started again."""

    def __init__(self, command: Sequence[str], address: str) -> None:
        self.command = command
        self.address = address
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(self.command, stdin=quiet, stdout=quiet, stderr=quiet)
        try:
            wire.eventually(self._is_up, f"{self.command[0]} listens at {self.address}")
        except BaseException:
            process.kill()
            process.wait()
            raise
        return process

    def _is_up(self) -> bool:
        with contextlib.suppress(OSError):
            if self.address.startswith("unix:"):
                with socket.socket(socket.AF_UNIX) as local:
                    local.connect(self.address.removeprefix("unix:"))
                return True
            host, port = self.address.rsplit(":", 1)
            socket.create_connection((host, int(port))).close()
            return True
        return False

    def kill(self) -> None:
        """End it at once, by its id."""
        self.process.kill()
        self.process.wait()

    def start(self) -> None:
        """Start it again, empty."""
        self.process = self._start()

    def freeze(self) -> None:
        """Let it neither answer nor end."""
        self.process.send_signal(signal.SIGSTOP)
        # One thread takes the signal and stops the others, which answer until then.
        wire.eventually(self._is_frozen, "all of its threads have stopped")

    def _is_frozen(self) -> bool:
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/stat")
        return {task.read_text().rpartition(")")[2].split()[0] for task in tasks} == {"T"}

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def memcached(*more: str, path: Path | None = None) -> Server:
    """Start a memcached at a port, or at a path."""
    command = [program("memcached"), "-u", "root", "-U", "0", "-t", "1", "-m", "32", *more]
    if path is not None:
        return Server([*command, "-s", str(path)], f"unix:{path}")
    port = ports.free_port()
    return Server([*command, "-l", "127.0.0.1", "-p", str(port)], f"127.0.0.1:{port}")


def redis(*more: str) -> Server:
    """Start a redis-server without a file."""
    port = ports.free_port()
    plain = [program("redis-server"), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    return Server([*plain, "--port", str(port), *more], f"127.0.0.1:{port}")


def document(
    servers: Mapping[str, str],
    *,
    protocol: str = "memcache",
    generation: int = 1,
    tls: object = None,
    **pool: object,
) -> plane.Json:
    """Return a document of one listener `web` and one pool `main`, addresses of servers by name."""
    listed = [{"name": name, "address": address} for name, address in servers.items()]
    return {
        "schema": 1,
        "epoch": 0,
        "generation": generation,
        "limits": {"drain_timeout_ms": 5000},
        "listeners": [{"name": "web", "address": "127.0.0.1:0", "serves": "main", "tls": tls}],
        "pools": [{"name": "main", "protocol": protocol, "servers": listed, **pool}],
    }


@contextlib.contextmanager
def pooled(*, count: int = 3, **pool: object) -> Iterator[tuple[plane.Plane, dict[str, Server]]]:
    """Serve a pool of as many memcacheds; yield the process in front and the servers by name."""
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(memcached()) for name in NAMES[:count]}
        contents = document(places(servers))
        listed = contents["pools"]
        assert isinstance(listed, list)
        listed[0] |= pool
        yield stack.enter_context(plane.running(contents)), servers


def places(servers: Mapping[str, Server]) -> dict[str, str]:
    """Return addresses by name."""
    return {name: server.address for name, server in servers.items()}


def home(process: plane.Plane, key: str) -> str:
    """Return the name of the server to which a key belongs."""
    status, found = process.admin("GET", f"/explain?pool=main&key={quote(key)}")
    assert status == 200, found
    server = found["home"]
    assert isinstance(server, dict)
    return str(server["name"])


def homes(process: plane.Plane, keys: Sequence[str]) -> dict[str, list[str]]:
    """Return keys by the server to which they belong."""
    found: dict[str, list[str]] = {}
    for key in keys:
        found.setdefault(home(process, key), []).append(key)
    return found


class FailedError(Exception):
    """An answer that is an error."""


class Memcache(wire.Wire):
    """A client of memcache."""

    @classmethod
    def local(cls, path: str) -> Self:
        """Connect to a UNIX socket."""
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(path)
        client = cls.__new__(cls)
        client.socket, client.buffer = connected, bytearray()
        connected.settimeout(wire.TIMEOUT_S)
        return client

    def line(self) -> str:
        """Return the next line.

        Raises:
            FailedError: it says that something failed.
        """
        line = self.until(b"\r\n")[:-2].decode()
        if line.startswith(("ERROR", "CLIENT_ERROR", "SERVER_ERROR")):
            raise FailedError(line)
        return line

    def put(self, key: str, value: bytes) -> None:
        """Set a value."""
        self.send(b"set %s 0 0 %d\r\n%s\r\n" % (key.encode(), len(value), value))
        assert (line := self.line()) == "STORED", line

    def values(self) -> dict[str, bytes]:
        """Return the values of an answer."""
        found = {}
        while (line := self.line()) != "END":
            _, key, _, size = line.split(" ")
            found[key] = self.take(int(size) + 2)[:-2]
        return found

    def get(self, *keys: str) -> dict[str, bytes]:
        """Return the values of those keys that have one."""
        self.send(f"get {' '.join(keys)}\r\n".encode())
        return self.values()


class Redis(Memcache):
    """A client of Redis; what is no error is returned as bytes, numbers, lists and None."""

    def ask(self, *words: str | bytes) -> object:  # type: ignore[override]
        """Send a command; return its answer."""
        known = [word if isinstance(word, bytes) else word.encode() for word in words]
        parts = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in known)
        self.send(b"*%d\r\n%s" % (len(known), parts))
        return self.reply()

    def reply(self) -> object:
        """Return the next answer; an error inside a list as an exception."""
        kind, text = (line := self.until(b"\r\n")[:-2])[:1], line[1:].decode()
        match kind:
            case b"-":
                raise FailedError(text)
            case b"+":
                return text.encode()
            case b":":
                return int(text)
            case b"$":
                return None if text == "-1" else self.take(int(text) + 2)[:-2]
            case _:
                assert kind == b"*", line
        found: list[object] = []
        for _ in range(int(text)):
            try:
                found.append(self.reply())
            except FailedError as error:
                found.append(error)
        return found


class Load(steady.Crowd):
    """Clients that set and get all the time, one key and many, and check every value."""

    def __init__(self, address: wire.Address, keys: Sequence[str], workers: int = 4) -> None:
        super().__init__(*(functools.partial(self._run, at) for at in range(workers)))
        self.address = address
        self.keys = keys
        self.failed: list[tuple[str, str]] = []
        """Keys, and what went wrong."""
        self.lock = threading.Lock()

    def _fail(self, key: str, why: object) -> None:
        with self.lock:
            self.failed.append((key, repr(why)))

    def _run(self, at: int) -> None:
        while not self.is_over.is_set():
            try:
                with Memcache(self.address) as client:
                    self._ask(at, client)
            except (OSError, wire.CutError) as error:
                # A connection that ends is nobody's key's fault.
                self._fail("", error)

    def _ask(self, at: int, client: Memcache) -> None:
        """Ask for keys in turn, each by itself, and then for all that are there."""
        while not self.is_over.is_set():
            known = set()
            for key in self.keys:
                try:
                    client.put(key, key.encode())
                    known.add(key)
                    if (got := client.get(key).get(key)) not in (None, key.encode()):
                        self._fail(key, got)
                except FailedError as error:
                    self._fail(key, error)
                self.counts[at] += 1
            try:
                self._check_all(client.get(*self.keys), known)
            except FailedError as error:
                self._fail("", error)

    def _check_all(self, got: Mapping[str, bytes], known: set[str]) -> None:
        for key, value in got.items():
            if value != key.encode():
                self._fail(key, value)
        for key in known - got.keys():
            self._fail(key, "lost")


def write(path: Path, contents: object) -> None:
    """Replace a file by a rename."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(contents if isinstance(contents, str) else json.dumps(contents))
    beside.rename(path)
