"""A file that is right may still hold a trap; each is told once, with its line and a remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from alongside import native
from alongside.components.dataplane.nutcracker import lint, reading

NEIGHBOURS = {"fnv1a_64", "fnv1_64", "fnv1_32", "crc16"}
SERVERS = ("10.0.0.1:11211:1", "10.0.0.2:11211:1")


def findings(directives: str, *servers: str, is_signed: bool = True) -> list[lint.Finding]:
    lines = "".join(f"  {line}\n" for line in ("timeout: 400", *directives.splitlines()))
    listed = "".join(f"   - {one}\n" for one in servers or SERVERS)
    content = f"a:\n  listen: h:1\n{lines}  servers:\n{listed}".encode()
    pools = reading.pools(content, file="n.yml")
    return lint.findings(pools, is_signed=is_signed)


def loud(directives: str, *servers: str) -> list[str]:
    return [one.text("n.yml") for one in findings(directives, *servers) if not one.is_quiet]


def test_a_usual_file_has_nothing_odd() -> None:
    assert loud("auto_eject_hosts: true\nserver_failure_limit: 1") == []
    assert findings("hash: md5") == []


def test_every_key_on_one_server() -> None:
    [found] = loud("hash: crc32")
    assert found.startswith("n.yml:4: a.hash: crc32 has 15 bits")
    placed = native.TwemproxyPlacement([("a", 1), ("b", 1)], "ketama", "crc32", None)
    assert len({placed.server(b"%d" % n) for n in range(1000)}) == 1
    assert loud("hash: crc32\ndistribution: modula") == []
    assert loud("hash: crc32", SERVERS[0]) == []


def test_the_order_of_modula() -> None:
    [found] = loud("distribution: modula", "zeta:11211:1", "al:11211:1")
    assert "(al, zeta)" in found
    assert loud("distribution: modula", "al:11211:1", "zeta:11211:1") == []
    assert loud("distribution: ketama", "zeta:11211:1", "al:11211:1") == []


@pytest.mark.parametrize(("count", "is_odd"), [(24, False), (25, True), (26, False), (47, True)])
def test_numbers_of_servers_with_too_few_points(count: int, is_odd: bool) -> None:
    told = loud("", *(f"10.0.0.{n}:11211:7" for n in range(count)))
    assert ("156 points each, not 160" in "".join(told)) == is_odd
    assert len(told) == is_odd


def test_a_server_without_a_point() -> None:
    [found] = loud("", "small:11211:1", "large:11211:10000")
    assert found.startswith("n.yml:5: a.servers: small has so small a weight")


@pytest.mark.parametrize("word", sorted(lint.SIGNED_HASHES))
def test_hashes_that_hang_on_the_processor(word: str) -> None:
    [found] = findings(f"hash: {word}")
    assert found.is_quiet
    assert "--char unsigned" in found.remedy
    assert findings(f"hash: {word}", is_signed=False) == []


@pytest.mark.parametrize("word", reading.HASHES)
def test_the_list_of_those_hashes_is_what_they_do(word: str) -> None:
    keys = [bytes([200 + n, 201, 202, 203 + n, 204]) for n in range(8)]
    differs = any(
        native.twemproxy_hash(word, key, True) != native.twemproxy_hash(word, key, False)
        for key in [*keys, *(key[:length] for key in keys for length in range(1, 5))]
    )
    assert differs == (word in lint.SIGNED_HASHES)


@pytest.mark.parametrize(
    ("directives", "told"),
    [
        ("client_connections: 9", "n.yml:4: a.client_connections: twemproxy reads it and takes no"),
        ("auto_eject_hosts: true\nserver_connections: 3", "write server_failure_limit: 4 or more"),
        (
            "auto_eject_hosts: true\nserver_connections: 2\nserver_failure_limit: 2",
            "2 connections close at once when the network fails for a moment; 2 are enough",
        ),
        ("redis_db: 3", "has no effect without redis: true"),
        ("server_connections: 65", "65 is out of range, 64 is taken; write 1 to 64"),
        ("server_retry_timeout: 0", "0 is out of range, 10 is taken; write 10 to 3600000 ms"),
        ("server_failure_limit: 0", "0 is out of range, 1 is taken"),
    ],
)
def test_what_has_another_effect_than_it_says(directives: str, told: str) -> None:
    [found] = loud(directives)
    assert told in found


def test_a_bound_of_clients_is_said_to_hold() -> None:
    [found] = loud("client_connections: 9")
    assert "twemproxy reads it and takes no notice; here it holds; see that 9 connections" in found
    assert not loud("client_connections: 0")


def test_weights_without_effect() -> None:
    [found] = loud("distribution: random", "a:1:1", "b:1:2")
    assert "random takes no notice of weights" in found


def test_no_time_out() -> None:
    content = b"a:\n  listen: h:1\n  hash: md5\n  servers:\n   - b:1:1\n"
    pools = reading.pools(content, file="n.yml")
    [found] = lint.findings(pools, is_signed=True)
    assert found.text("n.yml").startswith("n.yml:1: a.timeout: there is none")


def test_figures_for_everybody() -> None:
    assert lint.of_stats("0.0.0.0", "-a").startswith("-a: 0.0.0.0 lets everybody")  # noqa: S104
    assert lint.of_stats("127.0.0.1", "-a") == ""


@pytest.mark.parametrize("word", [one for one in reading.HASHES if one != "crc32"])
def test_the_page_says_which_hashes_keep_neighbours_together(word: str) -> None:
    placed = native.TwemproxyPlacement([(f"m{n}", 1) for n in range(3)], "ketama", word, None)
    tens = [[b"user:%d%d" % (ten, one) for one in range(10)] for ten in range(100)]
    together = [len({placed.server(key) for key in keys}) == 1 for keys in tens]
    assert together.count(True) == (100 if word in NEIGHBOURS else 0)
    page = (Path(__file__).resolve().parents[4] / "docs" / "ambassador.md").read_text()
    [sentence] = re.findall(r"under `ketama` with (.*?), keys that differ", page)
    assert (f"`{word}`" in sentence) == (word in NEIGHBOURS)
