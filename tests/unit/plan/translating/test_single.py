"""A pod is translated whole: order, volumes, mounts, ports, probes; what does not fit is told."""

from __future__ import annotations

import pytest
from tests.unit.plan.translating import kinds

from alongside.plan import pods

CONFIG = kinds.document("ConfigMap", "cm", data={"b.conf": "B", "a": "A"}, binaryData={"c": "AAE="})
SECRET = kinds.document("Secret", "se", data={"pw": "aHVudGVyMg=="}, stringData={"user": "bob"})
MIB = 2**20


def volume(source: dict[str, object], *others: kinds.Written) -> pods.Volume:
    wanted = kinds.pod(volumes=[{"name": "v", **source}])
    (found,) = kinds.translated(wanted, *others).units[0].pod.volumes
    return found


def test_keeps_init_containers_sidecars_and_others_apart_and_in_order() -> None:
    spec: kinds.Written = {
        "restartPolicy": "OnFailure",
        "initContainers": [
            kinds.container("one"),
            kinds.container("two", restartPolicy="Always"),
            kinds.container("three"),
        ],
        "containers": [kinds.container("b"), kinds.container("a")],
    }
    (unit,) = kinds.translated(kinds.pod(**spec)).units
    assert [(one.name, one.kind, one.restart) for one in unit.pod.containers] == [
        ("one", "init", "on-failure"),
        ("two", "sidecar", "always"),
        ("three", "init", "on-failure"),
        ("b", "main", "on-failure"),
        ("a", "main", "on-failure"),
    ]


def test_takes_over_what_a_pod_says_of_itself() -> None:
    (unit,) = kinds.translated(
        kinds.pod(
            "web",
            {"app": "x"},
            terminationGracePeriodSeconds=0,
            activeDeadlineSeconds=9,
            shareProcessNamespace=True,
            hostNetwork=True,
            hostname="h",
            subdomain="s",
            hostAliases=[{"ip": "10.0.0.1", "hostnames": ["a", "b.c"]}],
            enableServiceLinks=False,
        )
    ).units
    pod = unit.pod
    assert (pod.grace_s, pod.deadline_s, pod.shares_pids, pod.uses_host_network) == (
        0,
        9,
        True,
        True,
    )
    assert (pod.hostname, pod.subdomain, pod.links_services) == ("h", "s", False)
    assert pod.aliases == (("10.0.0.1", ("a", "b.c")),)
    assert (pod.labels, pod.folder, pod.place) == ((("app", "x"),), "/data", "f.yaml:1: Pod/web")
    assert kinds.translated(kinds.pod()).units[0].pod.grace_s == 30.0


def test_takes_over_what_a_container_says_of_itself() -> None:
    found = kinds.only(
        kinds.pod(
            securityContext={"runAsUser": 1, "runAsGroup": 2},
            containers=[
                kinds.container(
                    command=["c"],
                    args=["d"],
                    workingDir="sub",
                    tty=True,
                    resources={"limits": {"cpu": "100m", "memory": "128Mi"}},
                    securityContext={
                        "runAsUser": 0,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"add": ["NET_ADMIN"]},
                    },
                )
            ],
        )
    )
    assert (found.image, found.command, found.args) == ("x", ("c",), ("d",))
    assert (found.directory, found.is_terminal, found.is_read_only) == ("/data/sub", True, True)
    assert (found.cpu_millis, found.memory_bytes) == (100, 128 * MIB)
    assert (found.user, found.group, found.added_capabilities) == (0, 2, ("NET_ADMIN",))


def test_a_container_without_a_folder_starts_where_its_image_says() -> None:
    assert kinds.only(kinds.pod()).directory == ""
    absolute = kinds.pod(containers=[kinds.container(workingDir="/srv")])
    assert kinds.only(absolute).directory == "/srv"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({}, pods.Volume("v", "empty")),
        ({"emptyDir": {}}, pods.Volume("v", "empty")),
        (
            {"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            pods.Volume("v", "memory", size_bytes=MIB),
        ),
        (
            {"hostPath": {"path": "/h", "type": "Directory"}},
            pods.Volume("v", "host", path="/h", host_type="Directory"),
        ),
    ],
)
def test_makes_a_volume(source: dict[str, object], expected: pods.Volume) -> None:
    assert volume(source) == expected


