"""A `ShardedCache` of memcache or Redis has fields of its own, and each mistake its remedy."""

from __future__ import annotations

import pytest

from alongside.resources import pools, problems, reading, texts

CACHE = """\
apiVersion: alongside.dev/v1alpha1
kind: ShardedCache
metadata: {name: sessions}
spec:
  protocol: memcache
"""


def read(text: str) -> reading.Resources:
    return reading.read([texts.Source("f.yaml", "/data", text)])


def spec(text: str) -> pools.PoolSpec:
    (found,) = read(text).pooled
    return found.model.spec


def mistakes(text: str) -> list[str]:
    with pytest.raises(problems.ResourceError) as caught:
        read(text)
    return list(caught.value.problems)


@pytest.mark.parametrize("protocol", ["memcache", "redis"])
def test_a_protocol_is_all_that_has_to_be_written(protocol: str) -> None:
    resources = read(CACHE.replace("memcache", protocol))
    (found,) = resources.pooled
    assert resources.caches == ()
    assert resources.sharded == [found]
    made = found.model.spec
    assert (made.protocol, made.shards, made.routers, made.access) == (protocol, 1, 1, "service")
    assert (made.function, made.hash, made.hash_tag) == ("ketama", "fnv1a_64", None)
    assert (made.timeout, made.memory, made.drain_timeout) == (1000, 64 * 2**20, 10_000)
    assert made.eject.failures is None


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            "origin: {url: http://a}",
            "spec.origin: is of protocol http alone: clients of memcache and Redis fill the cache "
            "themselves; remove it",
        ),
        (
            "key: request.uri",
            "spec.key: is of protocol http alone: a command has its key; remove it, or write "
            "hashTag",
        ),
        (
            "fallback: next-shard",
            "spec.fallback: is of protocol http alone; remove it, or write eject: {failures: 2}",
        ),
        (
            "retries: {percent: 1}",
            "spec.retries: is of protocol http alone: no command is sent twice; remove it",
        ),
        ("buffer: 64Ki", "spec.buffer: is of protocol http alone; remove it"),
        ("limits: {queue: 1}", "spec.limits: is of protocol http alone; remove it"),
        ("accessLog: {}", "spec.accessLog: is of protocol http alone; remove it"),
        ("warmup: off", "spec.warmup: is of protocol http alone; remove it"),
        ("hashtag: x", 'spec.hashtag: unknown field; did you mean "hashTag"?'),
        (
            "hashTag: abc",
            'spec.hashTag: "abc" is no hash tag; write the two characters around it, as "{}"',
        ),
        (
            "hash: fnv1a_46",
            'spec.hash: "fnv1a_46" is not known; did you mean "fnv1a_64"? write one_at_a_time or '
            "md5 or crc16 or crc32 or crc32a or fnv1_64 or fnv1a_64 or fnv1_32 or fnv1a_32 or "
            "hsieh or murmur or jenkins",
        ),
        (
            "hash: crc32",
            "spec.hash: crc32 has fifteen bits, so that ketama would give every key to one "
            "server; write crc32a, or function: modulo",
        ),
        (
            "replicas: 2",
            "spec.replicas: 2: replicas of memcache and Redis are not there yet; write 1, or more "
            "shards",
        ),
        (
            "replicas: {min: 1, max: 2}",
            "spec.replicas: a mapping: replicas of memcache and Redis are not there yet; write 1, "
            "or more shards",
        ),
        ("shards: 257", "spec.shards: 257 is out of range; write at most 256"),
        ("routers: 65", "spec.routers: 65 is out of range; write at most 64"),
        (
            "routers: 2\n  access: ambassador",
            "spec.routers: 2: an ambassador is one router at localhost; remove it, or write "
            "access: service",
        ),
        (
            "expose: public\n  access: ambassador",
            "spec.expose: public: an ambassador is one router at localhost; remove it, or write "
            "access: service",
        ),
        ("access: sidecar", 'spec.access: "sidecar" is not known; write service or ambassador'),
        ("memory: 1Mi", "spec.memory: 1Mi is too small; write at least 4Mi"),
        ("memory: 5000k", "spec.memory: 5M is finer than 1Mi; write 4Mi"),
        ("memory: 2048Gi", "spec.memory: 2048Gi is out of range; write at most 1024Gi"),
        ("timeout: 0s", "spec.timeout: 0 is out of range; write 1ms to 1h"),
        ("timeout: 2h", "spec.timeout: 2h is out of range; write 1ms to 1h"),
        ("eject: on", "spec.eject: true says not when to eject; write {failures: 2} or off"),
        ("eject: {failures: 0}", "spec.eject.failures: 0 is out of range; write at least 1"),
        ("eject: {minPercent: 101}", "spec.eject.minPercent: 101 is out of range; write at most"),
        ("eject: {failure: 2}", 'spec.eject.failure: unknown field; did you mean "failures"?'),
    ],
)
def test_names_line_field_and_remedy(lines: str, expected: str) -> None:
    (found,) = mistakes(f"{CACHE}  {lines}\n")
    assert found.startswith(f"f.yaml:6: ShardedCache/sessions: {expected}")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("eject: off", (None, 50)),
        ('eject: "off"', (None, 50)),
        ("eject: {}", (2, 50)),
        ("eject: {failures: 3, minPercent: 0}", (3, 0)),
    ],
)
def test_reads_when_servers_are_ejected(lines: str, expected: tuple[int | None, int]) -> None:
    found = spec(f"{CACHE}  {lines}\n").eject
    assert (found.failures, found.min_percent) == expected


def test_crc32_goes_with_modulo() -> None:
    assert spec(f"{CACHE}  function: modulo\n  hash: crc32\n").hash == "crc32"


@pytest.mark.parametrize("field", ["hash: md5", 'hashTag: "{}"', "timeout: 1s", "eject: off"])
def test_http_has_none_of_their_fields(field: str) -> None:
    text = CACHE.replace("memcache", 'http\n  origin: {url: "http://127.0.0.1:8000"}')
    name = field.partition(":")[0]
    assert mistakes(f"{text}  {field}\n") == [
        f"f.yaml:7: ShardedCache/sessions: spec.{name}: is of the protocols memcache and redis; "
        "remove it"
    ]


def test_a_misspelt_protocol_is_told_with_the_nearest() -> None:
    assert mistakes(CACHE.replace("memcache", "memcached")) == [
        'f.yaml:5: ShardedCache/sessions: spec.protocol: "memcached" is not known; did you mean '
        '"memcache"? write http or memcache or redis'
    ]
