"""Many memcacheds as one: values, failures of servers, documents that change, many clients."""

from __future__ import annotations

import contextlib
import hashlib
import socket

import pytest
from tests.e2e import memcaches, plane, wire
from tests.e2e.memcaches import Memcache

# Keys that differ in their last letters alone lie beside one another on a ring.
KEYS = [hashlib.sha256(bytes([number])).hexdigest()[:12] for number in range(60)]
EJECTING = {"failures": 1}
COME_AND_GO = 10_000


def test_values_come_back_one_by_one_and_many_at_a_time() -> None:
    with memcaches.pooled() as (process, servers), Memcache(process.address) as client:
        for key in KEYS:
            client.put(key, key.encode() * 50)
            assert client.get(key) == {key: key.encode() * 50}
        assert client.get(*KEYS, "nowhere") == {key: key.encode() * 50 for key in KEYS}
        homes = memcaches.homes(process, KEYS)
        assert homes.keys() == servers.keys()
        for name, keys in homes.items():
            host, port = servers[name].address.split(":")
            with Memcache((host, int(port))) as direct:
                assert direct.get(*KEYS).keys() == set(keys)


def test_a_pipeline_is_answered_in_order_however_its_bytes_are_split() -> None:
    asked = b"".join(
        b"set %s 0 0 5\r\nab\r\nc\r\nget %s\r\nget %s nowhere %s\r\n" % (key, key, key, key)
        for key in (name.encode() for name in KEYS[:12])
    )
    with memcaches.pooled() as (process, _):
        answers = set()
        for size in (len(asked), 1, 7, 13):
            with Memcache(process.address) as client:
                for at in range(0, len(asked), size):
                    client.send(asked[at : at + size])
                client.socket.shutdown(socket.SHUT_WR)
                answers.add(client.rest())
        assert len(answers) == 1
        whole = answers.pop()
        assert whole.count(b"STORED\r\n") == 12
        for key in KEYS[:12]:
            value = b"VALUE %s 0 5\r\nab\r\nc\r\n" % key.encode()
            # Who asks for a key twice in one command gets it twice, as memcached does.
            assert b"STORED\r\n" + value + b"END\r\n" + value * 2 + b"END\r\n" in whole


def test_a_server_that_is_killed_under_load_fails_its_own_keys_alone() -> None:
    with memcaches.pooled(retry_ms=200, timeout_ms=2000) as (process, servers):
        lost = set(memcaches.homes(process, KEYS)["b"])
        with memcaches.Load(process.address, KEYS) as load:
            wire.eventually(load.more(200), "there is load")
            servers["b"].kill()
            wire.eventually(load.more(400), "there is load without a server")
            with Memcache(process.address) as client:
                assert client.get(*KEYS).keys() == set(KEYS) - lost
            servers["b"].start()
            with Memcache(process.address) as client:

                def is_back() -> bool:
                    with contextlib.suppress(memcaches.FailedError):
                        client.put(next(iter(lost)), b"back")
                        return True
                    return False

                wire.eventually(is_back, "the server is used again")
        assert {key for key, _ in load.failed} <= lost, load.failed[:5]
        assert {why for _, why in load.failed if "SERVER_ERROR" not in why and why != "'lost'"} <= {
            "b'back'"
        }
        assert process.metric("alongside_ambassador_keys_lost", pool="main") > 0


def test_a_server_comes_back_without_an_error_for_anybody() -> None:
    with memcaches.pooled(ejection=EJECTING, retry_ms=200, timeout_ms=2000) as (process, servers):
        load = memcaches.Load(process.address, KEYS, workers=2)
        servers["b"].kill()
        with Memcache(process.address) as client:

            def is_ejected() -> bool:
                with contextlib.suppress(memcaches.FailedError):
                    for key in KEYS:
                        client.put(key, key.encode())
                    return True
                return False

            wire.eventually(is_ejected, "the others have its keys")
        left = {"pool": "main", "server": "b", "standing": "ejected"}
        process.told("server_left")
        assert process.metric("alongside_ambassador_server_left", **left) == 1
        with load:
            wire.eventually(load.more(100), "there is load")
            probes = process.metric("alongside_ambassador_probes_failed", server="b")
            wire.eventually(
                lambda: process.metric("alongside_ambassador_probes_failed", server="b") > probes,
                "it is looked at while it is away",
            )
            servers["b"].start()
            process.told("server_back")
            wire.eventually(load.more(100), "there is load")
        # What was written to another server while it was away is not there; nothing is an error.
        assert [why for _, why in load.failed if why != "'lost'"] == []
        assert process.metric("alongside_ambassador_server_left", **left) == 0


