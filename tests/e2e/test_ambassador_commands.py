"""`alongside ambassador` and `nutcracker` as their users call them: one file, real memcacheds."""

from __future__ import annotations

import json
import re
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import ports
from tests.e2e import fleets, secure
from tests.e2e.ambassadors import (
    DEADLINE_S,
    World,
    ask,
    held,
    is_open,
    put,
    wait_for,
)

from alongside.contract.catalogue import pooling

pytestmark = [fleets.NEEDS_DATA_PLANE, pytest.mark.needs("memcached")]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.end()


KEYS = [f"{number}:key" for number in range(60)]


def test_a_files_servers_are_one(world: World) -> None:
    for _ in range(3):
        world.memcached()
    world.write()
    stats = ports.free_port()
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
    port = ports.free_port()
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
