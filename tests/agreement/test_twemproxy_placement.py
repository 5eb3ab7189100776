"""Our placement against the live twemproxy: no difference in 30,000 keys of each hash."""

from __future__ import annotations

import contextlib
import platform
import random
import shutil
import string
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.agreement import backends, nutcracker

from alongside import native

pytestmark = pytest.mark.needs("nutcracker")

SEED = 20260
KEYS = 30_000
HASHES = [
    *("one_at_a_time", "md5", "crc16", "crc32", "crc32a", "hsieh", "murmur", "jenkins"),
    *("fnv1_64", "fnv1a_64", "fnv1_32", "fnv1a_32"),
]
# twemproxy reads bytes as its compiler reads a `char`.
SIGNED = platform.machine() not in {"aarch64", "arm64"}
# Named and nameless ones, in an order that is not that of the names; the last fake server has a
# path for an address.
BACKENDS = 26
WEIGHTED = [
    nutcracker.Server(3, weight=2, name="memcache-10"),
    nutcracker.Server(0, weight=1),
    nutcracker.Server(BACKENDS - 1, weight=3),
    nutcracker.Server(1, weight=5, name="b"),
    nutcracker.Server(2, weight=1, name="a"),
    nutcracker.Server(4, weight=7, name="memcache-9"),
]
# As many as have 156 points each, not 160.
ODD = [nutcracker.Server(index, name=f"cache-{index}") for index in range(25)]
TAGS = [None, "{}", "$$"]
# Everything that a key may hold but spaces and what ends a line; tags are more frequent.
LETTERS = (string.ascii_letters + string.digits + string.punctuation + "{}$" * 4).encode() + bytes(
    range(0x80, 0x100)
)


@contextlib.contextmanager
def running(pools: Sequence[nutcracker.Pool]) -> Iterator[nutcracker.Nutcracker]:
    """Run twemproxy and fake servers in a folder whose path is short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="nut-"))
    try:
        with (
            backends.running(BACKENDS, folder) as servers,
            nutcracker.running(folder, servers, pools) as live,
        ):
            yield live
    finally:
        shutil.rmtree(folder)


def random_keys(count: int) -> list[bytes]:
    """Return different keys of 1 to 250 bytes, most of them short, the same in every run."""
    dice = random.Random(SEED)  # noqa: S311 - a seeded trace
    keys: set[bytes] = set()
    while len(keys) < count:
        length = dice.randint(1, 250 if dice.random() < 0.02 else 32)
        keys.add(bytes(dice.choices(LETTERS, k=length)))
    return sorted(keys)


def placement(pool: nutcracker.Pool, live: nutcracker.Nutcracker) -> native.TwemproxyPlacement:
    """Return our placement of the same pool."""
    addresses = live.servers.addresses
    servers = [(server.known_as(addresses), server.weight) for server in pool.servers]
    return native.TwemproxyPlacement(servers, pool.distribution, pool.hash, pool.tag, SIGNED)


def differing(keys: Sequence[bytes], ours: Sequence[int], theirs: Sequence[int]) -> list[bytes]:
    """Return the keys that two equally long lists place differently."""
    return [key for key, our, their in zip(keys, ours, theirs, strict=True) if our != their]


def pools_of_every_kind() -> list[nutcracker.Pool]:
    """Return a weighted pool for each hash and distribution, with every kind of tag in turn."""
    pairs = [(hash_, distribution) for hash_ in HASHES for distribution in ("ketama", "modula")]
    return [
        nutcracker.Pool(f"{hash_}-{distribution}", hash_, distribution, WEIGHTED, TAGS[number % 3])
        for number, (hash_, distribution) in enumerate(pairs)
    ]


def test_no_key_goes_elsewhere_than_with_twemproxy() -> None:
    keys = random_keys(KEYS)
    pools = pools_of_every_kind()
    with running(pools) as live:
        for pool in pools:
            theirs = live.chosen(pool, keys)
            ours = placement(pool, live).servers(keys)
            assert differing(keys, ours, theirs) == [], pool.name
            is_lopsided = (pool.hash, pool.distribution) == ("crc32", "ketama")
            assert len(set(theirs)) == (1 if is_lopsided else len(WEIGHTED)), pool.name


def test_odd_numbers_of_equal_servers_are_placed_as_rounded_by_twemproxy() -> None:
    keys = random_keys(KEYS)
    pools = [nutcracker.Pool(hash_, hash_, "ketama", ODD) for hash_ in ("fnv1a_64", "md5")]
    with running(pools) as live:
        for pool in pools:
            ours = placement(pool, live)
            assert ours.points() == [156] * 25
            assert differing(keys, ours.servers(keys), live.chosen(pool, keys)) == []
