"""Pods, workloads and Services become units, groups and origins, as their engine has them."""

from __future__ import annotations

import json

import pytest

from alongside.plan import building, choosing, commands, documents, shape
from alongside.resources import problems, reading, texts

CACHE = """\
apiVersion: alongside.dev/v1alpha1
kind: ShardedCache
metadata: {name: photos}
spec:
  protocol: http
  origin: {service: web, port: 80}
  shards: 1
"""
SERVICE = """\
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: http}]
"""
DEPLOYMENT = """\
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 5
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: app
        image: example/app:1
        ports: [{containerPort: 8000, name: http}]
        readinessProbe: {tcpSocket: {port: http}}
"""
STATEFUL_SET = """\
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 3
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers: [{name: db, image: memcached, ports: [{containerPort: 11211}]}]
"""
KNOWN = commands.Commands({}, {})
APP = commands.Commands({"example/app": ("serve", "now")}, {})


def drafted(text: str) -> building.Draft:
    return building.draft(reading.read([texts.Source("f.yaml", "/data", text)]))


def plan(
    text: str, engine: shape.EngineName = "namespaces", known: commands.Commands = APP
) -> shape.Plan:
    return building.finish(drafted(text), choosing.Choice(engine, "so"), known)


def test_pods_of_a_stateful_set_come_one_after_the_other() -> None:
    made = plan(STATEFUL_SET)
    assert [(one.name, one.after, one.group) for one in made.processes] == [
        ("db-0", (), "StatefulSet/db"),
        ("db-1", ("db-0",), "StatefulSet/db"),
        ("db-2", ("db-1",), "StatefulSet/db"),
    ]
    assert made.workloads == (shape.Workload("StatefulSet/db", "ordered"),)
    assert (made.engine, made.engine_reason) == ("namespaces", "so")


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable"), [(0, 0, 1), (1, 1, 0), (4, 1, 1), (5, 2, 1), (9, 3, 2)]
)
def test_a_deployment_may_have_a_quarter_more_or_fewer_pods_meanwhile(
    replicas: int, surge: int, unavailable: int
) -> None:
    made = plan(DEPLOYMENT.replace("replicas: 5", f"replicas: {replicas}"))
    assert len(made.processes) == replicas
    assert made.workloads == (shape.Workload("Deployment/web", "rolling", surge, unavailable),)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("{type: Recreate}", shape.Workload("Deployment/web", "recreate")),
        (
            "{rollingUpdate: {maxSurge: 0, maxUnavailable: 2}}",
            shape.Workload("Deployment/web", "rolling", 0, 2),
        ),
        (
            '{rollingUpdate: {maxSurge: "50%", maxUnavailable: 0}}',
            shape.Workload("Deployment/web", "rolling", 3, 0),
        ),
        (
            '{rollingUpdate: {maxSurge: 0, maxUnavailable: "10%"}}',
            shape.Workload("Deployment/web", "rolling", 0, 1),
        ),
    ],
)
def test_a_deployment_is_replaced_by_its_strategy(strategy: str, expected: shape.Workload) -> None:
    text = DEPLOYMENT.replace("  replicas: 5", f"  replicas: 5\n  strategy: {strategy}")
    assert plan(text).workloads == (expected,)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("{type: Recreate, rollingUpdate: {}}", "Recreate has no rollingUpdate"),
        (
            '{rollingUpdate: {maxSurge: 0, maxUnavailable: "0%"}}',
            "with neither maxSurge nor maxUnavailable no pod is ever replaced",
        ),
        ("{rollingUpdate: {maxSurge: many}}", '"many" is no number of pods; write one such as 1'),
    ],
)
def test_a_strategy_that_moves_nothing_is_refused(strategy: str, expected: str) -> None:
    with pytest.raises(problems.ResourceError) as caught:
        plan(DEPLOYMENT.replace("  replicas: 5", f"  replicas: 5\n  strategy: {strategy}"))
    (problem,) = caught.value.problems
    assert problem.startswith("f.yaml:")
    assert expected in problem


ROOM = "add --engine namespaces or docker, where each pod has a network of its own"


