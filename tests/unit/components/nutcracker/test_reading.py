"""A `nutcracker.yaml` means what twemproxy takes it for; what is wrong is told with its line."""

from __future__ import annotations

import pytest

from alongside.base import errors
from alongside.components.dataplane.nutcracker import addresses, reading, syntax

BOOK = b"""
memcache:
  listen: 127.0.0.1:11211
  hash: fnv1a_64
  distribution: ketama
  auto_eject_hosts: true
  timeout: 400
  server_retry_timeout: 2000
  server_failure_limit: 1
  servers:
   - memcache-0.memcache:11211:1
   - memcache-1.memcache:11211:1
   - memcache-2.memcache:11211:1
"""
EVERYTHING = b"""\
sessions:
  listen: /run/sessions.sock 0660
  hash: murmur
  hash_tag: "{}"
  distribution: modula
  timeout: 1000
  backlog: 1024
  client_connections: 500
  redis: true
  redis_auth: s3cret word
  redis_db: 7
  tcpkeepalive: true
  reuseport: true
  preconnect: true
  auto_eject_hosts: false
  server_connections: 3
  server_retry_timeout: 5000
  server_failure_limit: 4
  servers:
  - /run/a.sock:2 first
  - ::1:6379:1
other:
  listen: localhost:6380
  servers:
  - 10.0.0.1:6379:1
"""


def pool(directives: str = "", *servers: str, listen: str = "127.0.0.1:11211") -> bytes:
    lines = "".join(f"  {line}\n" for line in directives.splitlines())
    listed = "".join(f"   - {one}\n" for one in servers or ("10.0.0.1:11211:1",))
    return f"a:\n  listen: {listen}\n{lines}  servers:\n{listed}".encode()


def read(content: bytes) -> reading.Pool:
    [found] = reading.pools(content, file="n.yml")
    return found


def problems(content: bytes) -> tuple[str, ...]:
    with pytest.raises(errors.UsageError) as caught:
        reading.pools(content, file="n.yml")
    return caught.value.problems


def test_the_books_file_is_read_as_it_is() -> None:
    found = read(BOOK)
    assert (found.name, found.listen.address) == ("memcache", "127.0.0.1:11211")
    assert [one.name for one in found.servers] == [f"memcache-{n}.memcache" for n in range(3)]
    assert {one.weight for one in found.servers} == {1}
    assert [one.line for one in found.servers] == [11, 12, 13]
    assert (found.auto_eject_hosts, found.timeout) == (True, 400)
    assert (found.server_retry_timeout, found.server_failure_limit) == (2000, 1)


def test_what_is_not_written_is_as_with_twemproxy() -> None:
    found = read(pool())
    assert (found.hash, found.distribution, found.hash_tag) == ("fnv1a_64", "ketama", None)
    assert (found.timeout, found.backlog, found.client_connections) == (0, 512, 0)
    assert (found.redis, found.redis_auth, found.redis_db) == (False, None, 0)
    assert (found.preconnect, found.auto_eject_hosts, found.tcpkeepalive) == (False, False, None)
    assert (found.server_connections, found.server_retry_timeout) == (1, 30_000)
    assert found.server_failure_limit == 2


