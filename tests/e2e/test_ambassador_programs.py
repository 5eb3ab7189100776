"""Programs that ask a memcached or a Redis, through ours and through twemproxy beside it.

memtier_benchmark is not among them: Debian does not package it. memcslap and memcaslap are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import fleets, proxied, wire

pytestmark = fleets.NEEDS_DATA_PLANE
MEMCACHE = pytest.mark.needs("memcached", "memccapable")
REDIS = pytest.mark.needs("redis-server", "redis-benchmark")

# What redis-benchmark names its tests; those of twemproxy that it does not hang up at.
THROUGH_BOTH = (
    "set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,lrange_100,lrange_300,mset"
)
THROUGH_OURS = f"ping_inline,ping_mbulk,{THROUGH_BOTH},lrange_500,lrange_600"
# redis-benchmark pings by an inline command first, at which twemproxy hangs up.
OF_ASCII = 27


@pytest.fixture(scope="module", params=proxied.BOTH)
def memcache(request: pytest.FixtureRequest) -> Iterator[wire.Address]:
    with proxied.serving(str(request.param), "memcache") as address:
        yield address


@pytest.fixture(scope="module", params=proxied.BOTH)
def redises(request: pytest.FixtureRequest) -> Iterator[tuple[str, wire.Address]]:
    with proxied.serving(str(request.param), "redis") as address:
        yield str(request.param), address


def servers(address: wire.Address) -> str:
    """Return what libmemcached's programs are told."""
    return f"--servers={address[0]}:{address[1]}"


@MEMCACHE
def test_memccapable_finds_all_of_the_text_protocol() -> None:
    with proxied.serving(proxied.OURS, "memcache", may_flush=True) as (host, port):
        printed = proxied.said("memccapable", "-h", host, "-p", str(port), "-a", "-t", "30")
    assert len(re.findall(r"\[pass\]", printed)) == OF_ASCII, printed
    assert "All tests passed" in printed


@MEMCACHE
def test_memccapable_misses_flush_all_alone_where_it_is_not_allowed() -> None:
    with proxied.serving(proxied.OURS, "memcache") as (host, port):
        ran = proxied.run("memccapable", "-h", host, "-p", str(port), "-a", "-t", "5")
    failed = re.findall(r"^(ascii .*?) *(?:\[SERVER_ERROR|\[FAIL\])", ran.stdout, re.MULTILINE)
    assert failed == ["ascii flush", "ascii flush noreply"], ran.stdout


@MEMCACHE
def test_libmemcacheds_programs_each_do_what_they_are_for(
    memcache: wire.Address, tmp_path: Path
) -> None:
    file, at = tmp_path / "named", servers(memcache)
    file.write_text("its contents")
    proxied.said("memcping", at)
    proxied.said("memccp", at, "--flag=3", "--expire=100", str(file))
    assert proxied.said("memccat", at, "named").strip() == "its contents"
    proxied.said("memcexist", at, "named")
    proxied.said("memctouch", at, "--expire=50", "named")
    proxied.said("memcrm", at, "named")
    assert proxied.run("memcexist", at, "named").returncode != 0


@MEMCACHE
def test_memcstat_shows_our_figures() -> None:
    with proxied.serving(proxied.OURS, "memcache") as address:
        printed = proxied.said("memcstat", servers(address))
    assert "server_c_standing: good" in printed


@MEMCACHE
@pytest.mark.parametrize("test", ["set", "get", "mget"])
@pytest.mark.parametrize("how", ["", "--non-blocking", "--noreply"])
def test_memcslap_loads(memcache: wire.Address, test: str, how: str) -> None:
    # Not by --buffer, where libmemcached 1.1.4 fails an assertion of its own, without a proxy too.
    words = ["--concurrency=8", "--execute-number=200", f"--test={test}", *([how] if how else [])]
    printed = proxied.said("memcslap", servers(memcache), *words)
    assert re.search(rf"Time to {test} +1600 keys by +8 threads", printed), printed
    assert "ERROR" not in printed.upper()


def memcaslap(address: wire.Address, *words: str) -> dict[str, int]:
    """Run memcaslap, which verifies each value; return its figures."""
    load = ["--threads=1", "--concurrency=16", "--execute_number=4000", "--verify=1"]
    printed = proxied.said("memcaslap", servers(address), *load, *words)
    assert "ERROR" not in printed, printed[:1000]
    return {name: int(value) for name, value in re.findall(r"^(\w+): (\d+)", printed, re.MULTILINE)}