def test_pods_on_one_port_are_refused_as_processes_and_nowhere_else() -> None:
    with pytest.raises(problems.ResourceError) as caught:
        plan(STATEFUL_SET, "process")
    assert caught.value.problems == (
        "f.yaml:12: StatefulSet/db: spec.template.spec.containers[0].ports[0].containerPort: port "
        f"11211 of 127.0.0.1 is needed by each of its pods, db-0, db-1 and 1 more; {ROOM}, or "
        "write replicas: 1",
    )
    assert plan(STATEFUL_SET, "namespaces").processes[0].claims == ()
    assert plan(STATEFUL_SET, "docker").processes[0].claims == ()


def test_pods_that_are_told_their_address_have_one_each_as_processes() -> None:
    told = "env: [{name: ADDRESS, valueFrom: {fieldRef: {fieldPath: status.podIP}}}], ports"
    made = plan(STATEFUL_SET.replace("ports", told), "process")
    claims = [claim for process in made.processes for claim in process.claims]
    assert len(set(claims)) == 3
    for claim in claims:
        assert claim.startswith("127.")
        assert claim.endswith(":11211")
        assert claim != "127.0.0.1:11211"


@pytest.mark.parametrize(
    ("words", "is_doubtful"),
    [
        ("", True),
        ("args: [-l, '0.0.0.0'], ", True),
        ("args: [-l, $(ADDRESS)], ", False),
        ("command: [sh, -c, 'serve $ADDRESS'], ", False),
        ("command: [sh, -c, 'serve $ADDRESS_FILE'], ", True),
        ("args: [--no-REAL_ADDRESS], ", True),
    ],
)
def test_it_is_doubted_that_pods_listen_where_no_word_of_theirs_says_so(
    words: str, is_doubtful: bool
) -> None:
    told = (
        f"{words}env: [{{name: ADDRESS, valueFrom: {{fieldRef: {{fieldPath: status.podIP}}}}}}], "
    )
    draft = drafted(STATEFUL_SET.replace("ports", f"{told}ports"))
    assert (bool(draft.doubts()), draft.clashes()) == (is_doubtful, [])


def test_a_port_of_the_host_is_claimed_whatever_the_engine_and_once() -> None:
    text = STATEFUL_SET.replace("11211}", "11211, hostPort: 9}")
    with pytest.raises(problems.ResourceError, match=r"port 9 of 127\.0\.0\.1 is needed by each"):
        drafted(text)
    made = plan(text.replace("replicas: 3", "replicas: 1"), "docker")
    assert made.processes[0].claims == ("127.0.0.1:9",)


@pytest.mark.parametrize("port", ["{containerPort: 9}", "{containerPort: 9, hostPort: 9}"])
def test_no_engine_has_room_for_two_that_are_on_the_network_of_the_host(port: str) -> None:
    spec = f"containers: [{{name: a, image: example/app, ports: [{port}]}}]"
    text = STATEFUL_SET[: STATEFUL_SET.index("    spec:")]
    text += f"    spec:\n      hostNetwork: true\n      {spec}\n"
    with pytest.raises(problems.ResourceError) as caught:
        drafted(text)
    (found,) = caught.value.found
    assert found.message.endswith("; write replicas: 1")


def test_a_port_of_the_host_stays_one_where_it_is_the_containers_own() -> None:
    text = STATEFUL_SET.replace("11211}", "11211, hostPort: 11211}").replace("replicas: 3", "")
    (claim,) = drafted(text).claims("process")
    assert claim.is_fixed


def test_an_origin_with_pods_behind_a_service_is_reached_where_that_is_served() -> None:
    made = plan(CACHE + SERVICE + DEPLOYMENT)
    (cache,) = made.caches
    names = [process.name for process in made.processes if process.role == "app"]
    assert cache.origin == shape.Origin(
        "", process=names[0], others=tuple(names[1:]), service="web:80"
    )
    addresses = {"photos-0-0": "127.0.0.1:1", "photos-router-0": "127.0.0.1:2"}
    assert documents.render(made, addresses, lambda name: f"/{name}") == {}
    addresses[documents.service("web:80")] = "127.0.0.1:8080"
    wanted = documents.render(made, addresses, lambda name: f"/{name}")
    assert json.loads(wanted["photos-0-0"].body)["caches"][0]["origin"]["address"] == (
        "127.0.0.1:8080"
    )
    assert wanted["photos-0-0"].uses == set(names)
    assert wanted["photos-router-0"].origins == {names[0]}


