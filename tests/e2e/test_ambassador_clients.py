"""The libraries that applications use, through ours, and through twemproxy beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from pymemcache import exceptions  # type: ignore[import-untyped]
from pymemcache.client import base, hash  # type: ignore[import-untyped]  # noqa: A004
from redis import backoff, retry
from tests.e2e import fleets, memcaches, plane, proxied, wire

pytestmark = [fleets.NEEDS_DATA_PLANE, pytest.mark.needs("memcached", "redis-server")]

KEYS = [f"{number}:of-many" for number in range(300)]
TIMEOUT_S = 60.0
"""Of a client: a machine may be busy."""
LARGE = 16 * 1024 * 1024
ADD = "return redis.call('incrby', KEYS[1], ARGV[1])"


@pytest.fixture(scope="module", params=proxied.BOTH)
def memcache(request: pytest.FixtureRequest) -> Iterator[wire.Address]:
    with proxied.serving(str(request.param), "memcache") as address:
        yield address


@pytest.fixture(scope="module")
def our_memcache() -> Iterator[wire.Address]:
    with proxied.serving(proxied.OURS, "memcache", may_flush=True) as address:
        yield address


@pytest.fixture(scope="module", params=proxied.BOTH)
def redises(request: pytest.FixtureRequest) -> Iterator[tuple[str, wire.Address]]:
    with proxied.serving(str(request.param), "redis") as address:
        yield str(request.param), address


@pytest.fixture(scope="module", params=["as it is", "RESP2"])
def settings(request: pytest.FixtureRequest) -> dict[str, object]:
    return {"protocol": 2} if request.param == "RESP2" else {}


@pytest.fixture(scope="module")
def our_redises() -> Iterator[wire.Address]:
    with proxied.serving(proxied.OURS, "redis") as address:
        yield address


@contextlib.contextmanager
def pymemcache(address: wire.Address, **more: object) -> Iterator[base.Client]:
    """Connect as pymemcache does; an answer to each command unless `default_noreply` says else."""
    waits = {"timeout": TIMEOUT_S, "connect_timeout": TIMEOUT_S}
    client = base.Client(address, **{"default_noreply": False, **waits, **more})
    try:
        yield client
    finally:
        client.close()


@pytest.mark.parametrize("is_quiet", [False, True])
def test_pymemcache_stores_and_finds(memcache: wire.Address, *, is_quiet: bool) -> None:
    with pymemcache(memcache, default_noreply=is_quiet) as client:
        name = f"one-{is_quiet}"
        assert client.set(name, b"b")
        assert client.get(name) == b"b"
        # Who is not told, is told that it is done.
        assert client.add(name, b"x") is is_quiet
        assert client.replace(name, b"c")
        assert client.append(name, b"d")
        assert client.prepend(name, b"a")
        assert client.replace(f"{name}-absent", b"x") is is_quiet
        value, unique = client.gets(name)
        assert value == b"acd"
        assert client.cas(name, b"new", unique)
        assert client.cas(name, b"newer", unique) is False
        assert client.get(name) == b"new"
        assert client.touch(name, 100)
        assert client.delete(name)
        assert client.get(name, b"none") == b"none"
        assert client.delete(name) is is_quiet


@pytest.mark.parametrize("is_quiet", [False, True])
def test_pymemcache_counts(memcache: wire.Address, *, is_quiet: bool) -> None:
    with pymemcache(memcache, default_noreply=is_quiet) as client:
        name = f"number-{is_quiet}"
        assert client.set(name, b"5")
        assert client.incr(name, 2, noreply=False) == 7
        assert client.decr(name, 10, noreply=False) == 0
        assert client.incr(name, 3, noreply=True) is None
        assert client.get(name) == b"3"
        assert client.incr(f"{name}-absent", 1, noreply=False) is None
        client.set(name, b"letters")
        with pytest.raises(exceptions.MemcacheClientError, match="non-numeric"):
            client.incr(name, 1, noreply=False)


@pytest.mark.parametrize("is_quiet", [False, True])
def test_pymemcache_has_many_at_a_time(memcache: wire.Address, *, is_quiet: bool) -> None:
    with pymemcache(memcache, default_noreply=is_quiet) as client:
        values = {key: key.encode() * 20 for key in KEYS}
        assert client.set_many(values) == []
        assert client.get_many([*KEYS, "absent"]) == values
        assert {key: value for key, (value, _) in client.gets_many(KEYS).items()} == values
        assert client.delete_many(KEYS)
        assert client.get_many(KEYS) == {}


def test_pymemcache_says_goodbye_and_asks_for_the_version(memcache: wire.Address) -> None:
    with pymemcache(memcache) as client:
        assert client.version().startswith(b"1.6")
        client.quit()
        assert client.set("again", b"x")


def test_pymemcache_takes_large_values_up_to_the_servers_limit(memcache: wire.Address) -> None:
    with pymemcache(memcache) as client:
        assert client.set("kept", b"x")
        for size in (1024 * 1024 - 100, 1024 * 1024, LARGE):
            value = bytes([size % 251]) * size
            assert client.set("large", value)
            assert client.get("large") == value
        with pytest.raises(exceptions.MemcacheServerError, match="object too large for cache"):
            client.set("large", b"x" * (33 * 1024 * 1024))
        assert client.get("kept") == b"x"


def test_pymemcache_has_what_twemproxy_refuses(our_memcache: wire.Address) -> None:
    with pymemcache(our_memcache) as client:
        client.set("k", b"v")
        assert client.raw_command(b"gat 100 k", b"END\r\n") == b"VALUE k 0 1\r\nv\r\n"
        assert client.raw_command(b"mg k v\r\nmn", b"MN\r\n") == b"VA 1\r\nv\r\n"
        assert client.stats()[b"pool"] == b"main"
        with pytest.raises(exceptions.MemcacheClientError, match="ask a server for its own"):
            client.stats("items")
        with pytest.raises(exceptions.MemcacheUnknownCommandError):
            client.cache_memlimit(10)
        assert client.flush_all()
        assert client.get("k") is None


def test_pymemcaches_clients_of_many_servers_take_us_for_one(our_memcache: wire.Address) -> None:
    client = hash.HashClient([our_memcache], use_pooling=True, max_pool_size=4, timeout=TIMEOUT_S)
    try:
        assert client.set_many(dict.fromkeys(KEYS, b"v")) == []
        assert client.get_many(KEYS) == dict.fromkeys(KEYS, b"v")
    finally:
        client.close()


def redis_py(address: wire.Address, **more: object) -> redis.Redis:
    """Connect as redis-py does, in RESP3 unless it is told; no command is tried again."""
    host, port = address
    settings = {"socket_timeout": TIMEOUT_S, **more}
    once = retry.Retry(backoff.NoBackoff(), 0)
    return redis.Redis(host=host, port=port, retry=once, **settings)  # type: ignore[arg-type]


@pytest.fixture
def client(redises: tuple[str, wire.Address], settings: dict[str, object]) -> Iterator[redis.Redis]:
    proxy, address = redises
    # redis-py says who it is and what it speaks when it connects, which twemproxy hangs up at.
    more = {"driver_info": None, "protocol": 2} if proxy == proxied.THEIRS else settings
    with redis_py(address, **more) as made:
        made.delete("h", "l", "s", "z", "p", "k", "n", "of-scripts")
        yield made


@pytest.fixture
def ours(our_redises: wire.Address, settings: dict[str, object]) -> Iterator[redis.Redis]:
    with redis_py(our_redises, **settings) as made:
        made.delete("{a}1", "{a}2", "{a}3", "x", *(f"{number}:of-scripts" for number in range(30)))
        yield made


def test_redis_py_has_single_commands(client: redis.Redis) -> None:
    assert client.ping()
    assert client.set("k", "v", ex=100)
    assert client.get("k") == b"v"
    assert client.set("k", "x", nx=True) is None
    assert client.append("k", "w") == 2
    assert client.strlen("k") == 2
    assert client.getrange("k", 0, 0) == b"v"
    assert client.expire("k", 50)
    assert client.type("k") == b"string"
    assert client.incrby("n", 5) == 5
    assert client.incrbyfloat("n", 1.5) == 6.5
    assert client.get("absent") is None
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        client.lpush("k", "x")


def test_redis_py_has_structures(client: redis.Redis) -> None:
    assert client.hset("h", mapping={"a": "1", "b": "2"}) == 2
    assert client.hgetall("h") == {b"a": b"1", b"b": b"2"}
    assert dict(client.hscan_iter("h")) == {b"a": b"1", b"b": b"2"}
    assert client.rpush("l", *range(5)) == 5
    assert client.lrange("l", 1, 2) == [b"1", b"2"]
    assert client.lpop("l") == b"0"
    assert client.sadd("s", "a", "b") == 2
    assert client.smembers("s") == {b"a", b"b"}
    assert client.zadd("z", {"a": 1, "b": 2.5}) == 2
    assert client.zrange("z", 0, -1, withscores=True) == [(b"a", 1.0), (b"b", 2.5)]
    assert client.pfadd("p", "a", "b") == 1
    assert client.pfcount("p") == 2


def test_redis_py_has_many_at_a_time(client: redis.Redis) -> None:
    assert client.mset({key: key for key in KEYS})
    assert client.mget(*KEYS, "absent") == [key.encode() for key in KEYS] + [None]
    assert client.touch(*KEYS) == len(KEYS)
    assert client.unlink(*KEYS[:10]) == 10
    assert client.delete(*KEYS) == len(KEYS) - 10


def test_redis_py_pipelines(client: redis.Redis) -> None:
    with client.pipeline(transaction=False) as many:
        for key in KEYS:
            many.set(key, key)
            many.get(key)
        many.lpush(KEYS[0], "x")
        many.mget(KEYS[:2])
        many.ping()
        answers = many.execute(raise_on_error=False)
    assert answers[: 2 * len(KEYS)] == [part for key in KEYS for part in (True, key.encode())]
    wrong, found, pong = answers[2 * len(KEYS) :]
    assert isinstance(wrong, redis.ResponseError)
    assert found == [key.encode() for key in KEYS[:2]]
    assert pong is True


def test_redis_py_runs_scripts_by_key(client: redis.Redis) -> None:
    assert client.eval(ADD, 1, "of-scripts", 3) == 3
    with pytest.raises(redis.exceptions.NoScriptError):
        client.evalsha("0" * 40, 1, "of-scripts")


def test_redis_py_has_what_twemproxy_refuses(ours: redis.Redis) -> None:
    assert ours.mset({key: key for key in KEYS})
    assert ours.exists(*KEYS, "absent") == len(KEYS)  # twemproxy asks the first key's server alone
    assert ours.echo("x") == b"x"
    assert ours.client_setname("me")
    assert ours.client_id() > 0
    assert ours.info()["pool"] == "main"
    assert ours.getex("{a}1") is None
    assert ours.msetnx({"{a}1": "1", "{a}2": "2"})
    assert ours.rename("{a}1", "{a}3")
    assert ours.getdel("{a}3") == b"1"
    assert ours.xadd("x", {"a": "1"}, id="1-1") == b"1-1"
    assert ours.xrange("x") == [(b"1-1", {b"a": b"1"})]


def test_redis_py_registers_scripts_at_every_server(ours: redis.Redis) -> None:
    add = ours.register_script(ADD)
    names = [f"{number}:of-scripts" for number in range(30)]
    assert [add(keys=[name], args=[2]) for name in names] == [2] * 30
    with ours.pipeline(transaction=False) as many:
        for name in names:
            add(keys=[name], args=[3], client=many)
        assert many.execute() == [5] * 30
    # The end of a lock is a script.
    for _ in range(2):
        with ours.lock("ended", timeout=100):
            assert ours.lock("ended", blocking=False).acquire() is False


def ping(many: redis.client.Pipeline) -> None:
    """Put one command into a transaction."""
    many.ping()


def test_redis_py_is_told_what_cannot_be(ours: redis.Redis) -> None:
    connection = ours.client_id()
    for refused, why in (
        (lambda: ours.transaction(ping), "transactions need a connection"),
        (lambda: ours.blpop("l", 1), "block the requests of others"),
        (lambda: ours.publish("c", "m"), "messages are not passed on"),
        (lambda: next(ours.scan_iter()), "keys of all servers"),
        (ours.config_get, "concerns a server"),
    ):
        with pytest.raises(redis.ResponseError, match=why):
            refused()
    assert ours.client_id() == connection


def test_redis_py_looks_after_its_connections(
    our_redises: wire.Address, settings: dict[str, object]
) -> None:
    more = {"health_check_interval": 1, "client_name": "me", "decode_responses": True}
    many = redis_py(our_redises, **more, **settings)
    with many:
        assert many.set("decoded", "ü")
        assert many.get("decoded") == "ü"
        assert many.client_getname() == "me"
        assert many.ping()
    pool = redis.BlockingConnectionPool.from_url(
        f"redis://{our_redises[0]}:{our_redises[1]}/0", max_connections=2, **settings
    )
    with redis.Redis(connection_pool=pool) as pooled:
        assert [pooled.set(key, key) for key in KEYS[:20]] == [True] * 20
    pool.disconnect()
    with (
        redis_py(our_redises, db=1, **settings) as other,
        pytest.raises(redis.ResponseError, match="DB index"),
    ):
        other.ping()


def test_redis_py_has_what_resp3_tells_apart(our_redises: wire.Address) -> None:
    with redis_py(our_redises) as client:
        assert client.get_connection_kwargs().get("protocol") is None
        assert client.execute_command("HELLO")[b"proto"] == 3
        script = "redis.setresp(3) return {1, true, {double = 1.5}, {map = {a = 1}}, false}"
        assert client.eval(script, 0) == [1, True, 1.5, {b"a": 1}, False]


def test_redis_py_is_told_to_speak_resp2_where_a_server_does_not_speak_more() -> None:
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(memcaches.redis()) for name in ("a", "b")}
        older = memcaches.redis("--rename-command", "HELLO", "GREET")
        servers["c"] = stack.enter_context(older)
        contents = memcaches.document(memcaches.places(servers), protocol="redis")
        process = stack.enter_context(plane.running(contents))
        for more in ({}, {"protocol": 3}):
            with (
                redis_py(process.address, **more) as client,
                pytest.raises(redis.ResponseError, match=r"NOPROTO .*RESP2 \(protocol=2\)"),
            ):
                client.ping()
        with redis_py(process.address, protocol=2) as client:
            assert client.mset({key: key for key in KEYS})
            assert client.mget(KEYS) == [key.encode() for key in KEYS]
        assert process.metric("alongside_ambassador_ejections") == 0


def test_redis_py_says_its_password(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    users = [{"name": name, "password": str(tmp_path / "password")} for name in ("default", "app")]
    with proxied.serving(proxied.OURS, "redis", users=users) as address:
        for right in ({"password": "secret"}, {"username": "app", "password": "secret"}):
            with redis_py(address, **right) as client:
                assert client.set("k", "v")
        for wrong in ({"password": "wrong"}, {}):
            with redis_py(address, **wrong) as client, pytest.raises(redis.AuthenticationError):
                client.ping()


def test_a_pipeline_of_redis_py_is_answered_while_a_server_is_away() -> None:
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(memcaches.redis()) for name in memcaches.NAMES}
        contents = memcaches.document(
            memcaches.places(servers), protocol="redis", timeout_ms=5000, retry_ms=100
        )
        process = stack.enter_context(plane.running(contents))
        client = stack.enter_context(redis_py(process.address))
        client.mset({key: key for key in KEYS})
        connection = client.client_id()
        lost = set(memcaches.homes(process, KEYS[:60])["b"])
        servers["b"].kill()
        with client.pipeline(transaction=False) as many:
            for key in KEYS[:60]:
                many.get(key)
            answers = many.execute(raise_on_error=False)
        for key, answer in zip(KEYS, answers, strict=False):
            if key in lost:
                assert isinstance(answer, redis.ResponseError)
            else:
                assert answer == key.encode()
        assert client.client_id() == connection