def test_fills_a_volume_with_a_config_map() -> None:
    found = volume({"configMap": {"name": "cm", "defaultMode": 0o600}}, CONFIG)
    assert found.files == (
        pods.File("a", b"A", 0o600),
        pods.File("b.conf", b"B", 0o600),
        pods.File("c", b"\0\1", 0o600),
    )
    assert (found.kind, found.sources, found.is_secret) == ("files", ("ConfigMap/cm",), False)


def test_fills_a_volume_with_chosen_keys_under_other_names() -> None:
    items = [{"key": "a", "path": "x/y", "mode": 0o400}, {"key": "b.conf", "path": "z"}]
    found = volume({"configMap": {"name": "cm", "items": items}}, CONFIG)
    assert found.files == (pods.File("x/y", b"A", 0o400), pods.File("z", b"B", 0o644))


def test_fills_a_volume_with_a_secret() -> None:
    found = volume({"secret": {"secretName": "se"}}, SECRET)
    assert found.files == (pods.File("pw", b"hunter2"), pods.File("user", b"bob"))
    assert (found.is_secret, "hunter2" in repr(found)) == (True, False)


def test_what_is_optional_may_be_missing() -> None:
    assert volume({"configMap": {"name": "no", "optional": True}}).files == ()
    items = [{"key": "no", "path": "x"}, {"key": "a", "path": "y"}]
    some = volume({"configMap": {"name": "cm", "optional": True, "items": items}}, CONFIG)
    assert [file.path for file in some.files] == ["y"]


def test_fills_a_volume_with_what_a_pod_is_told_of_itself() -> None:
    items = [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}, "mode": 0o400},
        {"path": "one", "fieldRef": {"fieldPath": "metadata.labels['app']"}},
        {
            "path": "cpu",
            "resourceFieldRef": {"containerName": "a", "resource": "limits.cpu", "divisor": "1m"},
        },
    ]
    wanted = kinds.pod(
        "web",
        {"z": 'say "\\"', "app": "x"},
        volumes=[{"name": "v", "downwardAPI": {"items": items}}],
        containers=[kinds.container(resources={"limits": {"cpu": "0.25"}})],
    )
    (found,) = kinds.translated(wanted).units[0].pod.volumes
    assert [(file.path, file.content, file.mode) for file in found.files] == [
        ("labels", b'app="x"\nz="say \\"\\\\\\""', 0o644),
        ("name", b"web", 0o400),
        ("one", b"x", 0o644),
        ("cpu", b"250", 0o644),
    ]


def test_projects_several_sources_into_one_folder() -> None:
    items = [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]
    sources = [
        {"configMap": {"name": "cm", "items": [{"key": "a", "path": "a"}]}},
        {"secret": {"name": "se"}},
        {"downwardAPI": {"items": items}},
    ]
    found = volume({"projected": {"sources": sources, "defaultMode": 0o440}}, CONFIG, SECRET)
    assert [(file.path, file.mode) for file in found.files] == [
        *(("a", 0o440), ("pw", 0o440), ("user", 0o440), ("name", 0o440))
    ]
    assert (found.sources, found.is_secret) == (("ConfigMap/cm", "Secret/se", "downwardAPI"), True)


def test_mounts_files_for_reading_only() -> None:
    found = kinds.only(
        kinds.pod(
            volumes=[{"name": "e"}, {"name": "f", "configMap": {"name": "cm"}}],
            containers=[
                kinds.container(
                    env=[{"name": "N", "value": "n"}],
                    volumeMounts=[
                        {"name": "e", "mountPath": "/e/", "subPathExpr": "x/$(N)"},
                        {"name": "e", "mountPath": "/r", "readOnly": True, "subPath": "s"},
                        {"name": "f", "mountPath": "/f"},
                    ],
                )
            ],
        ),
        CONFIG,
    )
    assert found.mounts == (
        pods.Mount("e", "/e", "x/n"),
        pods.Mount("e", "/r", "s", is_read_only=True),
        pods.Mount("f", "/f", is_read_only=True),
    )


