"""Gets of many clients that go to real memcacheds in one line."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator

from tests.e2e import memcaches, plane, wire
from tests.e2e.memcaches import Memcache

# Keys that differ in their last letters alone lie beside one another on a ring.
KEYS = [hashlib.sha256(bytes([number])).hexdigest()[: 8 + number % 20] for number in range(200)]
# More than eight on the one thread that there is.
CLIENTS = 12


@contextlib.contextmanager
def many(process: plane.Plane) -> Iterator[list[Memcache]]:
    """So many clients, after whom values are there for all keys but each fifth."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Memcache(process.address)) for _ in range(CLIENTS)]
        for number, key in enumerate(KEYS):
            if number % 5:
                clients[0].put(key, value_of(key))
        yield clients


def value_of(key: str) -> bytes:
    return key.encode() * (1 + len(key) % 7)


def answer(key: str) -> bytes:
    """Return what one memcached says of a key."""
    if KEYS.index(key) % 5 == 0:
        return b"END\r\n"
    value = value_of(key)
    return b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (key.encode(), len(value), value)


def pipeline(at: int) -> list[str]:
    """Return what one of the clients asks for, each by itself, some of it several times."""
    return [KEYS[(at * 7 + step * step) % len(KEYS)] for step in range(300)]


def gets_counted(servers: dict[str, memcaches.Server]) -> int:
    """Return how many keys the servers were asked for."""
    count = 0
    for server in servers.values():
        host, _, port = server.address.partition(":")
        with Memcache((host, int(port))) as direct:
            direct.send(b"stats\r\n")
            told = direct.until(b"END\r\n").decode().split("\r\n")
        count += sum(int(line.split()[2]) for line in told if line.startswith("STAT cmd_get "))
    return count


def test_each_client_gets_its_own_and_servers_count_each_key() -> None:
    with memcaches.pooled() as (process, servers), many(process) as clients:
        before = gets_counted(servers)
        for at, client in enumerate(clients):
            client.send(b"".join(b"get %s\r\n" % key.encode() for key in pipeline(at)))
        for at, client in enumerate(clients):
            expected = b"".join(answer(key) for key in pipeline(at))
            assert client.take(len(expected)) == expected
        asked = CLIENTS * 300
        assert gets_counted(servers) - before == asked
        joined = process.metric("alongside_ambassador_joined", pool="main")
        assert asked / 4 < joined < asked
        reads = process.metric("alongside_ambassador_response_seconds_count")
        assert reads >= asked


def test_a_server_that_is_killed_among_joined_gets_fails_its_own_keys_alone() -> None:
    with memcaches.pooled(timeout_ms=2000) as (process, servers), many(process) as clients:
        lost = set(memcaches.homes(process, KEYS)["b"])
        servers["b"].freeze()
        for at, client in enumerate(clients):
            client.send(b"".join(b"get %s\r\n" % key.encode() for key in pipeline(at)))
        wire.eventually(
            lambda: process.metric("alongside_ambassador_unanswered_now", server="b") > 0,
            "it is asked for what it does not answer",
        )
        servers["b"].kill()
        failed = 0
        for at, client in enumerate(clients):
            for key in pipeline(at):
                told = client.until(b"\r\n")
                if told.startswith(b"SERVER_ERROR"):
                    assert key in lost
                    failed += 1
                    continue
                rest = answer(key)[len(told) :]
                assert told + client.take(len(rest)) == answer(key), key
        assert failed > 0
        assert process.metric("alongside_ambassador_joined", pool="main") > 0
