"""Variables have the values, and win over each other, as in Kubernetes."""

from __future__ import annotations

import pytest
from tests.unit.plan.translating import kinds

from alongside.plan import pods, variables

CONFIG = kinds.document("ConfigMap", "cm", data={"A": "config", "k": "$(A) $$"})
SECRET = kinds.document("Secret", "se", stringData={"A": "hunter2", "Z": "\0"})


def resolved(
    *env: object, env_from: list[object] | None = None, **fields: object
) -> dict[str, str]:
    wanted = kinds.container(env=list(env), envFrom=env_from or [], **fields)
    made = kinds.only(kinds.pod("web", {"app": "x"}, containers=[wanted]), CONFIG, SECRET)
    return {one.name: one.value for one in made.variables}


def value(name: str, text: str) -> object:
    return {"name": name, "value": text}


def taken(name: str, **source: object) -> object:
    return {"name": name, "valueFrom": source}


def test_env_wins_over_env_from_and_the_later_over_the_earlier() -> None:
    found = resolved(
        value("A", "own"),
        value("B", "$(A)"),
        value("A", "later"),
        env_from=[
            {"configMapRef": {"name": "cm"}, "prefix": "P_"},
            {"configMapRef": {"name": "cm"}},
        ],
    )
    assert found == {"P_A": "config", "P_k": "$(A) $$", "k": "$(A) $$", "B": "own", "A": "later"}


def test_names_only_what_stands_before() -> None:
    found = resolved(value("A", "$(B)"), value("B", "b"), value("C", "$(B) $$(B) $(N) $"))
    assert found == {"A": "$(B)", "B": "b", "C": "b $(B) $(N) $"}


def test_a_reference_reaches_to_its_first_closing_bracket_as_in_kubernetes() -> None:
    assert resolved(value("A", "a"), value("B", "$(x$(A)) $($(A)")) == {
        "A": "a",
        "B": "$(x$(A)) $($(A)",
    }


def test_takes_values_from_config_maps_secrets_fields_and_limits() -> None:
    found = resolved(
        taken("C", configMapKeyRef={"name": "cm", "key": "A"}),
        taken("S", secretKeyRef={"name": "se", "key": "A"}),
        taken("N", fieldRef={"fieldPath": "metadata.name"}),
        taken("NS", fieldRef={"fieldPath": "metadata.namespace"}),
        taken("L", fieldRef={"fieldPath": "metadata.labels['app']"}),
        taken("NL", fieldRef={"fieldPath": "metadata.labels['no']"}),
        taken("CPU", resourceFieldRef={"resource": "limits.cpu"}),
        taken("REQ", resourceFieldRef={"resource": "requests.memory", "divisor": "1Mi"}),
        resources={"limits": {"cpu": "1500m", "memory": "100M"}},
    )
    assert found == {
        "C": "config",
        "S": "hunter2",
        "N": "web",
        "NS": "default",
        "L": "x",
        "NL": "",
        "CPU": "2",
        "REQ": "96",
    }


def test_what_is_optional_and_missing_is_not_set() -> None:
    found = resolved(
        taken("A", configMapKeyRef={"name": "no", "key": "A", "optional": True}),
        taken("B", secretKeyRef={"name": "se", "key": "no", "optional": True}),
        env_from=[{"secretRef": {"name": "no", "optional": True}}],
    )
    assert found == {}


def test_remembers_where_a_value_comes_from_and_shows_none() -> None:
    made = kinds.only(
        kinds.pod(
            containers=[
                kinds.container(
                    env=[taken("S", secretKeyRef={"name": "se", "key": "A"}), value("B", "$(S)")]
                )
            ]
        ),
        SECRET,
    )
    assert [one.written for one in made.variables] == ["Secret/se.A", "$(S)"]
    assert "hunter2" not in repr(made)
    assert made.variables[0] == pods.Variable("S", "other", "Secret/se.A")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"env": [taken("A", configMapKeyRef={"name": "cmm", "key": "A"})]},
            'env[0].valueFrom.configMapKeyRef.name: no ConfigMap "cmm" in these files; '
            'did you mean "cm"?',
        ),
        (
            {"env": [taken("A", secretKeyRef={"name": "se", "key": "AA"})]},
            'env[0].valueFrom.secretKeyRef.key: Secret/se has no key "AA"; did you mean "A"?',
        ),
        (
            {"envFrom": [{"secretRef": {"name": "no"}}]},
            'envFrom[0].secretRef.name: no Secret "no" in these files; add it, or write optional',
        ),
        (
            {"env": [taken("A", secretKeyRef={"name": "se", "key": "Z"})]},
            'env[0].valueFrom.secretKeyRef.key: "Z" of Secret/se holds a NUL character',
        ),
        (
            {"env": [taken("A", fieldRef={"fieldPath": "status.podIp"})]},
            'env[0].valueFrom.fieldRef.fieldPath: "status.podIp" is no field that a pod is told '
            'here; did you mean "status.podIP"?',
        ),
        (
            {"env": [taken("A", resourceFieldRef={"resource": "limits.cpu"})]},
            'env[0].valueFrom.resourceFieldRef.resource: container "a" has no limits.cpu',
        ),
        (
            {"env": [taken("A", resourceFieldRef={"resource": "limits.cpus"})]},
            '"limits.cpus" is not told; did you mean "limits.cpu"?',
        ),
        (
            {
                "env": [
                    taken("IP", fieldRef={"fieldPath": "status.podIP"}),
                    value("URL", "$(IP):80"),
                    value("IP", "127.0.0.1"),
                ]
            },
            'env[2].name: "IP" is set before, to what is known only at the start, and is named by '
            "then; give one of the two another name",
        ),
    ],
)
def test_tells_what_cannot_be_resolved(fields: dict[str, object], expected: str) -> None:
    (found,) = kinds.mistakes(kinds.pod(containers=[kinds.container(**fields)]), CONFIG, SECRET)
    assert found.startswith("f.yaml:1: Pod/web: spec.containers[0].")
    assert expected in found