@MEMCACHE
def test_memcaslap_finds_what_it_stored(memcache: wire.Address) -> None:
    # Its keys have controls in them, which memcached and twemproxy take.
    figures = memcaslap(memcache)
    assert (figures["cmd_get"], figures["cmd_set"]) == (3600, 400)
    assert [figures[name] for name in ("get_misses", "verify_misses", "verify_failed")] == [0, 0, 0]


@MEMCACHE
def test_memcaslap_asks_for_many_at_a_time(memcache: wire.Address) -> None:
    # It counts values that come in another order than their keys as misses.
    figures = memcaslap(memcache, "--division=50")
    assert figures["cmd_get"] > 3000
    assert [figures[name] for name in ("get_misses", "verify_misses", "verify_failed")] == [0, 0, 0]


def benchmark(address: wire.Address, *words: str) -> dict[str, float]:
    """Run redis-benchmark; return how many requests a second it says of each of its tests."""
    where = ["-h", address[0], "-p", str(address[1])]
    printed = proxied.said("redis-benchmark", *where, "-q", *words).replace("\r", "\n")
    assert "Error" not in printed, printed
    found = re.findall(r"^([A-Z][\w (),-]*?): ([0-9.]+) requests per second", printed, re.MULTILINE)
    return {name: float(rate) for name, rate in found}


@REDIS
@pytest.mark.parametrize(
    "words",
    [
        ["-c", "50", "-n", "1000"],
        ["-c", "50", "-n", "2000", "-P", "16"],
        ["-c", "50", "-n", "2000", "-P", "16", "-r", "1000", "-d", "100"],
        ["-c", "10", "-n", "200", "-r", "100", "-d", "100000"],
        ["-c", "50", "-n", "500", "-k", "0", "-r", "1000"],
        ["-c", "50", "-n", "1000", "--threads", "2", "-P", "4"],
    ],
    ids=" ".join,
)
def test_redis_benchmark_runs_all_that_can_go_through(
    redises: tuple[str, wire.Address], words: list[str]
) -> None:
    proxy, address = redises
    tests = "set,get,mset" if "100000" in words else THROUGH_BOTH
    if proxy == proxied.OURS and "100000" not in words:
        tests = THROUGH_OURS
    rates = benchmark(address, "-t", tests, *words)
    # LRANGE needs a list first, which is one more line; PING_MBULK and MSET name themselves so.
    assert len(rates) >= tests.count(",") + 1, rates
    assert all(rates.values())


@REDIS
def test_redis_benchmark_speaks_resp3() -> None:
    with proxied.serving(proxied.OURS, "redis") as address:
        rates = benchmark(address, "-3", "-t", "set,get,mset", "-n", "1000", "-P", "16", "-r", "50")
    assert len(rates) == 3, rates


@REDIS
def test_redis_benchmark_runs_one_command_of_anybodys(redises: tuple[str, wire.Address]) -> None:
    _, address = redises
    words = ["-n", "1000", "-P", "8", "-r", "100"]
    for command in (
        ["HSET", "h:__rand_int__", "f", "v"],
        ["MGET", "k:__rand_int__", "k:__rand_int__", "k:__rand_int__"],
        ["EVAL", "return redis.call('incr', KEYS[1])", "1", "n:__rand_int__"],
    ):
        where = ["-h", address[0], "-p", str(address[1])]
        printed = proxied.said("redis-benchmark", *where, "-q", *words, *command)
        assert "requests per second" in printed
        assert "Error" not in printed


@REDIS
def test_redis_cli_asks_and_loads(redises: tuple[str, wire.Address]) -> None:
    proxy, address = redises
    where = ["redis-cli", "-h", address[0], "-p", str(address[1])]
    assert proxied.said(*where, "SET", "k", "v") == "OK\n"
    assert proxied.said(*where, given="GET k\nLPUSH k x\nGET k\n").splitlines()[::3] == ["v", "v"]
    if proxy == proxied.OURS:  # it ends with an ECHO, at which twemproxy hangs up
        many = "".join(f"SET {number}:k {number}\r\n" for number in range(2000))
        printed = proxied.said(*where, "--pipe", given=many)
        assert "errors: 0, replies: 2000" in printed
        assert proxied.said(*where, "GET", "1999:k") == "1999\n"
        assert proxied.said(*where, "-3", "HGETALL", "absent") == "\n"
        assert proxied.said(*where, "-3", "--json", "GET", "absent") == "null\n"
