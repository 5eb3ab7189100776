"""A get of many keys is answered as by one memcached that has them all, byte for byte."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

import pytest
from tests.e2e import fleets, memcaches, proxied, wire

pytestmark = [fleets.NEEDS_DATA_PLANE, pytest.mark.needs("memcached")]

KEYS = [f"{number}:key" for number in range(3000)]
THERE = KEYS[::2]
CAS = re.compile(rb"(VALUE \S+ \d+ \d+) \d+\r\n")
LAST = b"VALUE last 0 4\r\nlast\r\nEND\r\n"
# More than one read brings.
LARGE_BYTES = 200_000


def value(key: str) -> bytes:
    number = int(key.partition(":")[0])
    return key.encode() * (LARGE_BYTES // len(key) if number % 500 == 0 else number % 9)


def filled(address: wire.Address) -> None:
    """Give a server, or many behind one address, every second key, and one that is asked last."""
    with memcaches.Memcache(address) as client:
        for key in THERE:
            client.send(b"set %s 0 0 %d\r\n%s\r\n" % (key.encode(), len(value(key)), value(key)))
        client.put("last", b"last")
        assert {client.line() for _ in THERE[1:]} | {"STORED"} == {"STORED"}
        assert client.line() == "STORED"


def answered(address: wire.Address, asked: bytes) -> bytes:
    """Return what answers some commands, however their bytes come."""
    with memcaches.Memcache(address) as client:
        for at in range(0, len(asked), 50_000):
            client.send(asked[at : at + 50_000])
        client.send(b"get last\r\n")
        return client.until(LAST)


@pytest.fixture(scope="module")
def one() -> Iterator[wire.Address]:
    """Run one memcached that has all keys."""
    with memcaches.memcached("-I", "32m", "-m", "256") as server:
        host, port = server.address.split(":")
        filled((host, int(port)))
        yield host, int(port)


def gets(keys: Sequence[str], counts: Sequence[int], verb: str = "get") -> bytes:
    """Ask for so many keys by chance, some of them more than once."""
    chance = random.Random(sum(counts))  # noqa: S311 - the same keys every time
    lines = [f"{verb} {' '.join(chance.choices(keys, k=count))}\r\n" for count in counts]
    return "set 1:key 0 0 0\r\n\r\ndelete 1:key\r\n".join(lines).encode()


@pytest.mark.parametrize("counts", [[2, 3] * 40, [100] * 30, [10_000], [1, 10_000, 7, 300]])
def test_ours_is_what_one_memcached_answers(one: wire.Address, counts: list[int]) -> None:
    for terms in ({}, {"is_strict": True}):
        with proxied.serving(proxied.OURS, "memcache", **terms) as ours:
            filled(ours)
            asked = gets(KEYS, counts)
            assert answered(ours, asked) == answered(one, asked)
            if not terms:
                assert answered(ours, gets(KEYS, counts, "gat 0")) == answered(one, asked)
                found, uniques = CAS.subn(rb"\1\r\n", answered(ours, gets(KEYS, counts, "gets")))
                assert uniques > 0
                assert found == answered(one, asked)


@pytest.mark.needs("nutcracker")
def test_twemproxys_is_the_same_where_it_has_all_keys(one: wire.Address) -> None:
    with proxied.serving(proxied.THEIRS, "memcache") as theirs:
        filled(theirs)
        asked = gets(THERE, [2, 3, 100, 500] * 5)
        assert answered(theirs, asked) == answered(one, asked)


@pytest.mark.needs("nutcracker")
def test_twemproxy_moves_values_up_where_keys_are_missing(one: wire.Address) -> None:
    # It takes the next value of a key's server, whatever key that is of: no client can rely on it.
    with proxied.serving(proxied.THEIRS, "memcache") as theirs:
        filled(theirs)
        asked = gets(KEYS, [100] * 5)
        assert sorted(answered(theirs, asked)) == sorted(answered(one, asked))
        assert answered(theirs, asked) != answered(one, asked)