def test_what_only_the_start_knows_is_filled_in_then() -> None:
    service = kinds.document("Service", "my-db", spec={"ports": [{"port": 5432}], "selector": {}})
    planned = kinds.only(
        kinds.pod(
            volumes=[{"name": "v-1"}],
            containers=[
                kinds.container(
                    command=["x", "$(URL)", "$$(IP)", "$$$(IP)", "$(ALONGSIDE_VOLUME_V_1)/f"],
                    args=["$(MY_DB_SERVICE_HOST):$(MY_DB_SERVICE_PORT)", "$$", "$(k)"],
                    envFrom=[{"configMapRef": {"name": "cm"}}],
                    env=[
                        taken("IP", fieldRef={"fieldPath": "status.podIP"}),
                        taken("HOST", fieldRef={"fieldPath": "status.hostIP"}),
                        value("URL", "http://$(IP)/$(HOST)"),
                    ],
                )
            ],
        ),
        service,
        kinds.document("ConfigMap", "cm", data={"k": "$(IP)"}),
    )
    assert planned.command[1] == "$(URL)"
    made = kinds.translated(service).services[0]
    filled = variables.filled(
        planned,
        address="10.0.0.2",
        host="10.0.0.1",
        given={variables.of_volume("v-1"): "/vol", **variables.links(made, "10.9.0.1")},
    )
    assert filled.command == ("x", "http://10.0.0.2/10.0.0.1", "$(IP)", "$10.0.0.2", "/vol/f")
    assert filled.args == ("10.9.0.1:5432", "$", "$(IP)")
    assert [one.value for one in filled.variables] == [
        *("$(IP)", "10.0.0.2", "10.0.0.1", "http://10.0.0.2/10.0.0.1")
    ]


def test_a_word_that_looks_like_a_source_is_a_word() -> None:
    planned = kinds.only(
        kinds.pod(containers=[kinds.container(env=[value("A", "field:status.podIP")])])
    )
    filled = variables.filled(planned, address="10.0.0.2", host="10.0.0.1")
    assert filled.variables[0].value == "field:status.podIP"


def test_services_are_told_by_kubernetes_variables() -> None:
    ports = (pods.ServicePort(80, "web"), pods.ServicePort(81, "a-b"))
    found = variables.links(pods.Service("my-db", ports), "10.0.0.1")
    assert found == {
        "MY_DB_SERVICE_HOST": "10.0.0.1",
        "MY_DB_SERVICE_PORT": "80",
        "MY_DB_SERVICE_PORT_WEB": "80",
        "MY_DB_SERVICE_PORT_A_B": "81",
        "MY_DB_PORT": "tcp://10.0.0.1:80",
        "MY_DB_PORT_80_TCP": "tcp://10.0.0.1:80",
        "MY_DB_PORT_80_TCP_PROTO": "tcp",
        "MY_DB_PORT_80_TCP_PORT": "80",
        "MY_DB_PORT_80_TCP_ADDR": "10.0.0.1",
        "MY_DB_PORT_81_TCP": "tcp://10.0.0.1:81",
        "MY_DB_PORT_81_TCP_PROTO": "tcp",
        "MY_DB_PORT_81_TCP_PORT": "81",
        "MY_DB_PORT_81_TCP_ADDR": "10.0.0.1",
    }
    assert variables.links(pods.Service("x", ports, is_headless=True), "10.0.0.1") == {}
