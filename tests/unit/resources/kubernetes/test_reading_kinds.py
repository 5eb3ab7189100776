"""Kubernetes' files are read as they are; each slip is told with its line, path and remedy."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from alongside.resources import problems, reading, texts

if TYPE_CHECKING:
    from alongside.resources.kubernetes import containers, podspecs, services, workloads

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: app}
spec:
  containers:
  - name: app
    image: nginx
"""
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: app, image: nginx}]
"""
KEYS = """\
apiVersion: v1
kind: Secret
metadata: {name: keys}
"""


def read(text: str) -> reading.Resources:
    return reading.read([texts.Source("f.yaml", "/data", text)])


def mistakes(text: str) -> list[str]:
    with pytest.raises(problems.ResourceError) as caught:
        read(text)
    return list(caught.value.problems)


def container(fields: str) -> containers.Container:
    text = POD + textwrap.indent(textwrap.dedent(fields), "    ")
    return read(text).pods[0].model.spec.containers[0]


def test_reads_a_container_with_all_that_runs_here() -> None:
    found = container(
        """\
        command: [serve]
        args: [--port, "80"]
        workingDir: sub
        tty: true
        env:
        - {name: A, value: a}
        - {name: B, valueFrom: {configMapKeyRef: {name: c.d, key: k.y, optional: true}}}
        - {name: C, valueFrom: {secretKeyRef: {name: s, key: k}}}
        - {name: D, valueFrom: {fieldRef: {apiVersion: v1, fieldPath: status.podIP}}}
        - {name: E, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1m}}}
        envFrom:
        - {prefix: P_, configMapRef: {name: c, optional: true}}
        - {secretRef: {name: s}}
        ports: [{containerPort: 80, name: http, hostPort: 8080, hostIP: 127.0.0.1, protocol: TCP}]
        volumeMounts:
        - {name: v, mountPath: /v, subPath: a/b, readOnly: true}
        startupProbe: {grpc: {port: 5, service: x}, failureThreshold: 30}
        readinessProbe: {httpGet: {port: http, scheme: HTTPS, httpHeaders: [{name: A, value: b}]}}
        livenessProbe: {tcpSocket: {port: 80}, terminationGracePeriodSeconds: 3}
        lifecycle: {postStart: {exec: {command: [x]}}, preStop: {sleep: {seconds: 2}}}
        resources: {limits: {cpu: 0.5, memory: 128Mi}, requests: {cpu: 1}}
        securityContext:
          {runAsUser: 1, runAsGroup: 2, readOnlyRootFilesystem: true, capabilities: {add: [A]}}
        """
    )
    assert found.ports[0].host_ip == "127.0.0.1"
    assert found.resources.limits == {"cpu": "0.5", "memory": "128Mi"}
    assert [variable.value_from is None for variable in found.env] == [True] + [False] * 4


def test_reads_a_pod_with_all_that_runs_here() -> None:
    text = """\
      initContainers:
      - {name: first, image: x}
      - {name: side, image: x, restartPolicy: Always}
      volumes:
      - {name: a, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
      - {name: b, hostPath: {path: /b, type: Directory}}
      - {name: c, configMap: {name: c, defaultMode: 0640, items: [{key: k, path: p/q, mode: 0400}]}}
      - {name: d, secret: {secretName: d, optional: true}}
      - {name: e, downwardAPI: {items: [{path: l, fieldRef: {fieldPath: metadata.labels}}]}}
      - {name: f, projected: {sources: [{configMap: {name: c}}, {secret: {name: d}}]}}
      - {name: g}
      hostAliases: [{ip: 10.0.0.1, hostnames: [a.b]}]
      hostname: h
      subdomain: s
      shareProcessNamespace: true
      hostNetwork: true
      activeDeadlineSeconds: 5
      terminationGracePeriodSeconds: 0
      securityContext: {runAsUser: 0}
    """
    found = read(POD + textwrap.indent(textwrap.dedent(text), "  "))
    spec: podspecs.PodSpec = found.pods[0].model.spec
    assert found.warnings == ()
    assert [volume.name for volume in spec.volumes] == list("abcdefg")
    assert spec.volumes[2].config_map is not None
    assert spec.volumes[2].config_map.items[0].mode == 0o400
    assert spec.init_containers[1].restart_policy == "Always"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "ports: [{containerPort: 80, hostIp: x}]",
            'hostIp: unknown field; did you mean "hostIP"?',
        ),
        ("working_dir: x", 'working_dir: unknown field; did you mean "workingDir"?'),
        ("livnessProbe: {}", 'livnessProbe: unknown field; did you mean "livenessProbe"?'),
        ("imagepullpolicy: x", 'imagepullpolicy: unknown field; did you mean "imagePullPolicy"?'),
        ("volumeMounts: [{name: a, mountPath: b}]", '"b" is not absolute; write a path that'),
        ("volumeMounts: [{name: a, mountPath: /b, subPath: ../c}]", '"../c" leads upwards'),
        ("volumeMounts: [{name: a, mountPath: /b, subPath: /c}]", '"/c" is absolute'),
        ("livenessProbe: {periodSeconds: 1}", "exactly one of httpGet, tcpSocket, exec and grpc"),
        ("lifecycle: {preStop: {}}", "exactly one of exec, httpGet and sleep"),
        ("env: [{name: A, valueFrom: {}}]", "exactly one of configMapKeyRef, secretKeyRef"),
        ("env: [{name: A, value: b, valueFrom: {fieldRef: {fieldPath: x}}}]", "write one of value"),
        ("envFrom: [{prefix: x}]", "exactly one of configMapRef and secretRef"),
        ("resources: {limits: {memory: 1MB}}", "units have no B; write 1M"),
        ("resources: {limits: {memory: true}}", "true is not a quantity"),
    ],
)
def test_tells_a_slip_of_a_container(line: str, expected: str) -> None:
    (found,) = mistakes(f"{POD}    {line}\n")
    assert found.startswith("f.yaml:8: Pod/app: spec.containers[0].")
    assert expected in found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("volumes: [{name: a, emptyDir: {medium: memory}}]", 'did you mean "Memory"? write "" or'),
        ("volumes: [{name: a, hostPath: {path: x}}]", '"x" is not absolute'),
        ("volumes: [{name: a, hostPath: {path: /x}, emptyDir: {}}]", "several sources; write one"),
        ("volumes: [{name: a, configMap: {name: c, defaultMode: 644}}]", "644 is no file mode"),
        (
            "volumes: [{name: a, configMap: {name: c, items: [{key: k, path: ../x}]}}]",
            '"../x" leads upwards',
        ),
        ("initContainers: [{name: a, image: x, restartPolicy: Never}]", "write Always"),
        ("hostAliases: [{ip: x, hostnames: [a]}]", '"x" is no IP address'),
        ("containres: []", 'unknown field; did you mean "containers"?'),
    ],
)
def test_tells_a_slip_of_a_pod(line: str, expected: str) -> None:
    (found,) = mistakes(f"{POD}  {line}\n")
    assert found.startswith("f.yaml:8: Pod/app: spec.")
    assert expected in found


def test_a_container_says_what_runs_in_it() -> None:
    assert mistakes(POD.replace("image: nginx", "args: [x]")) == [
        "f.yaml:6: Pod/app: spec.containers[0]: nothing says what runs in it; write image, or "
        "command: [PROGRAM]"
    ]


@pytest.mark.parametrize(
    ("version", "is_told"),
    [
        ("apps/v1", False),
        ("extensions/v1", True),
        ("extensions/v1beta1", True),
        ("apps/v1beta2", True),
    ],
)
def test_reads_old_versions_and_says_once_what_a_server_does(
    version: str, *, is_told: bool
) -> None:
    found = read(DEPLOYMENT.replace("apps/v1", version))
    assert found.deployments[0].model.api_version == "apps/v1"
    assert found.warnings == (
        (
            f'f.yaml:1: Deployment/web: apiVersion: "{version}" is read as apps/v1 here; a real '
            f'API server refuses it: no matches for kind "Deployment" in version "{version}"; '
            "write apps/v1",
        )
        if is_told
        else ()
    )


def test_refuses_a_version_that_never_was() -> None:
    assert mistakes(DEPLOYMENT.replace("apps/v1", "v1")) == [
        'f.yaml:1: Deployment/web: apiVersion: "v1" is not the version of Deployment; write apps/v1'
    ]
    (found,) = mistakes(POD.replace("v1", "extensions/v1"))
    assert "is not the version of Pod; write v1" in found


def test_names_once_what_a_workload_says_without_effect() -> None:
    text = DEPLOYMENT.replace("  template:", "  paused: true\n  template:")
    assert read(text).warnings == ("f.yaml:6: Deployment/web: spec.paused: has no effect here",)


def test_says_what_a_volume_is_instead() -> None:
    text = f"{POD}  volumes: [{{name: a, persistentVolumeClaim: {{claimName: b}}}}]\n"
    assert read(text).warnings == (
        "f.yaml:8: Pod/app: spec.volumes[0].persistentVolumeClaim: has no effect here; the volume "
        "is an empty folder here",
    )


def test_a_null_field_is_one_that_is_not_written() -> None:
    text = DEPLOYMENT.replace("{name: web}", "{name: web, creationTimestamp: null, labels: }")
    text = text.replace("image: nginx", "image: nginx, env: null, resources: {limits: null}")
    assert read(text).warnings == ()


def test_reads_the_items_of_a_list_with_their_lines() -> None:
    items = textwrap.indent(POD, "  ").replace("  apiVersion", "- apiVersion", 1)
    second = items.replace("name: app}", "name: two}").replace("image:", "imge:")
    text = f"apiVersion: v1\nkind: List\nmetadata: {{}}\nitems:\n{items}{second}"
    found = mistakes(text)
    assert found[0] == (
        'f.yaml:18: Pod/two: spec.containers[0].imge: unknown field; did you mean "image"?'
    )
    good = read(text.replace("imge:", "image:"))
    assert [pod.name for pod in good.pods] == ["app", "two"]
    assert good.pods[1].problem(("spec",), "x").line == 15


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: List\n", "items: nothing is not a list"),
        ("kind: List\nitems: [{kind: List}]\n", "a List in a List is not read"),
        ("kind: List\nitems: []\nitem: 1\n", "item: unknown field"),
    ],
)
def test_refuses_a_list_that_is_none(text: str, expected: str) -> None:
    (found,) = mistakes(text)
    assert expected in found


def test_reads_a_config_map() -> None:
    text = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: nginx.conf}
immutable: true
data: {a.b: "1"}
binaryData: {c: AAE=}
"""
    found = read(text).config_maps[0].model
    assert (found.data, found.binary_data) == ({"a.b": "1"}, {"c": b"\0\1"})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("data: {a: 1}", 'data.a: 1 is not a text; write it in quotes, "1"'),
        ("data: {a/b: x}", 'data.a/b: "a/b" is not a key'),
        ("data: {a: x}\nbinaryData: {a: eA==}", '"a" is in data and binaryData; keep one'),
        ("binaryData: {a: '*'}", "binaryData.a: its value is not base64; encode it"),
        ("dat: {}", 'dat: unknown field; did you mean "data"?'),
    ],
)
def test_tells_a_slip_of_a_config_map(line: str, expected: str) -> None:
    (found,) = mistakes(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\n{line}\n")
    assert expected in found


def test_reads_a_secret_whose_plain_words_count() -> None:
    text = KEYS + "type: kubernetes.io/x\ndata: {a: aHVudGVyMg==}\nstringData: {b: hunter3}\n"
    found = read(text).secrets[0].model
    assert (found.data, found.string_data) == ({"a": b"hunter2"}, {"b": b"hunter3"})


@pytest.mark.parametrize(
    "line",
    [
        "data: {a: hunter2!}",
        "data: {a: [hunter2!]}",
        "data: hunter2!",
        "stringData: {a: [hunter2!]}",
        "stringData: hunter2!",
        "stringData: [hunter2!]",
        "stringData: {a: !!binary hunter2!}",
        "stringData: {a: !x hunter2!}",
    ],
)
def test_shows_no_value_of_a_secret_in_a_mistake(line: str) -> None:
    found = mistakes(f"{KEYS}{line}\n")
    assert found
    assert "hunter2" not in "".join(found)


def test_shows_no_value_of_a_secret_where_it_is_printed() -> None:
    text = KEYS + "data: {a: aHVudGVyMg==}\nstringData: {b: hunter2}\n"
    source = texts.Source("f.yaml", "/data", text)
    shown = repr(reading.read([source])) + repr(source)
    assert "hunter2" not in shown
    assert "aHVudGVyMg" not in shown


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{selector: {a: b}}", "ports is missing; write at least one, or clusterIP: None"),
        ("{ports: [{port: 1}, {port: 2}]}", "it has several ports; give each a name"),
        ("{ports: [{port: 1, name: a}, {port: 2, name: a}]}", "two of its ports have one name"),
        ("{ports: [{port: 1, name: a}, {port: 1, name: b}]}", "two of its ports are 1"),
        ("{ports: [{port: 1}], type: ExternalName}", '"ExternalName" is not there yet'),
        ("{ports: [{port: 1}], type: NodePort, clusterIP: None}", "no address to publish"),
        ("{ports: [{port: 1, protocol: UDP}]}", '"UDP" is not there yet; write TCP'),
    ],
)
def test_tells_a_slip_of_a_service(spec: str, expected: str) -> None:
    (found,) = mistakes(f"apiVersion: v1\nkind: Service\nmetadata: {{name: s}}\nspec: {spec}\n")
    assert expected in found