def test_a_fourth_server_joins_under_load_without_a_failed_request() -> None:
    with memcaches.pooled() as (process, servers), memcaches.memcached() as fourth:
        before = memcaches.homes(process, KEYS)
        with memcaches.Load(process.address, KEYS) as load:
            wire.eventually(load.more(200), "there is load")
            four = {**memcaches.places(servers), "d": fourth.address}
            changed = memcaches.document(four, generation=2)
            changed["listeners"] = [
                {"name": "web", "address": "127.0.0.1:0", "serves": "main", "tls": None}
            ]
            process.write(changed)
            wire.eventually(
                lambda: process.admin("GET", "/snapshot")[1]["generation"] == 2, "it is applied"
            )
            wire.eventually(load.more(200), "there is load")
        # A value that was set before its key moved is asked for at the new server: a miss.
        assert [why for _, why in load.failed if why != "'lost'"] == []
        after = memcaches.homes(process, KEYS)
        assert after["d"]
        for name in servers:
            assert set(after[name]) <= set(before[name])


def open_clients(process: plane.Plane) -> float:
    """Return how many clients are in now."""
    return process.metric("alongside_ambassador_open_clients")


def test_clients_that_come_and_go_leave_no_memory_behind() -> None:
    with memcaches.pooled() as (process, _):
        begun = 0
        for number in range(COME_AND_GO):
            with Memcache(process.address) as client:
                client.put("k", b"v" * 100)
                assert client.get("k", *KEYS) == {"k": b"v" * 100}
            if number == 100:
                begun = process.own_bytes()
        wire.eventually(lambda: open_clients(process) == 0, "all are gone")
        assert process.own_bytes() < 2 * begun
        with wire.many(process.address, 1000):
            wire.eventually(lambda: open_clients(process) == 1000, "all are in")
        wire.eventually(lambda: open_clients(process) == 0, "all are gone")
        assert process.own_bytes() < 2 * begun


def test_a_process_that_ends_answers_what_was_asked() -> None:
    with memcaches.pooled() as (process, servers), Memcache(process.address) as client:
        client.put("k", b"v")
        holder = servers[memcaches.home(process, "k")]
        holder.freeze()
        client.send(b"get k\r\n")
        asked = {"pool": "main"}
        wire.eventually(lambda: process.metric("alongside_ambassador_waiting", **asked), "it waits")
        process.terminate()
        process.told("draining")
        holder.thaw()
        assert client.values() == {"k": b"v"}
        assert client.is_over()
        assert process.end() == 0


@pytest.mark.parametrize("limit", ["connections_max", "connections_per_address_max", "clients_max"])
def test_a_client_that_finds_no_room_is_turned_away_and_counted(limit: str) -> None:
    with memcaches.memcached() as server:
        if limit == "clients_max":
            contents = memcaches.document({"a": server.address}, limits={limit: 2})
        else:
            contents = memcaches.document({"a": server.address})
            contents["limits"] = {"connections_max": 1000, limit: 2}
        with plane.running(contents) as process:
            clients = [Memcache(process.address) for _ in range(2)]
            for client in clients:
                client.put("k", b"v")
            address = process.address
            with contextlib.suppress(ConnectionError), Memcache(address) as third:
                assert third.is_over()
            counted = process.metric("alongside_ambassador_rejected_connections", limit=limit)
            assert counted == 1
            for client in clients:
                assert client.get("k") == {"k": b"v"}
                client.close()
