"""A cache of memcache or Redis becomes packaged servers, and routers that name them."""

from __future__ import annotations

import json

import pytest

from alongside.plan import building, choosing, documents, shape, stepping
from alongside.resources import problems, reading, texts

CACHE = """\
apiVersion: alongside.dev/v1alpha1
kind: ShardedCache
metadata: {name: sessions}
spec:
  protocol: memcache
  port: 11211
  shards: 3
"""
POD = """\
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - name: app
    command: [serve]
    ports: [{containerPort: 11211}]
"""


def resources(text: str) -> reading.Resources:
    return reading.read([texts.Source("f.yaml", "/data", text)])


def plan(*lines: str, base: str = CACHE) -> shape.Plan:
    return building.plan(resources(base + "".join(f"  {line}\n" for line in lines)))


def rendered(planned: shape.Plan) -> dict[str, documents.Wanted]:
    (pool,) = planned.pools
    addresses = {name: f"unix:/run/{name}.sock" for name in pool.servers}
    addresses |= dict.fromkeys(pool.routers, "127.0.0.1:11211")
    return documents.render(planned, addresses, lambda name: f"/run/{name}.sock")


def words(old: shape.Plan, new: shape.Plan) -> list[str]:
    return [stepping.words(action) for action in stepping.changes(old, new)]


def test_each_shard_is_a_memcached_at_a_socket_of_its_own() -> None:
    first, *others = plan("memory: 8Mi").processes
    assert [one.name for one in others] == ["sessions-1", "sessions-2", "sessions-router-0"]
    assert first.argv == (
        *("memcached", "-s", shape.OWN_SOCKET, "-a", "0600", "-u", "root"),
        *("-m", "8", "-t", "2"),
    )
    assert (first.role, first.is_data_plane, first.sockets, first.claims) == (
        *("server", False),
        *((), ()),
    )
    assert first.probe is not None
    assert first.probe.way == "memcache"


def test_a_redis_keeps_nothing_on_disk_and_evicts() -> None:
    first = plan(base=CACHE.replace("memcache", "redis")).processes[0]
    assert first.argv == (
        *("redis-server", "--port", "0", "--unixsocket", shape.OWN_SOCKET),
        *("--unixsocketperm", "600", "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"),
        *("--save", "", "--appendonly", "no", "--databases", "1"),
    )
    assert first.probe is not None
    assert first.probe.way == "redis"


def test_routers_share_one_socket_and_name_every_server_by_its_shard() -> None:
    planned = plan("routers: 2", "hashTag: '{}'", "eject: {failures: 3}", "timeout: 400ms")
    routers = [one for one in planned.processes if one.role == "router"]
    assert [one.sockets for one in routers] == [
        (shape.Socket("memcache", "127.0.0.1", 11211, "sessions"),)
    ] * 2
    wanted = rendered(planned)
    assert list(wanted) == ["sessions-router-0", "sessions-router-1"]
    one = wanted["sessions-router-1"]
    names = ["sessions-0", "sessions-1", "sessions-2"]
    assert (one.needs, one.uses) == (frozenset(names), frozenset(names))
    (pool,) = json.loads(one.body)["pools"]
    assert [(server["name"], server["address"]) for server in pool["servers"]] == [
        (name, f"unix:/run/{name}.sock") for name in names
    ]
    assert pool["placement"] == {
        "compatible_with": "twemproxy",
        "function": "ketama",
        "hash": "fnv1a_64",
        "hash_tag": "{}",
        "is_signed": True,
    }
    assert pool["ejection"] == {"failures": 3, "servers_percent_min": 50}
    assert (pool["timeout_ms"], pool["retry_ms"]) == (400, 500)


def test_an_ambassador_is_one_router_at_localhost() -> None:
    planned = plan("access: ambassador")
    assert planned.pools[0].routers == ("sessions-router-0",)
    assert planned.processes[-1].sockets[0].host == "127.0.0.1"


def test_pods_with_a_localhost_of_their_own_are_warned_of() -> None:
    drafted = building.draft(resources(CACHE + "  access: ambassador\n" + POD.replace("11", "12")))
    quiet = building.finish(drafted, choosing.Choice("process", ""))
    told = building.finish(drafted, choosing.Choice("namespaces", ""))
    assert quiet.warnings == ()
    assert told.warnings == (
        "f.yaml:8: ShardedCache/sessions: spec.access: pods of --engine namespaces have a "
        "localhost of their own, where it is not; write annotations: "
        "{alongside.dev/ambassador: sessions} into the metadata of those that ask it",
    )


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (
            POD,
            "f.yaml:6: ShardedCache/sessions: spec.port: port 11211 of this machine is also used "
            "by Pod/web (f.yaml:16); give one of the two another port, or add --engine namespaces "
            "or docker, where each pod has a network of its own",
        ),
        (
            POD.replace("name: web", "name: sessions-1").replace("11211", "80"),
            'f.yaml:3: ShardedCache/sessions: metadata.name: its process "sessions-1" has the '
            "name of one of Pod/sessions-1; rename one of the two",
        ),
    ],
)
def test_refuses_what_cannot_run_together(more: str, expected: str) -> None:
    with pytest.raises(problems.ResourceError) as caught:
        plan(base=CACHE + more)
    assert list(caught.value.problems) == [expected]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ((), (), []),
        (
            (),
            ("shards: 4",),
            ["start sessions-3", "configure sessions-router-0"],
        ),
        (
            ("shards: 4",),
            (),
            ["configure sessions-router-0", "stop sessions-3"],
        ),
        ((), ("function: modulo",), ["configure sessions-router-0"]),
        ((), ("timeout: 5s",), ["configure sessions-router-0"]),
        ((), ("routers: 2",), ["start sessions-router-1"]),
        (
            (),
            ("memory: 128Mi",),
            [
                *("stop sessions-2", "start sessions-2"),
                *("stop sessions-1", "start sessions-1"),
                *("stop sessions-0", "start sessions-0"),
            ],
        ),
    ],
)
def test_a_change_restarts_what_it_has_to_and_servers_one_by_one(
    old: tuple[str, ...], new: tuple[str, ...], expected: list[str]
) -> None:
    base = CACHE.replace("  shards: 3\n", "")
    before, after = (
        plan(*lines, *(() if any("shards" in one for one in lines) else ("shards: 3",)), base=base)
        for lines in (old, new)
    )
    assert words(before, after) == expected


def test_goes_up_servers_first_and_down_in_reverse() -> None:
    names = ["sessions-0", "sessions-1", "sessions-2", "sessions-router-0"]
    assert words(shape.Plan(), plan()) == [f"start {name}" for name in names]
    down = words(plan(), shape.Plan())
    assert down[0] == "stop sessions-router-0"
    assert sorted(down[1:]) == [f"stop {name}" for name in names[:-1]]