def test_reads_a_headless_service() -> None:
    text = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {clusterIP: None}\n"
    spec: services.ServiceSpec = read(text).services[0].model.spec
    assert (spec.is_headless, spec.ports, spec.selector) == (True, [], {})


def test_a_jobs_pods_have_to_end() -> None:
    text = DEPLOYMENT.replace("apps/v1", "batch/v1").replace("Deployment", "Job")
    text = text.replace("  selector: {matchLabels: {app: web}}\n", "")
    (found,) = mistakes(text)
    assert "its pods would never end; write restartPolicy: Never or OnFailure" in found
    good = read(text.replace("    spec:\n", "    spec:\n      restartPolicy: Never\n"))
    spec: workloads.JobSpec = good.jobs[0].model.spec
    assert (spec.parallelism, spec.completions, spec.backoff_limit) == (1, None, 6)


def test_reads_a_stateful_set() -> None:
    text = DEPLOYMENT.replace("Deployment", "StatefulSet") + (
        "  serviceName: web\n  podManagementPolicy: Parallel\n"
        "  updateStrategy: {type: RollingUpdate}\n"
        "  volumeClaimTemplates: [{metadata: {name: data}, spec: {}}]\n"
    )
    found = read(text)
    assert found.stateful_sets[0].model.spec.volume_claim_templates[0].metadata.name == "data"
    assert found.warnings == (
        "f.yaml:13: StatefulSet/web: spec.volumeClaimTemplates[0].spec: has no effect here; each "
        "pod has an empty folder, which goes with it",
    )
