"""Resources become processes, or every reason why they cannot run together."""

from __future__ import annotations

import json

import pytest

from alongside.base import errors
from alongside.plan import building, documents, shape
from alongside.resources import problems, reading, texts

CACHE = """\
apiVersion: alongside.dev/v1alpha1
kind: ShardedCache
metadata: {name: photos}
spec:
  protocol: http
  origin: {service: app, port: 80}
  port: 8080
  shards: 2
"""
SERVICE = """\
---
apiVersion: v1
kind: Service
metadata: {name: app}
spec:
  selector: {app: photos}
  ports: [{port: 80, targetPort: web}]
"""
POD = """\
---
apiVersion: v1
kind: Pod
metadata: {name: pod, labels: {app: photos}}
spec:
  terminationGracePeriodSeconds: 7
  containers:
  - name: app
    command: [serve, --port, $(PORT), $$(PORT)]
    args: [$(MISSING)]
    env: [{name: PORT, value: "8000"}]
    workingDir: sub
    ports: [{containerPort: 8000, name: web}]
    readinessProbe: {httpGet: {port: web, path: /ok}}
"""


def plan(text: str) -> shape.Plan:
    return building.plan(reading.read([texts.Source("f.yaml", "/data", text)]))


def mistakes(text: str) -> list[str]:
    with pytest.raises(problems.ResourceError) as caught:
        plan(text)
    return list(caught.value.problems)


def test_follows_an_origin_through_service_and_pod_to_the_loopback() -> None:
    assert plan(CACHE + SERVICE + POD).caches[0].origin == shape.Origin(
        "127.0.0.1:8000", process="pod"
    )


def test_orders_applications_then_nodes_then_routers() -> None:
    names = [process.name for process in plan(CACHE + SERVICE + POD).processes]
    assert names == ["pod", "photos-0-0", "photos-1-0", "photos-router-0"]


def test_a_pod_is_one_unit_with_its_ports_and_its_time_to_end() -> None:
    app = plan(CACHE + SERVICE + POD).processes[0]
    assert app.pod is not None
    (container,) = app.pod.containers
    assert container.command == ("serve", "--port", "8000", "$(PORT)")
    assert (app.name, app.grace_s, app.claims) == ("pod", 7.0, ("127.0.0.1:8000",))
    assert (app.argv, app.probe, app.group) == ((), None, "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            CACHE.replace("service: app", "service: ap") + SERVICE + POD,
            'f.yaml:6: ShardedCache/photos: spec.origin.service: no Service or Pod "ap" in these '
            'files; did you mean "app"?',
        ),
        (
            CACHE.replace("port: 80}", "port: 81}") + SERVICE + POD,
            "f.yaml:6: ShardedCache/photos: spec.origin.port: Service/app has no port 81; write 80",
        ),
        (
            CACHE + SERVICE.replace("app: photos", "app: other") + POD,
            "f.yaml:14: Service/app: spec.selector: no Pod of these files has the labels "
            "{app: other}; give it them",
        ),
        (
            CACHE + SERVICE.replace("targetPort: web", "targetPort: www") + POD,
            'f.yaml:15: Service/app: spec.ports[0].targetPort: Pod/pod has no port named "www"; '
            "name one of its ports so",
        ),
        (
            CACHE.replace("port: 8080", "port: 8000") + SERVICE + POD,
            "f.yaml:7: ShardedCache/photos: spec.port: port 8000 of this machine is also used by "
            "Pod/pod (f.yaml:28); give one of the two another port, or add --engine namespaces or "
            "docker, where each pod has a network of its own",
        ),
        (
            CACHE + SERVICE + POD.replace("name: pod,", "name: photos-0-0,"),
            'f.yaml:3: ShardedCache/photos: metadata.name: its process "photos-0-0" has the name '
            "of one of Pod/photos-0-0; rename one of the two",
        ),
    ],
)
def test_refuses_what_cannot_run_together(text: str, expected: str) -> None:
    assert mistakes(text) == [expected]


PROBED = POD.replace("ports: [{containerPort: 8000, name: web}]", "ports: PORTS")
WHERE = "f.yaml:14: Pod/pod: spec.containers[0].readinessProbe.httpGet.port: "


