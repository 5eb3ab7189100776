"""`alongside ambassador` and `nutcracker` as their users call them: one file, real memcacheds."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.contract import loopback
from tests.e2e import fleets, secure

from alongside.contract.catalogue import pooling

pytestmark = [fleets.NEEDS_DATA_PLANE, pytest.mark.needs("memcached")]

DEADLINE_S = 30.0
SCRIPTS = Path(sys.executable).parent


def wait_for(condition: Callable[[], bool], what: str) -> None:
    until_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until_s, f"waited {DEADLINE_S} s for {what}"
        time.sleep(0.01)


class World:
    """A folder, memcacheds, a file of twemproxy's, and what was started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "conf" / "n.yml"
        self.config.parent.mkdir()
        self.port = loopback.free_port()
        self.servers: list[int] = []
        self._started: list[subprocess.Popen[bytes]] = []

    def memcached(self) -> int:
        """Start a memcached; return its port."""
        port = loopback.free_port()
        words = ["memcached", "-u", "root", "-l", "127.0.0.1", "-p", str(port), "-m", "16"]
        self._started.append(subprocess.Popen([*words, "-t", "1"]))
        wait_for(lambda: is_open(port), "memcached")
        self.servers.append(port)
        return port

    def write(self, *more: str, servers: int | None = None, text: str = "") -> None:
        """Put a file in the place of the one before, at once."""
        ports = self.servers[:servers]
        lines = [f"   - 127.0.0.1:{port}:1 m{number}" for number, port in enumerate(ports)]
        directives = [f"  {line}" for line in (f"listen: 127.0.0.1:{self.port}", *more)]
        beside = self.config.with_suffix(".new")
        whole = "\n".join(["a:", "  timeout: 2000", *directives, "  servers:", *lines, ""])
        beside.write_text(text or whole)
        beside.rename(self.config)

    def start(self, *words: str, name: str = "log") -> Running:
        """Start a command, its stderr into a file."""
        log = self.folder / name
        with log.open("wb") as stream:
            process = subprocess.Popen(
                words, stderr=stream, stdout=subprocess.PIPE, env=self.variables(), cwd=self.folder
            )
        self._started.append(process)
        return Running(process, log)

    def ambassador(self, *words: str) -> Running:
        """Start the ambassador, and wait until it listens."""
        running = self.start(
            *(sys.executable, "-m", "alongside", "ambassador", "--config", str(self.config)), *words
        )
        wait_for(lambda: is_open(self.port) or running.process.poll() is not None, "it to listen")
        assert running.process.poll() is None, running.log.read_text()
        return running

    def variables(self) -> dict[str, str]:
        """Return the environment of commands."""
        return {**os.environ, "XDG_RUNTIME_DIR": str(self.folder / "run")}

    def end(self) -> None:
        """Kill what still runs."""
        for process in self._started:
            process.kill()
            process.communicate()


@dataclasses.dataclass
class Running:
    """A started command."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self, word: str) -> bool:
        """Return whether a word stands in its log."""
        return word in self.log.read_text()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.end()


def is_open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def ask(port: int, request: bytes, ends: bytes) -> bytes:
    """Return what is answered up to some bytes."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as connection:
        connection.sendall(request)
        received = b""
        while not received.endswith(ends):
            data = connection.recv(65_536)
            assert data, f"closed after {received!r}"
            received += data
    return received


def put(port: int, keys: list[str]) -> None:
    lines = "".join(f"set {key} 0 0 1\r\nx\r\n" for key in keys)
    assert ask(port, f"{lines}get nothing\r\n".encode(), b"END\r\n").startswith(b"STORED\r\n")


def held(port: int, keys: list[str]) -> set[str]:
    """Return which keys a server has, or all have together."""
    found = ask(port, f"get {' '.join(keys)}\r\n".encode(), b"END\r\n")
    return {line.split()[1].decode() for line in found.split(b"\r\n") if line.startswith(b"VALUE")}


KEYS = [f"{number}:key" for number in range(60)]


def test_a_files_servers_are_one(world: World) -> None:
    for _ in range(3):
        world.memcached()
    world.write()
    stats = loopback.free_port()
    world.ambassador("--stats-port", str(stats))
    put(world.port, KEYS)
    wait_for(lambda: held(world.port, KEYS) == set(KEYS), "all keys")
    parts = [held(port, KEYS) for port in world.servers]
    assert all(parts)
    assert sum(map(len, parts)) == len(KEYS)
    figures = json.loads(ask(stats, b"", b"\n"))
    assert set(figures["a"]) >= {"m0", "m1", "m2", "client_eof", "fragments"}
    assert figures["service"] == "nutcracker"