def test_every_directive_is_read() -> None:
    found, other = reading.pools(EVERYTHING, file="n.yml")
    assert found.listen == addresses.Listen(None, "/run/sessions.sock", 0o660)
    assert (found.hash, found.hash_tag, found.distribution) == ("murmur", "{}", "modula")
    assert (found.timeout, found.backlog, found.client_connections) == (1000, 1024, 500)
    assert (found.redis, found.redis_auth, found.redis_db) == (True, "s3cret word", 7)
    assert (found.tcpkeepalive, found.reuseport, found.preconnect) == (True, True, True)
    assert (found.server_connections, found.server_retry_timeout) == (3, 5000)
    assert found.server_failure_limit == 4
    assert [(one.name, one.target, one.weight) for one in found.servers] == [
        ("first", "unix:/run/a.sock", 2),
        ("::1:6379", "[::1]:6379", 1),
    ]
    assert (found.line_of("hash"), found.line_of("listen"), other.line_of("hash")) == (3, 2, 22)
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize(
    ("text", "name", "target", "weight"),
    [
        ("host:11211:1", "host", "host:11211", 1),
        ("host:011211:1", "host", "host:11211", 1),
        ("host:7000:3", "host:7000", "host:7000", 3),
        ("host:07000:3", "host:07000", "host:7000", 3),
        ("host:7000:3 one", "one", "host:7000", 3),
        ("::1:11211:1", "::1", "[::1]:11211", 1),
        ("fd00::5:7000:1", "fd00::5:7000", "[fd00::5]:7000", 1),
        ("/tmp/a:1", "/tmp/a:", "unix:/tmp/a", 1),  # noqa: S108 - a name, no file
        ("/tmp/a:5 a", "a", "unix:/tmp/a", 5),  # noqa: S108
    ],
)
def test_a_server_is_named_as_its_ring_has_it(
    text: str, name: str, target: str, weight: int
) -> None:
    assert addresses.server(text, 3) == addresses.Server(3, name, target, weight)


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("127.0.0.1:11211", addresses.Listen("127.0.0.1:11211", None, None)),
        ("localhost:011211", addresses.Listen("localhost:11211", None, None)),
        ("::1:11211", addresses.Listen("[::1]:11211", None, None)),
        ("/run/a", addresses.Listen(None, "/run/a", None)),
        ("/run/a 0777", addresses.Listen(None, "/run/a", 0o777)),
        ("/run/a 600", addresses.Listen(None, "/run/a", 0o600)),
        ("/run/a 0", addresses.Listen(None, "/run/a", None)),
    ],
)
def test_a_pool_listens_on_an_address_or_a_socket(text: str, listen: addresses.Listen) -> None:
    assert addresses.listen(text) == listen


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "n.yml:1: there is no pool"),
        (b"a:\n", "n.yml:1: a: has no directives"),
        (b"---\n" + pool(), "n.yml:1: --- is not read by twemproxy; leave the line out"),
        (b"a: {listen: x}\n", "n.yml:1: brackets and braces"),
        (pool("timeout: &x 3"), "n.yml:3: anchors and aliases"),
        (pool("timeout: !!int 3"), "n.yml:3: tags"),
        (pool() + b"b:\n\tlisten: 1\n", "n.yml:6: not YAML"),
        (pool() + pool(listen="127.0.0.1:2"), "n.yml:5: a: there is one in line 1 already"),
        (pool() + pool().replace(b"a:", b"b:", 1), "n.yml:6: b.listen: a listens there already"),
        (pool("tiemout: 3"), 'n.yml:3: a: "tiemout" is no directive; did you mean timeout?'),
        (pool("redis_auth SECRET: "), 'n.yml:3: a: "redis_auth …" is no directive; write a colon'),
        (pool("redis_auth=SECRET: x"), 'n.yml:3: a: "redis_auth …" is no directive; write a colon'),
        (pool("auth SECRET: x"), 'n.yml:3: a: "auth …" is no directive; '),
        (pool("sentinels: 3"), 'n.yml:3: a: "sentinels" is no directive; leave it out'),
        (pool("hash: md5\nhash: md5"), "n.yml:4: a.hash: is written twice, first in line 3"),
        (pool("redis: True"), 'n.yml:3: a.redis: "True" is neither true nor false; write true'),
        (pool("preconnect: off"), "write false"),
        (pool("timeout: -1"), 'n.yml:3: a.timeout: "-1" is no number; write digits alone'),
        (pool("timeout: 4e2"), "is no number"),
        (pool("timeout:"), "is no number"),
        (pool("timeout:\n  - 3"), "n.yml:3: a.timeout: is no single value"),
        (pool("hash: MD5"), "did you mean md5?"),
        (pool("distribution: kettama"), "did you mean ketama?"),
        (pool('hash_tag: "{"'), "is no pair of ASCII characters"),
        (pool("hash_tag: é"), "is no pair of ASCII characters"),
        (pool("server_connections: 0"), "n.yml:3: a.server_connections: 0 leaves no connection"),
        (pool("redis_auth: x"), "n.yml:3: a.redis_auth: only Redis has passwords; write redis"),
        (pool("redis: true\nredis_auth:"), "n.yml:4: a.redis_auth: is empty"),
        (pool("redis_db: 2147483648"), "out of range"),
        (pool("", "h:1:1", "h:1:2"), "n.yml:5: a.servers: h:1 is the name of the one in line 4"),
        (pool("", "h:1:1 x", "i:1:1 x"), "x is the name of the one in line 4 too"),
        (pool("", "h:1"), 'n.yml:4: a.servers: "h:1" has no port, or no weight; write h:1:1'),
        (pool("", "h"), "has no weight"),
        (pool("", "h:1:0"), "the weight 0 is out of range; write 1 to 65535"),
        (pool("", "h:1:70000"), "the weight 70000 is out of range"),
        (pool("", "h:0:1"), "has no port from 1 to 65535"),
        (pool("", "h:1:1 a b"), "write a name without blanks"),
        (pool("", "h:1:1  a"), "write a name without blanks"),
        (pool("", "':1:1'"), "has no host; write 127.0.0.1:1:1"),
        (pool("", "a: b"), "n.yml:4: a.servers: this is no line of text"),
        (pool("", "h:1:1 é"), "is no name; write 1 to 255 visible ASCII"),
        (pool(listen="11211"), 'a.listen: "11211" is no HOST:PORT; write 127.0.0.1:11211'),
        (pool(listen="':11211'"), "write 127.0.0.1:11211 for this machine alone or 0.0.0.0:11211"),
        (pool(listen="h:0"), "has no port from 1 to 65535"),
        (pool(listen="/run/a 1777"), '"1777" is no mode of a file; write it in octal'),
        (pool(listen="/run/a 888"), "is no mode of a file"),
        (pool(listen="/" + "a" * 107), "is no path of a socket"),
        (pool().replace(b"a:", b"my pool:"), '"my …" is no name of a pool'),
        (b"a:\n  listen: h:1\n", "n.yml:1: a.servers: is missing; write servers:"),
        (b"a:\n  servers:\n   - h:1:1\n", "n.yml:1: a.listen: is missing"),
        (b"a:\n  listen: h:1\n  servers:\n", "n.yml:3: a.servers: is no list"),
        (pool("timeout: \xff".encode("latin-1").decode("latin-1")), "is no number"),
        (b"a: \xff\n", "n.yml:1: not UTF-8"),
        (b"#" * (syntax.FILE_BYTES_MAX + 1), "larger than"),
        (b"a:\n" + b"".join(b" " * n + b"- \n" for n in range(1, 20)), "n.yml:"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_a_remedy(content: bytes, told: str) -> None:
    found = problems(content)
    assert any(told in problem for problem in found), found
    assert all(problem.startswith("n.yml:") and "; " in problem for problem in found), found


def test_all_mistakes_are_told_at_once() -> None:
    found = problems(pool("hash: x\ntimeout: y\nfoo: z", "h:1:0", "h:0:1"))
    assert len(found) == 5


def test_a_password_stands_in_no_mistake() -> None:
    for slip in ("redis_auth hunter2:", "redis_auth=hunter2: 1", "redis_auht hunter2:\n  - a"):
        for content in (pool(slip), f"{slip}\n".encode()):
            found = problems(content)
            assert found
            assert "hunter2" not in "".join(found)
    for text in ("hunter2" * 1000, '"hunter2\n  '):
        found = problems(pool(f"redis: true\nredis_auth: {text}"))
        assert "hunter2" not in "".join(found)


def test_many_mistakes_are_told_up_to_a_number() -> None:
    found = problems(pool("", *(f"h{n}:1:0" for n in range(500))))
    assert len(found) == 101
    assert found[-1] == "n.yml: 400 more mistakes"


def test_numbers_too_large_for_twemproxys_own_are_read_as_they_are() -> None:
    assert read(pool("timeout: 99999999999")).timeout == 99_999_999_999