@pytest.mark.parametrize(
    ("ports", "port", "expected"),
    [
        (
            "[{containerPort: 8000, name: http}, {containerPort: 8001, name: admin}]",
            "htp",
            'container "app" declares no port named "htp"; did you mean "http"?',
        ),
        (
            "[{containerPort: 8000, name: http}, {containerPort: 8001, name: admin}]",
            "web",
            'container "app" declares no port named "web"; write http or admin, or a number',
        ),
        (
            "[{containerPort: 8000, name: http}]",
            "web",
            'container "app" declares no port named "web"; did you mean "http"?',
        ),
        (
            "[{containerPort: 8000}]",
            "web",
            'container "app" declares no port named "web"; give one of its ports that name, or '
            "write a number",
        ),
        (
            "[{containerPort: 8000, name: web}]",
            '"8000"',
            '"8000" is no port\'s name, which has a letter; write a name, or a number without '
            "quotes",
        ),
    ],
)
def test_refuses_a_probe_of_a_port_that_its_container_does_not_declare(
    ports: str, port: str, expected: str
) -> None:
    for way in ["httpGet", "tcpSocket"]:
        probe = f"{way}: {{port: {port}}}"
        text = PROBED.replace("PORTS", ports).replace("httpGet: {port: web, path: /ok}", probe)
        assert mistakes(text) == [WHERE.replace("httpGet", way) + expected]


def test_refuses_a_probe_of_a_port_that_only_another_container_declares() -> None:
    other = "  - {name: other, command: [x], ports: [{containerPort: 1, name: web}]}\n"
    text = PROBED.replace("PORTS", "[{containerPort: 8000}]") + other
    assert [problem.partition(": container")[2] for problem in mistakes(text)] == [
        ' "app" declares no port named "web"; give one of its ports that name, or write a number'
    ]


def test_a_probe_may_look_at_a_port_number_that_nobody_declares() -> None:
    app = plan(PROBED.replace("PORTS", "[]").replace("port: web", "port: 9000")).processes[0]
    assert app.pod is not None
    readiness = app.pod.containers[0].readiness
    assert readiness is not None
    assert (readiness.way, readiness.port, readiness.path) == ("http", 9000, "/ok")


UNPROBED = POD[: POD.index("    readinessProbe")]


def test_warns_once_of_an_origin_that_counts_as_ready_before_it_answers() -> None:
    second = "---\n" + CACHE.replace("photos", "more").replace("8080", "8081")
    other = "  - {name: other, command: [x], ports: [{containerPort: 1}]}\n"
    made = plan(CACHE + second + SERVICE + UNPROBED + other)
    assert made.warnings == (
        'f.yaml:32: Pod/pod: spec.containers[0]: container "app" is an origin without '
        "readinessProbe, so it counts as ready when it is started, and may be asked before it "
        "answers; add readinessProbe: {tcpSocket: {port: 8000}}",
    )
    unused = CACHE.replace("{service: app, port: 80}", '{url: "http://127.0.0.1:1"}')
    assert plan(unused + SERVICE + UNPROBED).warnings == ()
    assert plan(CACHE + SERVICE + POD).warnings == ()


ADDRESSES = {
    "photos-0-0": "127.0.0.1:1",
    "photos-0-1": "127.0.0.1:2",
    "photos-1-0": "127.0.0.1:3",
    "photos-1-1": "127.0.0.1:4",
    "photos-router-0": "127.0.0.1:5",
    "photos-router-1": "127.0.0.1:5",
}
TWICE = CACHE.replace("shards: 2", "shards: 2\n  replicas: 2\n  routers: 2") + SERVICE + POD


def rendered(text: str, addresses: dict[str, str] = ADDRESSES) -> dict[str, documents.Wanted]:
    return documents.render(plan(text), addresses, lambda name: f"/{name}")


def test_places_shards_by_name_and_believes_only_the_loopback() -> None:
    wanted = rendered(TWICE)
    router = json.loads(wanted["photos-router-0"].body)
    node = json.loads(wanted["photos-1-0"].body)
    assert [(shard["name"], shard["replicas"]) for shard in router["routes"][0]["shards"]] == [
        ("photos-0", ["photos-0-0", "photos-0-1"]),
        ("photos-1", ["photos-1-0", "photos-1-1"]),
    ]
    assert router["listeners"][0]["inner"] == []
    assert node["listeners"][0]["inner"] == ["127.0.0.0/8"]
    nodes = {"photos-0-0", "photos-0-1", "photos-1-0", "photos-1-1"}
    assert wanted["photos-router-0"].needs == nodes
    assert wanted["photos-router-0"].uses == nodes | {"pod"}