def test_another_server_in_the_file_is_used_and_a_wrong_file_changes_nothing(world: World) -> None:
    for _ in range(3):
        world.memcached()
    world.write(servers=2)
    running = world.ambassador()
    put(world.port, KEYS)
    last = world.servers[2]
    world.write(text="a:\n  listne: 1\n")
    wait_for(lambda: running.said("did you mean listen?"), "the mistake")
    assert running.said(f"{world.config}:2: a: ")
    put(world.port, KEYS)
    assert held(last, KEYS) == set()
    world.write()

    def is_used() -> bool:
        put(world.port, KEYS)
        return bool(held(last, KEYS))

    wait_for(is_used, "the third server")
    wait_for(lambda: held(world.port, KEYS) == set(KEYS), "all keys")


def test_the_admin_door_tells_of_pools_and_keys_what_is_promised(world: World) -> None:
    for _ in range(2):
        world.memcached()
    world.write()
    door = world.folder / "a.sock"
    world.ambassador("--admin", str(door))
    put(world.port, KEYS)
    for path, query in (("/snapshot", ""), ("/explain", "?pool=a&key=1:key")):
        [promised] = [one for one in pooling.ROUTES if one.path == path]
        answer = json.loads(knock(door, path + query))
        there = {re.sub(r"^document\..*", "document", leaf) for leaf in leaves(answer, "")}
        assert {leaf for leaf in there if leaf.startswith(("document", "tcp"))} <= {"document"}
        assert there <= {field.path for field in promised.fields}
        top = "pools[].top_keys"  # sampled: there may be none yet
        missing = {field.path for field in promised.fields} - there
        assert {leaf for leaf in missing if not leaf.startswith(top)} == set()
    explained = json.loads(knock(door, "/explain?pool=a&key=1:key"))
    at = world.servers[int(explained["server"]["name"].removeprefix("m"))]
    assert held(at, ["1:key"]) == {"1:key"}


def knock(door: Path, path: str) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(DEADLINE_S)
        connection.connect(str(door))
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while data := connection.recv(65_536):
            received += data
    return received.partition(b"\r\n\r\n")[2]


