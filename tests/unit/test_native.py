"""The extension, as Python sees it: values in, values out, errors that can be read."""

from __future__ import annotations

import pytest

from alongside import native

SHARDS = [("photos-0", 1), ("photos-1", 1), ("photos-2", 2)]


@pytest.mark.parametrize("function", ["modulo", "ketama"])
def test_many_keys_are_placed_as_one_by_one(function: str) -> None:
    placement = native.Placement(function, SHARDS)
    keys = [b"/%d.jpg" % number for number in range(500)]
    assert placement.shards(keys) == [placement.shard(key) for key in keys]
    assert set(placement.shards(keys)) == {0, 1, 2}


def test_a_dead_shard_is_passed_over_and_none_is_found_among_the_dead() -> None:
    placement = native.Placement("ketama", SHARDS)
    first = placement.shard(b"/a")
    live = [index != first for index in range(3)]
    assert placement.shard_among(b"/a", live) not in {first, None}
    assert placement.shard_among(b"/a", [True] * 3) == first
    assert placement.shard_among(b"/a", [False] * 3) is None


def test_the_hash_is_crc32_for_ketama_and_fifteen_bits_of_it_for_modulo() -> None:
    assert native.Placement("ketama", SHARDS).hash(b"123456789") == 0xCBF43926
    assert native.Placement("modulo", SHARDS).hash(b"123456789") == 0xCBF43926 >> 16 & 0x7FFF


@pytest.mark.parametrize(
    ("function", "shards", "message"),
    [
        ("md5", SHARDS, 'function "md5" is not known'),
        ("ketama", [], "there are no shards"),
        ("ketama", [("a", 0)], 'shard "a" has weight 0'),
        ("modulo", [("a", 65536), ("b", 1)], "the weights sum to 65537"),
        ("ketama", [("a", 1), ("a", 1)], "have the same place on the ring"),
    ],
)
def test_a_placement_that_cannot_be_is_refused_with_a_remedy(
    function: str, shards: list[tuple[str, int]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        native.Placement(function, shards)


def test_the_number_of_truths_must_be_that_of_shards() -> None:
    with pytest.raises(ValueError, match="3 shards need as many truths; got 2"):
        native.Placement("ketama", SHARDS).shard_among(b"", [True, True])


def test_a_key_is_the_bytes_as_sent_one_after_the_other() -> None:
    key = native.Key("request.path + '|' + request.headers['X-User'] + request.ip")
    headers = [("x-USER", b"\xff"), ("X-User", b"second")]
    assert key.evaluate(b"/%20a?b=c", headers, "::ffff:10.0.0.1") == b"/%20a|\xff10.0.0.1"
    assert str(key) == 'request.path + "|" + request.headers["x-user"] + request.ip'


def test_what_a_request_does_not_have_is_empty() -> None:
    key = native.Key("request.cookies['sid'] + request.query['id'] + request.headers['x']")
    assert key.evaluate(b"/", [], "127.0.0.1") == b""


def test_a_cookie_is_looked_for_in_every_cookie_header() -> None:
    headers = [("cookie", b"a=1"), ("Cookie", b"sid=2; sid=3")]
    assert native.Key("request.cookies['sid']").evaluate(b"/", headers, "::1") == b"2"


def test_mistakes_in_keys_and_addresses_are_named() -> None:
    with pytest.raises(ValueError, match=r'"request\.url" is not known at character 1; write'):
        native.Key("request.url")
    with pytest.raises(ValueError, match="no IP address"):
        native.Key("request.ip").evaluate(b"/", [], "localhost")


TWEMPROXY_SERVERS = [("alpha", 1), ("beta", 2), ("gamma", 1)]


def test_twemproxys_hashes_are_known_by_its_words() -> None:
    assert native.twemproxy_hash("fnv1a_64", b"apple") == 1488911807
    assert native.twemproxy_hash("fnv1a_64", "café".encode()) == 3472276361
    assert native.twemproxy_hash("fnv1a_64", "café".encode(), signed=False) == 3483635081
    with pytest.raises(ValueError, match='hash "sha1" is not known; write one of one_at_a_time'):
        native.twemproxy_hash("sha1", b"apple")


def test_keys_are_placed_as_with_twemproxy() -> None:
    placement = native.TwemproxyPlacement(TWEMPROXY_SERVERS, tag="{}")
    keys = [b"foo", b"bar", b"user:{42}:name", "café".encode()]
    assert placement.servers(keys) == [2, 2, 2, 1]
    assert placement.hash(b"user:{42}:name") == native.twemproxy_hash("fnv1a_64", b"42")
    modula = native.TwemproxyPlacement(TWEMPROXY_SERVERS, "modula", "crc32a")
    assert [modula.server(key) for key in keys] == [1, 0, 1, 1]
    unsigned = native.TwemproxyPlacement(TWEMPROXY_SERVERS, signed=False)
    assert unsigned.hash("café".encode()) == 3483635081


def test_points_are_told_of_the_live_servers() -> None:
    placement = native.TwemproxyPlacement(TWEMPROXY_SERVERS)
    assert placement.points() == [120, 240, 120]
    left = placement.among([True, False, True])
    assert left is not None
    assert left.points() == [160, 0, 160]
    assert placement.among([False] * 3) is None
    with pytest.raises(ValueError, match="3 servers need as many truths; got 1"):
        placement.among([True])


def test_a_random_distribution_takes_the_number_that_it_is_given() -> None:
    placement = native.TwemproxyPlacement(TWEMPROXY_SERVERS, "random", "md5")
    # In twemproxy's order: shorter names first.
    assert [placement.server(b"any", number) for number in range(4)] == [1, 0, 2, 1]


@pytest.mark.parametrize(
    ("servers", "words", "message"),
    [
        ([], ("ketama", "md5", "{}"), "there are no servers"),
        ([("a", 0)], ("ketama", "md5", "{}"), 'server "a" has weight 0'),
        ([("a", 1), ("a", 1)], ("ketama", "md5", "{}"), 'two servers have the name "a"'),
        ([("a", 1)], ("modulo", "md5", "{}"), 'distribution "modulo" is not known'),
        ([("a", 1)], ("ketama", "sha1", "{}"), 'hash "sha1" is not known'),
        ([("a", 1)], ("ketama", "md5", "{"), 'tag "{" is not two characters of ASCII'),
        ([("a", 1)], ("ketama", "md5", "é"), "is not two characters of ASCII"),
    ],
)
def test_a_pool_that_cannot_be_is_refused_with_a_remedy(
    servers: list[tuple[str, int]], words: tuple[str, str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        native.TwemproxyPlacement(servers, *words)