@pytest.mark.parametrize("engine", ["namespaces", "docker"])
def test_an_origin_that_is_a_pod_of_another_network_gets_a_service(
    engine: shape.EngineName,
) -> None:
    text = CACHE.replace("{service: web, port: 80}", "{service: db-0, port: 11211}") + STATEFUL_SET
    made = plan(text, engine)
    assert made.caches[0].origin == shape.Origin("", process="db-0", service="db-0-origin:11211")
    (service,) = made.services
    assert (service.name, service.endpoints[0][0].pod) == ("db-0-origin", "db-0")


def test_an_origin_with_one_pod_is_asked_directly_as_a_process() -> None:
    made = plan(CACHE + SERVICE + DEPLOYMENT.replace("replicas: 5", "replicas: 1"), "process")
    (app, *_) = made.processes
    assert made.caches[0].origin == shape.Origin("127.0.0.1:8000", process=app.name)
    assert made.warnings == ()


def test_each_template_of_an_origin_without_probe_is_warned_of_once() -> None:
    text = CACHE + SERVICE + DEPLOYMENT
    made = plan("".join(line for line in text.splitlines(True) if "readiness" not in line))
    (warning,) = made.warnings
    assert 'container "app" is an origin without readinessProbe' in warning


def test_an_image_that_nothing_stands_for_is_named_once_with_its_line() -> None:
    with pytest.raises(problems.ResourceError) as caught:
        plan(DEPLOYMENT, "namespaces", KNOWN)
    (problem,) = caught.value.problems
    assert problem.startswith(
        "f.yaml:13: Deployment/web: spec.template.spec.containers[0].image: nothing says which "
        'program of this machine stands for "example/app:1"; write command: [PROGRAM], the '
        "annotation alongside.dev/command.app: PROGRAM, or app: [PROGRAM] into a file for --images"
    )
    assert plan(DEPLOYMENT, "docker", KNOWN).processes


def test_what_stands_for_an_image_is_part_of_the_pod() -> None:
    pods = [one.pod for one in plan(DEPLOYMENT).processes if one.pod is not None]
    assert {pod.containers[0].stand_in for pod in pods} == {("serve", "now")}


def test_a_job_that_runs_some_at_a_time_waits_for_their_ends() -> None:
    text = """\
apiVersion: batch/v1
kind: Job
metadata: {name: work}
spec:
  completions: 3
  parallelism: 2
  backoffLimit: 1
  activeDeadlineSeconds: 9
  template: {spec: {restartPolicy: Never, containers: [{name: w, command: [work]}]}}
"""
    made = plan(text)
    assert [(one.name, one.after_end) for one in made.processes] == [
        ("work-0", ()),
        ("work-1", ()),
        ("work-2", ("work-0",)),
    ]
    assert made.jobs == (shape.Job("Job/work", 1, 9.0),)


NODE_PORT = """\
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  type: NodePort
  selector: {{app: web}}
  ports:
  - {{port: 80, nodePort: 30080}}
"""


def test_two_equal_node_ports_are_refused_with_their_places() -> None:
    text = DEPLOYMENT + NODE_PORT.format(name="a") + NODE_PORT.format(name="b")
    with pytest.raises(problems.ResourceError) as refused:
        drafted(text)
    first = DEPLOYMENT.count("\n") + NODE_PORT.count("\n")
    assert str(refused.value) == (
        f"f.yaml:{first + NODE_PORT.count(chr(10))}: Service/b: spec.ports[0].nodePort: port 30080 "
        f"of this machine is also used by Service/a:80 (f.yaml:{first}); "
        "give one of the two another port"
    )
