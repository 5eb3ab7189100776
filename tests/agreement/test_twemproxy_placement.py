"""Our placement against the live twemproxy: no difference in 30,000 keys of each hash."""

from __future__ import annotations

import contextlib
import platform
import random
import shutil
import string
import tempfile
import time
from collections import Counter
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


@pytest.mark.parametrize("distribution", ["ketama", "modula"])
def test_keys_of_ejected_servers_go_where_twemproxy_sends_them(distribution: str) -> None:
    keys = random_keys(KEYS)
    pool = nutcracker.Pool("ejects", "fnv1a_64", distribution, WEIGHTED, "{}", ejects=True)
    is_live = [True] * len(WEIGHTED)
    with running([pool]) as live:
        whole = placement(pool, live)
        before = whole.servers(keys)
        for gone in (4, 1):
            eject(live, pool, gone, keys[before.index(gone)])
            is_live[gone] = False
            left = whole.among(is_live)
            assert left is not None
            ours = left.servers(keys)
            assert differing(keys, ours, live.chosen(pool, keys)) == []
            assert gone not in ours
    if distribution == "ketama":
        moved = [old != new for old, new in zip(before, ours, strict=True) if is_live[old]]
        assert any(moved), "where weights differ, keys of living servers move too"


def eject(live: nutcracker.Nutcracker, pool: nutcracker.Pool, gone: int, key: bytes) -> None:
    """End a server, and ask for a key of its own until another answers."""
    live.servers.end(pool.servers[gone].index)
    deadline = time.monotonic() + nutcracker.DEADLINE_S
    while (answer := live.one(pool.name, b"get %b\r\n" % key)) != b"END\r\n":
        assert answer.startswith(b"SERVER_ERROR"), answer
        assert time.monotonic() < deadline, "twemproxy did not eject"


def test_every_command_goes_where_its_key_is() -> None:
    keys = random_keys(500)
    pool = nutcracker.Pool("commands", "fnv1a_64", "ketama", WEIGHTED)
    requests = {
        b"gets %b": (b"\r\n", b"END\r\n"),
        b"set %b 0 0 0": (b"\r\n\r\n", b"STORED\r\n"),
        b"delete %b": (b"\r\n", b"DELETED\r\n"),
        b"incr %b 1": (b"\r\n", b"1\r\n"),
        b"touch %b 1": (b"\r\n", b"TOUCHED\r\n"),
    }
    with running([pool]) as live:
        ours = [pool.servers[place].index for place in placement(pool, live).servers(keys)]
        for line, (end, answer) in requests.items():
            seen = live.ask(pool.name, [line % key + end for key in keys], answer)
            expected = [(index, line % key) for index, key in zip(ours, keys, strict=True)]
            assert sorted(seen) == sorted(expected)
        together = live.ask(pool.name, [b"get %b\r\n" % b" ".join(keys[:100])], b"END\r\n")
    shares = {index: sorted(line.strip().split(b" ")[1:]) for index, line in together}
    assert len(shares) == len(together) == len(set(ours[:100]))
    for index, share in shares.items():
        assert share == sorted(k for k, i in zip(keys[:100], ours, strict=False) if i == index)


def test_random_is_the_same_for_all_servers_whatever_their_weight() -> None:
    pool = nutcracker.Pool("random", "fnv1a_64", "random", WEIGHTED)
    with running([pool]) as live:
        counts = Counter(live.chosen(pool, random_keys(6000)))
        assert placement(pool, live).points() == [1] * len(WEIGHTED)
    # 1000 each are expected, with a standard deviation of 29.
    assert all(800 < counts[place] < 1200 for place in range(len(WEIGHTED))), counts
