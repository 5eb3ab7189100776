"""Resources become processes, or every reason why they cannot run together."""

from __future__ import annotations

import json

import pytest

from alongside.base import errors
from alongside.plan import building, documents, shape
from alongside.resources import problems, reading

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
    return building.plan(reading.read([reading.Source("f.yaml", "/data", text)]))


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
    assert names == ["pod", "photos-0", "photos-1", "photos-router"]


def test_gives_a_container_its_words_folder_and_probe() -> None:
    app = plan(CACHE + SERVICE + POD).processes[0]
    assert app.argv == ("serve", "--port", "8000", "$(PORT)", "$(MISSING)")
    assert (app.directory, app.grace_s, app.claims) == ("/data/sub", 7.0, ("127.0.0.1:8000",))
    assert app.probe is not None
    assert (app.probe.way, app.probe.address, app.probe.path) == ("http", "127.0.0.1:8000", "/ok")


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
            CACHE
            + SERVICE
            + POD
            + POD.replace("name: pod,", "name: twin,").replace("8000", "8001"),
            "f.yaml:14: Service/app: spec.selector: Pod/pod, Pod/twin match, and as processes of "
            "one machine they cannot share one address; select one Pod",
        ),
        (
            CACHE.replace("port: 8080", "port: 8000") + SERVICE + POD,
            "f.yaml:7: ShardedCache/photos: spec.port: port 8000 of this machine is also used by "
            "Pod/pod; give one of the two another port",
        ),
        (
            CACHE + SERVICE + POD.replace("name: pod,", "name: photos-0,"),
            'f.yaml:3: ShardedCache/photos: metadata.name: its process "photos-0" has the name of '
            "one of Pod/photos-0; rename one of the two",
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
    assert app.probe is not None
    assert app.probe.address == "127.0.0.1:9000"


def test_places_shards_by_name_and_believes_only_the_loopback() -> None:
    planned = plan(CACHE + SERVICE + POD)
    addresses = {
        "photos-0": "127.0.0.1:1",
        "photos-1": "127.0.0.1:2",
        "photos-router": "127.0.0.1:3",
    }
    wanted = documents.render(planned, addresses, lambda name: f"/{name}")
    router = json.loads(wanted["photos-router"].body)
    node = json.loads(wanted["photos-1"].body)
    assert [shard["name"] for shard in router["routes"][0]["shards"]] == ["photos-0", "photos-1"]
    assert router["listeners"][0]["inner"] == []
    assert node["listeners"][0]["inner"] == ["127.0.0.0/8"]
    assert wanted["photos-router"].needs == {"photos-0", "photos-1"}


def test_what_the_data_plane_would_refuse_is_refused_before() -> None:
    addresses = {"photos-0": "127.0.0.1:1", "photos-1": "nowhere", "photos-router": "127.0.0.1:3"}
    wanted = documents.render(plan(CACHE + SERVICE + POD), addresses, lambda name: f"/{name}")
    with pytest.raises(errors.UsageError) as caught:
        documents.check(wanted)
    assert {problem.split(": ")[0] for problem in caught.value.problems} == {
        "photos-1",
        "photos-router",
    }


def test_an_address_that_is_not_bound_yet_leaves_the_router_without_document() -> None:
    wanted = documents.render(plan(CACHE + SERVICE + POD), {"photos-0": "a:1"}, lambda name: name)
    assert set(wanted) == {"photos-0"}


def test_moved_lines_change_no_process() -> None:
    text = CACHE + SERVICE + POD
    assert plan(f"# a comment\n\n{text}").processes == plan(text).processes
