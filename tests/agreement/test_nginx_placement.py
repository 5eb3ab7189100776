"""Our placement against the live nginx: no difference, but where one is stated."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import shutil
import string
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.agreement import nginx

from alongside import native

pytestmark = pytest.mark.needs("nginx")

SEED = 20260
KEYS = 100_000
METHODS = {"modulo": "hash $request_uri", "ketama": "hash $request_uri consistent"}
# Ports at which nobody listens; names of every form that nginx splits in its own way.
SERVERS = [
    nginx.Server("127.0.0.1:9", "127.0.0.1:9", weight=2),
    nginx.Server("127.0.0.2:10009", "127.0.0.2:10009"),
    nginx.Server("127.0.0.3", "127.0.0.3:80", weight=3),
    nginx.Server("[::1]:9", "[::1]:9"),
    nginx.Server("unix:/nonexistent/a.sock", "unix:/nonexistent/a.sock", weight=5),
    nginx.Server("0x7f000005:9", "127.0.0.5:9"),
]
# What a target may hold raw: no space, no percent sign, no dots that would climb out of the root.
LETTERS = (string.ascii_letters + string.digits + "-_~!$&'()*+,;=:@/?").encode() + bytes(
    range(0x80, 0x100)
)


@contextlib.contextmanager
def running(
    method: str, servers: Sequence[nginx.Server], *, tries_all: bool = False
) -> Iterator[nginx.Nginx]:
    """Run nginx in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="nginx-"))
    try:
        with nginx.running(folder, method, servers, tries_all=tries_all) as door:
            yield door
    finally:
        shutil.rmtree(folder)


def random_targets(count: int) -> list[bytes]:
    """Return targets of 1 to 40 bytes, the same in every run."""
    dice = random.Random(SEED)  # noqa: S311 - a seeded trace
    return [b"/" + bytes(dice.choices(LETTERS, k=dice.randrange(40))) for _ in range(count)]


def request(target: bytes, *fields: bytes) -> bytes:
    """Return a request's head."""
    return b"\r\n".join([b"GET %b HTTP/1.1" % target, b"host: x", *fields, b"", b""])


def placement(function: str, servers: Sequence[nginx.Server]) -> native.Placement:
    """Return our placement over the same names and weights."""
    return native.Placement(function, [(server.name, server.weight) for server in servers])


def differences(ours: Sequence[object], theirs: Sequence[object]) -> int:
    """Count where two equally long lists differ."""
    return sum(1 for our, their in zip(ours, theirs, strict=True) if our != their)


@pytest.mark.parametrize("function", METHODS)
def test_no_key_goes_elsewhere_than_with_nginx(function: str) -> None:
    targets = random_targets(KEYS)
    with running(METHODS[function], SERVERS) as door:
        theirs = door.chosen([request(target) for target in targets])
    ours = placement(function, SERVERS).shards(targets)
    assert differences(ours, theirs) == 0
    assert set(theirs) == set(range(len(SERVERS)))


