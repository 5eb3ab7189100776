"""Much at once: 10,000 clients, 16 MiB in one value, 10,000 keys in one command."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Iterator

import pytest
from tests.e2e import fleets, memcaches, plane, wire
from tests.e2e.memcaches import FailedError, Memcache, Redis

pytestmark = fleets.NEEDS_DATA_PLANE
MEMCACHE = pytest.mark.needs("memcached")
REDIS = pytest.mark.needs("redis-server")

AT_ONCE = 10_000
MANY_KEYS = [f"{number}:of-ten-thousand" for number in range(10_000)]
LARGE = 16 * 1024 * 1024
VALUE = b"v" * 1000
CLIENT_S = 60.0


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Let this process, and those that it starts, have so many descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = AT_ONCE + 2000
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), max(hard, wanted)))
    except (OSError, ValueError):
        pytest.skip(f"waits for {wanted} descriptors: ulimit -Hn {wanted}")
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, max(hard, wanted)))


@contextlib.contextmanager
def served(
    protocol: str = "memcache", limits: dict[str, int] | None = None
) -> Iterator[plane.Plane]:
    """Serve three servers that take large values."""
    with contextlib.ExitStack() as stack:
        servers = {
            name: stack.enter_context(
                memcaches.memcached("-I", "32m", "-m", "256")
                if protocol == "memcache"
                else memcaches.redis()
            )
            for name in memcaches.NAMES
        }
        contents = memcaches.document(
            memcaches.places(servers), protocol=protocol, limits=limits or {}
        )
        yield stack.enter_context(plane.running(contents))


def connect(address: wire.Address) -> socket.socket:
    """Return a connection without anything around it: there are many."""
    return socket.create_connection(address, CLIENT_S)


def answer_of(connected: socket.socket) -> bytes:
    """Return the answer to a `get`."""
    received = b""
    while not received.endswith(b"END\r\n"):
        piece = connected.recv(65_536)
        assert piece, f"ended after {received!r}"
        received += piece
    return received


@MEMCACHE
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("descriptors")
def test_ten_thousand_clients_at_once_are_answered_and_leave_no_memory_behind() -> None:
    with served() as process:
        with Memcache(process.address) as first:
            first.put("k", VALUE)
            answer = b"VALUE k 0 %d\r\n%s\r\nEND\r\n" % (len(VALUE), VALUE)
            for _ in range(2):
                with wire.many(process.address, 100) as few:
                    for one in few:
                        one.send(b"get k\r\n")
                        assert answer_of(one.socket) == answer
            begun, resident = process.own_bytes(), process.resident_bytes()
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(connect(process.address)) for _ in range(AT_ONCE)]
                wire.eventually(
                    lambda: process.metric("alongside_ambassador_open_clients") == AT_ONCE + 1,
                    "all are in at once",
                    deadline_s=CLIENT_S,
                )
                for client in clients:
                    client.sendall(b"get k\r\n")
                assert {answer_of(client) for client in clients} == {answer}
                # Nobody was turned away, nobody was let go.
                assert process.metric("alongside_ambassador_rejected_connections") == 0
                assert process.metric("alongside_ambassador_open_clients") == AT_ONCE + 1
                held = process.own_bytes()
            wire.eventually(
                lambda: process.metric("alongside_ambassador_open_clients") == 1,
                "all are gone",
                deadline_s=CLIENT_S,
            )
            assert first.get("k") == {"k": VALUE}
            left, resident_after = process.own_bytes(), process.resident_bytes()
        figures = f"{begun} bytes before, {held} with all, {left} after"
        assert (held - begun) / AT_ONCE <= 2048, figures
        assert resident_after < 2 * resident, figures
        # The allocator keeps a part for the next ones; places of those that are gone are none.
        assert left - begun < 0.8 * (held - begun), figures


@MEMCACHE
def test_a_value_of_16_mib_goes_both_ways_and_what_the_server_refuses_ends_nothing() -> None:
    with served() as process, Memcache(process.address, timeout_s=CLIENT_S) as client:
        with Memcache(process.address) as other:
            for number in range(3):
                large = bytes([number]) * LARGE
                client.put("large", large)
                assert client.get("large", "absent") == {"large": large}
                other.put("small", b"x")
                assert other.get("small") == {"small": b"x"}
        with pytest.raises(FailedError, match="SERVER_ERROR object too large for cache"):
            client.put("large", b"x" * (2 * LARGE))
        client.put("small", b"y")
        assert client.get("small") == {"small": b"y"}
        assert process.metric("alongside_ambassador_server_errors") == 0


@MEMCACHE
def test_a_value_beyond_our_own_limit_reaches_no_server_and_the_client_stays() -> None:
    with (
        served(limits={"value_bytes_max": LARGE - 1}) as process,
        Memcache(process.address, timeout_s=CLIENT_S) as client,
    ):
        client.put("kept", b"x" * (LARGE - 1))
        sent = process.metric("alongside_ambassador_request_bytes")
        with pytest.raises(FailedError, match="SERVER_ERROR object too large for cache"):
            client.put("refused", b"x" * LARGE)
        # Its block is passed over, whatever is in it.
        block = b"x\r\n" * (LARGE // 3) + b"x"
        client.send(b"set refused 0 0 %d noreply\r\n%s\r\n" % (LARGE, block))
        assert process.metric("alongside_ambassador_request_bytes") - sent < LARGE
        assert client.get("refused") == {}
        assert client.get("kept").keys() == {"kept"}


@REDIS
def test_a_value_of_16_mib_goes_both_ways_by_redis() -> None:
    with served("redis") as process, Redis(process.address, timeout_s=CLIENT_S) as client:
        large = b"y" * LARGE
        assert client.ask("SET", "large", large) == b"OK"
        assert client.ask("GET", "large") == large
        assert client.ask("MSET", "large", large, "small", "x") == b"OK"
        assert client.ask("MGET", "small", "large", "absent") == [b"x", large, None]


@MEMCACHE
def test_ten_thousand_keys_in_one_command() -> None:
    with served() as process, Memcache(process.address, timeout_s=CLIENT_S) as client:
        client.send(b"".join(b"set %s 0 0 1 noreply\r\nx\r\n" % key.encode() for key in MANY_KEYS))
        client.put("last", b"x")
        for _ in range(3):
            assert client.get(*MANY_KEYS) == dict.fromkeys(MANY_KEYS, b"x")
        assert process.metric("alongside_ambassador_keys_lost") == 0


@REDIS
def test_ten_thousand_keys_in_one_command_of_redis() -> None:
    with served("redis") as process, Redis(process.address, timeout_s=CLIENT_S) as client:
        pairs = [word for key in MANY_KEYS for word in (key, key)]
        assert client.ask("MSET", *pairs) == b"OK"
        assert client.ask("MGET", *MANY_KEYS) == [key.encode() for key in MANY_KEYS]
        assert client.ask("EXISTS", *MANY_KEYS) == len(MANY_KEYS)
        assert client.ask("DEL", *MANY_KEYS) == len(MANY_KEYS)


@MEMCACHE
def test_more_keys_than_the_limit_are_refused_and_the_client_stays() -> None:
    with served(limits={"keys_max": 1000}) as process, Memcache(process.address) as client:
        client.put(MANY_KEYS[0], b"x")
        assert client.get(*MANY_KEYS[:1000]) == {MANY_KEYS[0]: b"x"}
        with pytest.raises(FailedError, match="CLIENT_ERROR"):
            client.get(*MANY_KEYS[:1001])
        assert client.get(MANY_KEYS[0]) == {MANY_KEYS[0]: b"x"}