def test_translates_probes_and_hooks() -> None:
    found = kinds.only(
        kinds.pod(
            containers=[
                kinds.container(
                    ports=[{"containerPort": 80, "name": "web", "hostPort": 8080}],
                    startupProbe={"grpc": {"port": 5, "service": "s"}, "failureThreshold": 30},
                    readinessProbe={
                        "httpGet": {
                            "port": "web",
                            "path": "ok",
                            "scheme": "HTTPS",
                            "host": "h",
                            "httpHeaders": [{"name": "A", "value": "b"}],
                        },
                        "initialDelaySeconds": 1,
                        "periodSeconds": 2,
                        "timeoutSeconds": 3,
                        "successThreshold": 4,
                    },
                    livenessProbe={
                        "exec": {"command": ["x", "y"]},
                        "terminationGracePeriodSeconds": 6,
                    },
                    lifecycle={
                        "postStart": {"httpGet": {"port": "web"}},
                        "preStop": {"sleep": {"seconds": 7}},
                    },
                )
            ]
        )
    )
    assert found.ports == (pods.Port(80, "web", 8080),)
    assert found.startup == pods.Look("grpc", 5, service="s", failures=30)
    assert found.readiness == pods.Look(
        *("http", 80, "h", "/ok", "HTTPS", (("A", "b"),)),
        delay_s=1,
        period_s=2,
        timeout_s=3,
        successes=4,
    )
    assert found.liveness == pods.Look("exec", command=("x", "y"), grace_s=6)
    assert found.post_start == pods.Hook(get=pods.Look("http", 80))
    assert found.pre_stop == pods.Hook(sleep_s=7)


def test_an_annotation_says_what_stands_in_for_an_image() -> None:
    wanted = kinds.pod()
    key = "alongside.dev/command.a"
    wanted["metadata"] = {"name": "web", "annotations": {key: "sh -c 'exit 3'", "other": "x"}}
    assert kinds.only(wanted).stand_in == ("sh", "-c", "exit 3")


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("b", "x", 'command.b: the pod has no container "b"; write one of a'),
        ("a", "'x", "command.a: it is no command: No closing quotation; write it as for a shell"),
        ("a", " ", "command.a: it is empty; write a command"),
    ],
)
def test_tells_an_annotation_that_is_no_command(key: str, text: str, expected: str) -> None:
    wanted = kinds.pod()
    wanted["metadata"] = {"name": "web", "annotations": {f"alongside.dev/command.{key}": text}}
    (found,) = kinds.mistakes(wanted)
    assert found.startswith("f.yaml:1: Pod/web: metadata.annotations.alongside.dev/")
    assert found.endswith(expected)


MOUNTED = {"volumes": [{"name": "data"}]}