@pytest.mark.parametrize("function", METHODS)
def test_keys_of_a_server_that_is_down_go_where_nginx_sends_them(function: str) -> None:
    targets = random_targets(KEYS // 10)
    down = 4
    servers = [
        dataclasses.replace(server, is_down=index == down) for index, server in enumerate(SERVERS)
    ]
    live = [index != down for index in range(len(servers))]
    with running(METHODS[function], servers) as door:
        theirs = door.chosen([request(target) for target in targets])
    ours = placement(function, servers)
    assert differences([ours.shard_among(target, live) for target in targets], theirs) == 0
    assert ours.shards(targets).count(down) > 0


@pytest.mark.parametrize("function", METHODS)
def test_one_failure_after_the_other_leads_the_same_way(function: str) -> None:
    targets = random_targets(KEYS // 20)
    with running(METHODS[function], SERVERS, tries_all=True) as door:
        theirs = [tried[:3] for tried in door.tried([request(target) for target in targets])]
    ours = placement(function, SERVERS)
    assert differences([first_three(ours, target) for target in targets], theirs) == 0


def first_three(ours: native.Placement, key: bytes) -> list[int | None]:
    """Return the shards of a key when each found is dead the next time."""
    live = [True] * len(SERVERS)
    found: list[int | None] = []
    for _ in range(3):
        shard = ours.shard_among(key, live)
        found.append(shard)
        if shard is not None:
            live[shard] = False
    return found


def test_a_key_expression_is_the_text_that_nginx_hashes() -> None:
    key = native.Key(
        'request.uri + "|" + request.headers["x-user"] + request.cookies["sid"]'
        ' + request.query["id"] + request.ip'
    )
    method = 'hash "$request_uri|$http_x_user$cookie_sid$arg_id$remote_addr" consistent'
    dice = random.Random(SEED)  # noqa: S311 - a seeded trace
    targets: list[bytes] = []
    fields: list[list[tuple[str, bytes]]] = []
    for number in range(KEYS // 20):
        targets.append(b"/a%%20b?x=%d&id=%d%%2f&id=7" % (number, dice.randrange(1000)))
        cookies = b"a=sid=1; sid=%d ; sid=3" % dice.randrange(1000)
        fields.append([("X-User", b"u%d" % dice.randrange(1000)), ("Cookie", cookies)])
    heads = [
        request(target, *(b"%b: %b" % (name.encode(), value) for name, value in pairs))
        for target, pairs in zip(targets, fields, strict=True)
    ]
    with running(method, SERVERS) as door:
        theirs = door.chosen(heads)
    keys = [
        key.evaluate(target, pairs, "127.0.0.1")
        for target, pairs in zip(targets, fields, strict=True)
    ]
    assert differences(placement("ketama", SERVERS).shards(keys), theirs) == 0


def tied_ports() -> tuple[int, int, int]:
    """Return two ports of 127.0.0.1 whose rings share a point, and that point."""
    owners: dict[int, int] = {}
    for port in range(10_000, 65_536):
        base = zlib.crc32(b"127.0.0.1\0%d" % port)
        point = 0
        for _ in range(160):
            point = zlib.crc32(point.to_bytes(4, "little"), base)
            if owners.setdefault(point, port) != port:
                return owners[point], port, point
    pytest.fail("no two ports share a point")


def test_of_two_servers_with_one_point_nginx_takes_the_first_and_we_the_lesser_name() -> None:
    lesser, greater, point = tied_ports()
    servers = [nginx.Server(name, name) for name in (f"127.0.0.1:{lesser}", f"127.0.0.1:{greater}")]
    targets = random_targets(KEYS // 20)
    points = sorted(p for server in servers for p in ring_points(server))
    below = points[points.index(point) - 1]
    on_the_tie = [below < zlib.crc32(target) <= point for target in targets]
    with running(METHODS["ketama"], servers) as door:
        in_order = door.chosen([request(target) for target in targets])
    with running(METHODS["ketama"], servers[::-1]) as door:
        reversed_ = door.chosen([request(target) for target in targets])
    ours = placement("ketama", servers).shards(targets)
    ours_reversed = placement("ketama", servers[::-1]).shards(targets)
    assert differences(ours, in_order) == 0
    assert [1 - shard for shard in ours_reversed] == ours
    found = [our != their for our, their in zip(ours_reversed, reversed_, strict=True)]
    assert found == on_the_tie
    assert any(on_the_tie)


def ring_points(server: nginx.Server) -> set[int]:
    """Return the points of a `HOST:PORT` of weight 1."""
    base = zlib.crc32(server.name.encode().replace(b":", b"\0"))
    found: list[int] = [0]
    for _ in range(160):
        found.append(zlib.crc32(found[-1].to_bytes(4, "little"), base))
    return set(found[1:])
