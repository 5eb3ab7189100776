"""Sharded caches of memcache and Redis: the example by its README, kills, changes, restarts."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator

import pytest
from tests.e2e import fleets, pooled

pytestmark = [
    fleets.NEEDS_DATA_PLANE,
    pytest.mark.needs("memcached"),
    pytest.mark.timeout(240),
]

KEYS = [f"key-{at}" for at in range(400)]


@pytest.fixture
def pool() -> Iterator[pooled.Pool]:
    with pooled.project() as made:
        yield made


def test_keys_are_where_twemproxy_would_put_them(pool: pooled.Pool) -> None:
    pool.up(shards=3)
    homes = pooled.homes(KEYS, 3)
    with pool.client() as client:
        assert {client.set(key, key) for key in KEYS} == {b"STORED"}
        assert client.get(*KEYS) == {key: key for key in KEYS}
    for at in range(3):
        with pool.client(f"sessions-{at}") as server:
            assert set(server.get(*KEYS)) == {
                key for key, home in homes.items() if home == f"sessions-{at}"
            }
    code, out, _ = pool.fleet.run("explain", "sessions", KEYS[0], "--json")
    answer = json.loads(out)
    assert (code, answer["server"], answer["standing"]) == (0, homes[KEYS[0]], "good")
    assert (answer["key"], answer["hashed"], answer["router"]) == (
        *(KEYS[0], KEYS[0]),
        "sessions-router-0",
    )
    code, _, err = pool.fleet.run("purge", "sessions", "http://x/")
    assert (code, "is of memcache, which has no URLs to purge" in err) == (2, True)
    code, _, err = pool.fleet.run("explain", "sessions", "k", "--ip", "127.0.0.1")
    assert (code, "leave --header and --ip out" in err) == (2, True)


def test_a_killed_server_costs_its_own_keys_and_is_used_again_when_it_is_back(
    pool: pooled.Pool,
) -> None:
    pool.up(shards=3)
    homes = pooled.homes(KEYS, 3)
    with pool.client() as client, pooled.Load(pool.address, KEYS, is_kept=True) as load:
        fleets.until("load", load.more(50))
        assert load.failed == []
        before = pool.fleet.processes()["sessions-1"]
        os.kill(int(str(before["pid"])), signal.SIGKILL)
        fleets.until("it is noticed", lambda: bool(load.failed))
        assert client.get(*KEYS).keys() <= set(KEYS)  # whole, whoever is away
        fleets.until(
            "it is ready again",
            lambda: (
                (now := pool.fleet.processes()["sessions-1"])["state"] == "ready"
                and now["restarts"] == 1
            ),
        )
        fleets.until("it is used again", lambda: _takes(client, homes))
        told = len(load.failed)
        fleets.until("load", load.more(200))
        assert load.failed[told:] == []
    assert {homes[key] for key, _ in load.failed} == {"sessions-1"}
    assert {why for _, why in load.failed if not why.startswith(("SERVER_ERROR", "{}"))} == set()


def _takes(client: pooled.Client, homes: dict[str, str]) -> bool:
    key = next(key for key, home in homes.items() if home == "sessions-1")
    return client.set(key, "1") == b"STORED"


def test_a_fourth_server_costs_no_command_and_gets_its_keys(pool: pooled.Pool) -> None:
    pool.up(shards=3, routers=2)
    with pooled.Load(pool.address, KEYS, is_kept=True) as load:
        fleets.until("load", load.more(20))
        pids = pool.fleet.pids()
        pool.up(shards=4, routers=2)
        fleets.until("load", load.more(20))
        now = pool.fleet.pids()
    # A key that moves between a write and its reading is a miss, and no error.
    assert [why for _, why in load.failed if not why.startswith("{}")] == []
    assert {name: now[name] for name in pids} == pids
    homes = pooled.homes(KEYS, 4)
    with pool.client() as client, pool.client("sessions-3") as server:
        assert {client.set(key, "new") for key in KEYS} == {b"STORED"}
        assert set(server.get(*KEYS)) == {k for k, home in homes.items() if home == "sessions-3"}


def test_a_killed_router_leaves_new_clients_to_the_others(pool: pooled.Pool) -> None:
    pool.up(shards=2, routers=3)
    pids = pool.fleet.pids()
    os.kill(pids["sessions-router-1"], signal.SIGKILL)
    for key in KEYS[:50]:
        with pool.client() as client:
            assert client.set(key, key) == b"STORED"
    fleets.until(
        "it is started again",
        lambda: pool.fleet.processes()["sessions-router-1"]["restarts"] == 1,
    )


def test_routers_are_restarted_with_nobody_turned_away(pool: pooled.Pool) -> None:
    pool.up(shards=2, routers=2)
    before = pool.fleet.pids()
    with pooled.Load(pool.address, KEYS, is_kept=False) as load:
        fleets.until("load", load.more(20))
        code, out, err = pool.fleet.run("restart", "sessions-router-0", "sessions-router-1")
        assert code == 0, out + err
        fleets.until("load", load.more(20))
    after = pool.fleet.pids()
    assert load.failed == []
    assert {name for name in before if before[name] != after[name]} == {
        "sessions-router-0",
        "sessions-router-1",
    }


def test_servers_get_another_memory_one_after_the_other(pool: pooled.Pool) -> None:
    pool.up(shards=2)
    before = pool.fleet.pids()
    pool.up(shards=2, memory="16Mi")
    after = pool.fleet.pids()
    assert {name for name in before if before[name] != after[name]} == {"sessions-0", "sessions-1"}
    with pool.client() as client, pool.client("sessions-0") as server:
        assert client.set("a", "b") == b"STORED"
        server.send(b"stats settings\r\n")
        while "maxbytes" not in (said := server.line()):
            pass
        assert said == "STAT maxbytes 16777216"


def test_all_of_it_is_restarted_by_name(pool: pooled.Pool) -> None:
    pool.up(shards=2)
    before = pool.fleet.pids()
    with pool.client() as client:
        assert client.set("a", "b") == b"STORED"
    code, out, err = pool.fleet.run("restart", "sessions")
    assert code == 0, out + err
    after = pool.fleet.pids()
    assert before.keys() == after.keys()
    assert [name for name in before if before[name] == after[name]] == []
    with pool.client() as client:
        assert client.get("a") == {}  # a server that begins anew holds nothing
        assert client.set("a", "c") == b"STORED"


def test_a_server_that_hangs_is_ejected_as_the_file_says_and_comes_back(
    pool: pooled.Pool,
) -> None:
    pool.up(shards=3, timeout="200ms", eject="{failures: 1, minPercent: 50}")
    homes = pooled.homes(KEYS, 3)
    key = next(key for key, home in homes.items() if home == "sessions-1")
    pid = pool.fleet.pids()["sessions-1"]
    with pool.client() as client:
        os.kill(pid, signal.SIGSTOP)
        try:
            fleets.until("another one has its keys", lambda: client.set(key, "x") == b"STORED")
            fleets.until("it is told", lambda: _left(pool) == {"sessions-1": "ejected"})
            _, out, _ = pool.fleet.run("explain", "sessions", key, "--json")
            answer = json.loads(out)
            assert (answer["standing"], answer["server"] in homes.values()) == ("ejected", True)
            assert "which is ejected, so that" in answer["reason"]
        finally:
            os.kill(pid, signal.SIGCONT)
        fleets.until("it is used again", lambda: _left(pool) == {})
        assert client.set(key, "y") == b"STORED"
    with pool.client("sessions-1") as server:
        assert server.get(key) == {key: "y"}


def _left(pool: pooled.Pool) -> dict[str, str]:
    servers = pool.status()["servers"]
    assert isinstance(servers, list)
    return {one["name"]: why for one in servers for why in one["left"].values()}


def test_a_missing_program_is_named_before_anything_starts(pool: pooled.Pool) -> None:
    path = pool.write(shards=2)
    fleet = fleets.Fleet(pool.fleet.base, pool.fleet.port, (("PATH", "/nowhere"),))
    code, out, err = fleet.run("up", str(path), "--detach")
    assert (code, out) == (2, "")
    assert (
        f'{path}:5: ShardedCache/sessions: spec.protocol: "memcached" is not on the PATH of this '
        "machine; apt-get install memcached" in err
    )
    assert fleet.left() == []


@pytest.mark.needs("redis-server")
def test_a_redis_is_spread_likewise(pool: pooled.Pool) -> None:
    pool.up(protocol="redis", shards=3, access="ambassador")
    host, _, port = pool.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        stream = connection.makefile("rwb")
        stream.write(b"SET a 1\r\nSET b 2\r\nMGET a b c\r\nPING\r\n")
        stream.flush()
        said = [stream.readline() for _ in range(9)]
        assert b"".join(said) == (b"+OK\r\n+OK\r\n*3\r\n$1\r\n1\r\n$1\r\n2\r\n$-1\r\n+PONG\r\n")
    assert pool.status()["access"] == "ambassador"
    code, out, _ = pool.fleet.run("logs", "sessions-0")
    assert (code, "ready to accept connections" in out.lower()) == (0, True)