def leaves(value: object, path: str) -> Iterator[str]:
    """Yield the paths of all values."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, f"{path}[]")
    else:
        yield path


def test_a_client_stays_while_the_file_changes(world: World) -> None:
    for _ in range(2):
        world.memcached()
    world.write(servers=1)
    running = world.ambassador("--admin", str(world.folder / "a.sock"))
    with socket.create_connection(("127.0.0.1", world.port), DEADLINE_S) as connection:
        stream = connection.makefile("rwb")

        def still() -> bool:
            for key in KEYS:
                stream.write(f"set {key} 0 0 1\r\nx\r\n".encode())
            stream.flush()
            return {stream.readline() for _ in KEYS} == {b"STORED\r\n"}

        assert still()
        world.write()
        wait_for(lambda: still() and bool(held(world.servers[1], KEYS)), "the second server")
    running.process.terminate()
    assert running.process.wait(DEADLINE_S) == 0


def test_a_file_of_a_config_map_is_followed(world: World) -> None:
    for _ in range(2):
        world.memcached()
    world.write(servers=1)
    data = world.folder / "volume"
    for number, count in enumerate((1, 2)):
        world.write(servers=count)
        (data / f"..{number}").mkdir(parents=True)
        (data / f"..{number}" / "n.yml").write_bytes(world.config.read_bytes())
    (data / "..data").symlink_to("..0")
    (data / "n.yml").symlink_to("..data/n.yml")
    world.config = data / "n.yml"
    world.ambassador()
    put(world.port, KEYS)
    assert held(world.servers[1], KEYS) == set()
    (data / "..new").symlink_to("..1")
    (data / "..new").rename(data / "..data")

    def is_used() -> bool:
        put(world.port, KEYS)
        return bool(held(world.servers[1], KEYS))

    wait_for(is_used, "the second server")


def test_clients_come_by_tls_and_by_a_socket(world: World) -> None:
    world.memcached()
    authority = secure.Authority(world.folder)
    authority.pair("localhost").put(world.folder / "tls")
    local = world.folder / "a.sock"
    world.write("hash: md5")
    plain = world.config.read_text().replace("a:", "b:", 1)
    plain = plain.replace(f"127.0.0.1:{world.port}", f"{local} 0600", 1)
    world.write(text=world.config.read_text() + plain)
    world.ambassador("--certificate-path", str(world.folder / "tls"))
    context = ssl.create_default_context(cafile=str(authority.path))
    with (
        socket.create_connection(("127.0.0.1", world.port), DEADLINE_S) as connection,
        context.wrap_socket(connection, server_hostname="localhost") as encrypted,
    ):
        encrypted.sendall(b"set a 0 0 1\r\nx\r\n")
        assert encrypted.recv(100) == b"STORED\r\n"
    assert local.stat().st_mode & 0o777 == 0o600
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(DEADLINE_S)
        client.connect(str(local))
        client.sendall(b"get a\r\n")
        assert client.makefile("rb").readline() == b"VALUE a 0 1\r\n"


def test_a_wrong_file_starts_nothing(world: World) -> None:
    world.write(text="a:\n  listen: 127.0.0.1:1\n  hash: md6\n")
    running = world.start(sys.executable, "-m", "alongside", "ambassador", "--config", "conf/n.yml")
    assert running.process.wait(DEADLINE_S) == 2
    assert running.log.read_text().splitlines() == [
        'alongside ambassador: conf/n.yml:3: a.hash: "md6" is no hash; did you mean md5?',
        "alongside ambassador: conf/n.yml:1: a.servers: is missing; write servers: and a line "
        "for each, such as - 127.0.0.1:11212:1",
        "alongside ambassador: see alongside ambassador --help",
    ]


@pytest.mark.needs("redis-server")
def test_a_password_of_the_file_is_both_sides_and_may_change(world: World) -> None:
    port = loopback.free_port()
    words = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    world.start(*words, "--requirepass", "old", name="redis.log")
    wait_for(lambda: is_open(port), "redis-server")
    world.servers.append(port)
    world.write("redis: true", "redis_auth: old")
    world.ambassador()
    refused = ask(world.port, b"GET a\r\n", b"\r\n")
    assert refused.startswith(b"-")
    assert ask(world.port, b"AUTH old\r\nSET a 1\r\n", b"+OK\r\n+OK\r\n")
    assert ask(port, b"AUTH old\r\nCONFIG SET requirepass new\r\n", b"+OK\r\n+OK\r\n")
    world.write("redis: true", "redis_auth: new")

    def is_new() -> bool:
        with socket.create_connection(("127.0.0.1", world.port), DEADLINE_S) as connection:
            stream = connection.makefile("rwb")
            stream.write(b"AUTH new\r\nGET a\r\n")
            stream.flush()
            return stream.readline() == b"+OK\r\n" and stream.readline() == b"$1\r\n"

    wait_for(is_new, "the new password")
    [secret] = (world.folder / "run" / "alongside" / "ambassador").iterdir()
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == ("new\n", 0o600)


def test_nutcracker_goes_on_in_the_background_when_it_is_bound(world: World) -> None:
    world.memcached()
    world.write()
    pid, log = world.folder / "n.pid", world.folder / "n.log"
    stats = loopback.free_port()
    words = ["-c", "conf/n.yml", "-d", "-p", str(pid), "-o", str(log), "-v", "7", "-s", str(stats)]
    ran = subprocess.run(
        [SCRIPTS / "nutcracker", *words, "-a", "127.0.0.1", "-i", "100", "-m", "512"],
        cwd=world.folder,
        env=world.variables(),
        capture_output=True,
        timeout=DEADLINE_S,
        check=False,
    )
    try:
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
        put(world.port, ["a"])
        assert held(world.servers[0], ["a"]) == {"a"}
        assert json.loads(ask(stats, b"", b"\n"))["a"]["m0"]["requests"] > 0
    finally:
        wait_for(lambda: pid.exists() and pid.read_text().isdigit(), "the number")
        process = int(pid.read_text())
        for harmless in (signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1):
            os.kill(process, harmless)
        put(world.port, ["b"])
        os.kill(process, signal.SIGTERM)
    wait_for(lambda: '"ended"' in log.read_text(), "the end")
    wait_for(lambda: not is_open(world.port), "the port to be free")


def test_nutcracker_says_that_a_port_is_taken(world: World) -> None:
    world.servers.append(1)
    with socket.create_server(("127.0.0.1", world.port)):
        world.write()
        running = world.start(str(SCRIPTS / "nutcracker"), "-c", "conf/n.yml", "-d")
        assert running.process.wait(DEADLINE_S) == 1
    assert running.said(f"127.0.0.1:{world.port} is taken; choose another port")