def test_tells_each_node_who_it_is_and_its_siblings() -> None:
    wanted = rendered(TWICE)["photos-1-0"]
    assert json.loads(wanted.body)["caches"][0]["replica"] == {
        "id": "photos-1-0",
        "siblings": [{"id": "photos-1-1", "address": "127.0.0.1:4"}],
        "warm_bytes_per_s": 32 * 2**20,
    }
    assert wanted.siblings == {"photos-1-1"}
    assert wanted.needs == set()


def test_what_a_file_says_of_failure_and_load_is_in_the_routers_document() -> None:
    text = TWICE.replace(
        "  replicas: 2\n",
        """\
  replicas: 2
  buffer: 1Mi
  fallback: next-shard
  limits: {requests: 9, perNode: 8, queue: 7, queueTimeout: 6s}
  retries: {percent: 5, attempts: 4}
  accessLog: {oneIn: 3}
  warmup: off
""",
    )
    router = json.loads(rendered(text)["photos-router-1"].body)
    (route,) = router["routes"]
    limits = router["limits"]
    assert route["origin"] == {"address": "127.0.0.1:8000", "host": None}
    assert route["buffer_bytes"] == 2**20
    assert route["retries"] == {
        "attempts_max": 4,
        "fallback": "next_shard",
        "per_second_min": 10,
        "percent": 5,
    }
    assert (limits["requests_max"], limits["upstream_requests_max"]) == (9, 8)
    assert (limits["queue_max"], limits["queue_timeout_ms"]) == (7, 6000)
    assert router["access_log"] == {"one_in": 3}
    node = json.loads(rendered(text)["photos-0-0"].body)
    assert node["caches"][0]["replica"]["warm_bytes_per_s"] is None
    documents.check(rendered(text))


def test_nodes_are_probed_as_caches_and_not_left_for_their_origins_faults() -> None:
    (route,) = json.loads(rendered(TWICE)["photos-router-0"].body)["routes"]
    health = route["health"]
    assert (health["probe"], health["interval_ms"], health["timeout_ms"]) == ("cache", 500, 500)
    assert (health["errors_max"], health["slow_times"]) == (None, None)


def test_routers_of_a_cache_share_one_socket_and_nodes_have_their_own() -> None:
    sockets = {one.name: one.sockets for one in plan(TWICE).processes if one.role != "app"}
    (shared,) = sockets["photos-router-0"]
    assert sockets["photos-router-1"] == (shared,)
    assert (shared.port, shared.shared_by) == (8080, "photos")
    assert {one.shared_by for one in sockets["photos-0-0"]} == {""}


def test_bounds_of_replicas_run_at_their_least_and_say_so() -> None:
    made = plan(TWICE.replace("replicas: 2", "replicas: {min: 1, max: 3}"))
    assert made.caches[0].nodes == ("photos-0-0", "photos-1-0")
    assert made.warnings == (
        "f.yaml:9: ShardedCache/photos: spec.replicas: each shard has min, 1; "
        "nothing scales it up to 3 yet",
    )
    assert plan(TWICE.replace("replicas: 2", "replicas: {min: 2, max: 2}")).warnings == ()


def test_refuses_more_nodes_than_a_machine_should_have() -> None:
    text = CACHE.replace("shards: 2", "shards: 100\n  replicas: 3") + SERVICE + POD
    assert mistakes(text) == [
        "f.yaml:9: ShardedCache/photos: spec.replicas: 100 shards × 3 replicas are 300 nodes, and "
        "a cache has at most 256; write at most 2 replicas"
    ]


def test_what_the_data_plane_would_refuse_is_refused_before() -> None:
    with pytest.raises(errors.UsageError) as caught:
        documents.check(rendered(TWICE, {**ADDRESSES, "photos-1-0": "nowhere"}))
    assert {problem.split(": ")[0] for problem in caught.value.problems} == {
        *("photos-1-0", "photos-1-1", "photos-router-0", "photos-router-1")
    }


def test_an_address_that_is_not_bound_yet_leaves_siblings_and_routers_without_document() -> None:
    addresses = {name: ADDRESSES[name] for name in ("photos-0-0", "photos-0-1", "photos-1-0")}
    assert set(rendered(TWICE, addresses)) == {"photos-0-0", "photos-0-1"}


def test_moved_lines_change_no_process() -> None:
    text = CACHE + SERVICE + POD
    assert plan(f"# a comment\n\n{text}").processes == plan(text).processes