def mount(name: str, path: str) -> dict[str, object]:
    return {"name": name, "mountPath": path}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"volumes": [{"name": "v", "configMap": {"name": "cmm"}}]},
            'spec.volumes[0].configMap.name: no ConfigMap "cmm" in these files; did you mean "cm"?',
        ),
        (
            {"volumes": [{"name": "v", "secret": {"secretName": "other"}}]},
            'spec.volumes[0].secret.secretName: no Secret "other" in these files; add it, or write '
            "optional: true",
        ),
        (
            {
                "volumes": [
                    {"name": "v", "configMap": {"name": "cm", "items": [{"key": "x", "path": "x"}]}}
                ]
            },
            'spec.volumes[0].configMap.items[0].key: ConfigMap/cm has no key "x"; it has a, '
            "b.conf, c; write one of its keys, or optional: true",
        ),
        (
            {
                "volumes": [
                    {
                        "name": "v",
                        "downwardAPI": {
                            "items": [{"path": "x", "fieldRef": {"fieldPath": "status.podIP"}}]
                        },
                    }
                ]
            },
            'spec.volumes[0].downwardAPI.items[0].fieldRef.fieldPath: "status.podIP" is no field',
        ),
        (
            {"volumes": [{"name": "v"}, {"name": "v"}]},
            'spec.volumes[1].name: the name "v" is used twice; rename one of the two',
        ),
        (
            {**MOUNTED, "containers": [kinds.container(volumeMounts=[mount("dat", "/x")])]},
            'spec.containers[0].volumeMounts[0].name: the pod has no volume "dat"; did you mean '
            '"data"?',
        ),
        (
            {"containers": [kinds.container(volumeMounts=[mount("x", "/x")])]},
            'volumeMounts[0].name: the pod has no volume "x"; add it to volumes',
        ),
        (
            {
                **MOUNTED,
                "containers": [
                    kinds.container(volumeMounts=[mount("data", "/x"), mount("data", "/x//")])
                ],
            },
            'volumeMounts[1].mountPath: "/x" is also where "data" is mounted; give one of the two '
            "another path",
        ),
        (
            {"containers": [kinds.container(), kinds.container()]},
            'spec.containers[1].name: the name "a" is used twice; rename one of the two',
        ),
        (
            {
                "initContainers": [
                    kinds.container("s", restartPolicy="Always", ports=[{"containerPort": 80}])
                ],
                "containers": [kinds.container(ports=[{"containerPort": 80}])],
            },
            'spec.containers[0].ports[0].containerPort: port 80 is also declared by container "s", '
            "and the containers of a pod share one network; give one of the two another port",
        ),
        (
            {"containers": [kinds.container(ports=[{"containerPort": 80}, {"containerPort": 80}])]},
            "spec.containers[0].ports[1].containerPort: port 80 is declared twice; keep one",
        ),
        (
            {"initContainers": [kinds.container("i", readinessProbe={"grpc": {"port": 1}})]},
            'spec.initContainers[0].readinessProbe: init container "i" runs to its end, so it has '
            "no readinessProbe; leave it out, or write restartPolicy: Always",
        ),
        (
            {"containers": [kinds.container(livenessProbe={"tcpSocket": {"port": "web"}})]},
            'spec.containers[0].livenessProbe.tcpSocket.port: container "a" declares no port named '
            '"web"; give one of its ports that name, or write a number',
        ),
        (
            {"containers": [kinds.container(lifecycle={"preStop": {"httpGet": {"port": "web"}}})]},
            "spec.containers[0].lifecycle.preStop.httpGet.port: container",
        ),
        (
            {
                "containers": [
                    kinds.container(livenessProbe={"grpc": {"port": 1}, "successThreshold": 2})
                ]
            },
            "livenessProbe.successThreshold: 2 is out of range; write 1",
        ),
        (
            {"containers": [kinds.container(resources={"limits": {"memory": "64m"}})]},
            'resources.limits.memory: "64m" is thousandths of a byte; write 64M or 64Mi',
        ),
    ],
)
def test_tells_what_does_not_fit_together(spec: dict[str, object], expected: str) -> None:
    (found,) = kinds.mistakes(kinds.pod(**spec), CONFIG)
    assert found.startswith("f.yaml:1: Pod/web: ")
    assert expected in found


def test_an_init_container_may_use_a_port_before_another_does() -> None:
    ports = [{"containerPort": 80}]
    spec: kinds.Written = {
        "initContainers": [kinds.container("i", ports=ports)],
        "containers": [kinds.container(ports=ports)],
    }
    assert kinds.translated(kinds.pod(**spec)).units


def test_tells_all_mistakes_of_all_pods_at_once_and_each_once() -> None:
    bad = [kinds.container(volumeMounts=[mount("no", "/x")])]
    found = kinds.mistakes(
        kinds.workload("Deployment", containers=bad, replicas=3),
        kinds.pod("p", containers=bad),
        kinds.workload("Deployment", "none", containers=bad, replicas=0),
    )
    assert [one.split(": ")[:2] for one in found] == [
        *(["f.yaml:1", "Deployment/web"], ["f.yaml:3", "Pod/p"], ["f.yaml:5", "Deployment/none"])
    ]


def test_names_what_has_no_effect() -> None:
    spec = kinds.container(
        ports=[{"containerPort": 53, "protocol": "UDP"}],
        resources={"limits": {"nvidia.com/gpu": 1}, "requests": {"cpu": 1}},
    )
    assert kinds.translated(kinds.pod(containers=[spec])).warnings == (
        "f.yaml:1: Pod/web: spec.containers[0].resources.limits.nvidia.com/gpu: has no effect here",
        "f.yaml:1: Pod/web: spec.containers[0].resources.requests: has no effect here",
        "f.yaml:1: Pod/web: spec.containers[0].ports[0].protocol: UDP is not looked after here",
    )


@pytest.mark.parametrize(
    ("policy", "pull"),
    [(None, "never"), ("Never", "never"), ("IfNotPresent", "missing"), ("Always", "always")],
)
def test_an_image_is_pulled_as_its_policy_says(policy: str | None, pull: str) -> None:
    fields = {"imagePullPolicy": policy} if policy else {}
    assert kinds.only(kinds.pod(containers=[kinds.container(**fields)])).pull == pull
