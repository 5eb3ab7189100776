"""Pods with a network of their own get an ambassador there, or routers behind a Service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alongside.plan import building, choosing, claiming, documents, places, pods, shape, stepping
from alongside.resources import problems, reading, texts

CACHE = """\
apiVersion: alongside.dev/v1alpha1
kind: ShardedCache
metadata: {{name: {name}}}
spec: {{protocol: {protocol}, access: {access}, shards: {shards}, routers: {routers}{more}}}
---
"""
POD = """\
apiVersion: v1
kind: Pod
metadata: {{name: web, annotations: {{{annotations}}}}}
spec:
  hostNetwork: {host}
  initContainers: [{{name: first, image: i}}]
  containers:
  - name: {container}
    image: i
    args: [$(SESSIONS_SERVICE_HOST)]
    ports: [{{containerPort: {port}}}]
"""
ASKS = "alongside.dev/ambassador: sessions"
PLACES = places.Below(Path("/run"))
SITE = claiming.Site(places=PLACES)


def cache(
    name: str = "sessions",
    *,
    protocol: str = "memcache",
    access: str = "ambassador",
    shards: int = 2,
    more: str = ", port: 11211",
) -> str:
    routers = 1 if access == "ambassador" else 2
    return CACHE.format(
        name=name, protocol=protocol, access=access, shards=shards, routers=routers, more=more
    )


def pod(
    annotations: str = ASKS, *, container: str = "app", port: int = 8000, host: str = "false"
) -> str:
    return POD.format(annotations=annotations, container=container, port=port, host=host)


def plan(text: str, engine: shape.EngineName = "namespaces") -> shape.Plan:
    read = reading.read([texts.Source("f.yaml", "/data", text)])
    return building.finish(building.draft(read, site=SITE), choosing.Choice(engine, ""))


def web(planned: shape.Plan) -> pods.Pod:
    found = planned.process("web")
    assert found is not None
    assert found.pod is not None
    return found.pod


def rendered(planned: shape.Plan) -> dict[str, documents.Wanted]:
    names = [name for pool in planned.pools for name in pool.servers]
    addresses = {name: f"unix:/run/x/{name}.sock" for name in names}
    return documents.render(planned, addresses, lambda name: f"/run/{name}.sock")


@pytest.mark.parametrize("engine", ["namespaces", "docker"])
def test_a_pod_that_asks_has_an_ambassador_before_all_its_containers(
    engine: shape.EngineName,
) -> None:
    planned = plan(cache() + pod(), engine)
    first, *others = web(planned).containers
    assert [one.name for one in others] == ["first", "app"]
    assert (first.name, first.kind, first.is_ours, first.is_read_only) == (
        *("ambassador", "sidecar"),
        *(True, True),
    )
    assert first.args == ("--document", "/alongside/own/document.json")
    assert first.readiness is not None
    assert (first.readiness.way, first.readiness.path) == ("admin", "/run/web~/admin.sock")
    sources = {volume.name: volume.path for volume in web(planned).volumes}
    assert {mount.path: (sources[mount.volume], mount.is_read_only) for mount in first.mounts} == {
        "/alongside/own": ("/run/web~", False),
        "/alongside/0": ("/run/sessions", True),
    }
    assert planned.warnings == ()


def test_its_document_names_servers_where_it_sees_them() -> None:
    both = cache() + cache("carts", protocol="redis", more=", port: 6379")
    wanted = rendered(plan(both + pod("alongside.dev/ambassador: 'sessions, carts'")))
    assert list(wanted) == ["web"]  # this machine's own wait for an address
    one = wanted["web"]
    assert one.needs == one.uses == {"sessions-0", "sessions-1", "carts-0", "carts-1"}
    body = json.loads(one.body)
    assert [(one["name"], one["address"], one["serves"]) for one in body["listeners"]] == [
        ("sessions", "127.0.0.1:11211", "sessions"),
        ("carts", "127.0.0.1:6379", "carts"),
    ]
    assert [server["address"] for pool in body["pools"] for server in pool["servers"]] == [
        "unix:/alongside/0/sessions-0.sock",
        "unix:/alongside/0/sessions-1.sock",
        "unix:/alongside/1/carts-0.sock",
        "unix:/alongside/1/carts-1.sock",
    ]
    assert body["admin"] == {"path": "/alongside/own/admin.sock"}
    documents.check(wanted)


def test_another_server_restarts_no_pod_and_is_there_before_it_is_named() -> None:
    two, three = plan(cache() + pod()), plan(cache(shards=3) + pod())
    assert [stepping.words(one) for one in stepping.changes(two, three)] == [
        "start sessions-2",
        "configure web",
        "configure sessions-router-0",
    ]
    assert [stepping.words(one) for one in stepping.changes(three, two)] == [
        "configure web",
        "configure sessions-router-0",
        "stop sessions-2",
    ]


@pytest.mark.parametrize(
    ("text", "engine", "has_own", "port"),
    [
        (pod(), "process", False, 11211),
        (pod(), "namespaces", True, 0),
        (pod(host="true"), "namespaces", False, 11211),
        (pod(""), "namespaces", False, 11211),
    ],
)
def test_the_machines_own_leaves_its_number_to_others_where_pods_have_theirs(
    text: str, engine: shape.EngineName, port: int, *, has_own: bool
) -> None:
    planned = plan(cache() + text, engine)
    assert (web(planned).container("ambassador") is not None) == has_own
    router = planned.process("sessions-router-0")
    assert router is not None
    assert [socket.port for socket in router.sockets] == [port]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            cache() + pod("alongside.dev/ambassador: session"),
            "f.yaml:8: Pod/web: metadata.annotations.alongside.dev/ambassador: there is no cache "
            '"session" of memcache or Redis; did you mean "sessions"?',
        ),
        (
            cache() + pod("alongside.dev/ambassador: 'sessions,'"),
            'f.yaml:8: Pod/web: metadata.annotations.alongside.dev/ambassador: "sessions," is no '
            "list of names; write NAME, or NAME,OTHER",
        ),
        (
            cache(access="service") + pod(),
            'f.yaml:8: Pod/web: metadata.annotations.alongside.dev/ambassador: cache "sessions" '
            "is of access: service; write access: ambassador there",
        ),
        (
            cache(more="") + pod(),
            "f.yaml:4: ShardedCache/sessions: spec.port: is missing, and Pod/web asks it there; "
            "write 11211",
        ),
        (
            cache()
            + cache("carts", more=", port: 11212").replace("11212", "11211")
            + pod("alongside.dev/ambassador: 'sessions, carts'"),
            'f.yaml:13: Pod/web: metadata.annotations.alongside.dev/ambassador: "sessions" and '
            '"carts" have one port, 11211; give one of the two another',
        ),
        (
            cache() + pod(container="ambassador"),
            "f.yaml:8: Pod/web: metadata.annotations.alongside.dev/ambassador: its ambassador "
            'needs the name of its container "ambassador"; rename that',
        ),
        (
            cache() + pod(port=11211),
            "f.yaml:8: Pod/web: metadata.annotations.alongside.dev/ambassador: port 11211 is where "
            'cache "sessions" is asked, and also of container "app"; give one of the two another',
        ),
    ],
)
def test_refuses_what_no_ambassador_can_be_made_of(text: str, message: str) -> None:
    with pytest.raises(problems.ResourceError) as caught:
        plan(text)
    assert message in str(caught.value)


def test_shared_routers_are_pods_behind_a_service_where_pods_have_a_network() -> None:
    planned = plan(cache(access="service") + pod(""))
    (service,) = planned.services
    assert (service.name, service.ports[0].number, service.is_published) == (
        *("sessions", 11211),
        False,
    )
    routers = ("sessions-router-0", "sessions-router-1")
    assert service.endpoints == (tuple(pods.Endpoint(name, 11211) for name in routers),)
    wanted = rendered(planned)
    assert tuple(wanted) == routers
    body = json.loads(wanted["sessions-router-1"].body)
    assert [one["address"] for one in body["listeners"]] == ["0.0.0.0:11211"]
    for name in routers:
        found = planned.process(name)
        assert found is not None
        assert found.pod is not None
        assert [one.is_ours for one in found.pod.containers] == [True]
        assert planned.workload(found.group) is not None  # one after the other
    assert web(planned).container("ambassador") is None
    documents.check(wanted)


def test_variables_tell_processes_of_shared_routers_as_of_a_service() -> None:
    found = web(plan(cache(access="service") + pod(""), "process")).container("app")
    assert found is not None
    told = {one.name: one.value for one in found.variables}
    assert told["SESSIONS_SERVICE_HOST"] == "127.0.0.1"
    assert told["SESSIONS_SERVICE_PORT"] == "11211"
    assert found.late == ("SESSIONS_SERVICE_HOST",)
    free = web(plan(cache(access="service", more="") + pod(""), "process")).container("app")
    assert free is not None
    assert free.variables == ()  # its port is not known before it is bound


def test_a_service_of_the_caches_name_is_refused() -> None:
    service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: sessions}\nspec: "
    service += "{selector: {a: b}, ports: [{port: 1}]}\n"
    with pytest.raises(problems.ResourceError, match="a Service has its name"):
        plan(cache(access="service") + pod("") + service)
