"""Workloads become pods with names, order and labels; Services find them."""

from __future__ import annotations

import re

import pytest
from tests.unit.plan.translating import kinds

from alongside.plan import pods


def names(*documents: kinds.Written) -> list[str]:
    return [unit.pod.name for unit in kinds.translated(*documents).units]


def test_a_deployments_pods_are_named_by_its_template() -> None:
    first = names(kinds.workload("Deployment", replicas=3))
    digest = first[0].split("-")[1]
    assert first == [f"web-{digest}-{at}" for at in range(3)]
    assert re.fullmatch("[bcdfghjklmnpqrstvwxz2456789]{5}", digest)
    assert names(kinds.workload("Deployment", replicas=2)) == first[:2]
    other = names(kinds.workload("Deployment", containers=[kinds.container(args=["x"])]))
    assert other[0].split("-")[1] != digest


def test_a_deployments_pods_know_their_owner() -> None:
    (unit,) = kinds.translated(kinds.workload("Deployment")).units
    digest = unit.pod.name.split("-")[1]
    assert unit.pod.labels == (("app", "web"), ("pod-template-hash", digest))
    assert (unit.pod.owner, unit.group, unit.after) == ("Deployment/web", "Deployment/web", ())
    assert unit.pod.place == "f.yaml:1: Deployment/web"
    assert str(unit.template.problem(("spec",), "x")).startswith(
        "f.yaml:1: Deployment/web: spec.template.spec: "
    )


def test_a_stateful_sets_pods_start_one_after_the_other() -> None:
    units = kinds.translated(kinds.workload("StatefulSet", replicas=3)).units
    assert [(unit.pod.name, unit.after) for unit in units] == [
        *(("web-0", ()), ("web-1", ("web-0",)), ("web-2", ("web-1",)))
    ]
    parallel = kinds.workload("StatefulSet", replicas=2, podManagementPolicy="Parallel")
    assert [unit.after for unit in kinds.translated(parallel).units] == [(), ()]


def test_a_claim_is_a_folder_of_each_pod() -> None:
    claims = [{"metadata": {"name": "data"}}]
    mounted = [kinds.container(volumeMounts=[{"name": "data", "mountPath": "/d"}])]
    (unit,) = kinds.translated(
        kinds.workload("StatefulSet", containers=mounted, volumeClaimTemplates=claims)
    ).units
    assert unit.pod.volumes == (pods.Volume("data", "empty"),)


HEADLESS = kinds.document(
    "Service", "memcache", spec={"clusterIP": "None", "selector": {"app": "web"}}
)


def test_a_stateful_sets_pods_answer_to_the_services_name_too_and_that_is_told_once() -> None:
    found = kinds.translated(
        kinds.workload("StatefulSet", replicas=2, serviceName="memcache"), HEADLESS
    )
    assert [(unit.pod.subdomain, unit.pod.names) for unit in found.units] == [
        *(("memcache", ("memcache-0.memcache",)), ("memcache", ("memcache-1.memcache",)))
    ]
    assert found.warnings == (
        "f.yaml:1: StatefulSet/web: spec.serviceName: its pods answer here to memcache-0.memcache "
        "and so on too; a real cluster knows only web-0.memcache; name the StatefulSet memcache, "
        "or write these names",
    )


def test_a_further_name_that_is_somebodys_own_is_nobodys() -> None:
    own = kinds.workload("StatefulSet", "memcache", replicas=1, serviceName="memcache")
    other = kinds.workload("StatefulSet", "web", replicas=2, serviceName="memcache")
    found = {unit.pod.name: unit.pod.names for unit in kinds.translated(own, other, HEADLESS).units}
    assert found == {"memcache-0": (), "web-0": (), "web-1": ("memcache-1.memcache",)}


def test_a_stateful_set_whose_name_is_its_services_needs_no_further_name() -> None:
    found = kinds.translated(
        kinds.workload("StatefulSet", "web", serviceName="web"),
        kinds.document("Service", "web", spec={"clusterIP": "None", "selector": {"app": "web"}}),
    )
    assert (found.units[0].pod.names, found.warnings) == ((), ())


def test_tells_that_nothing_names_a_stateful_sets_pods() -> None:
    (found,) = kinds.translated(kinds.workload("StatefulSet", "web", serviceName="web")).warnings
    assert found.startswith('f.yaml:1: StatefulSet/web: spec.serviceName: no Service "web" in')


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_takes_a_missing_selector_from_the_template_and_says_so_once(kind: str) -> None:
    wanted = kinds.workload(kind, selector=None, replicas=3)
    assert kinds.translated(wanted).warnings == (
        f"f.yaml:1: {kind}/web: spec.selector: missing, so the template's labels are taken; a real "
        "API server refuses it: spec.selector: Required value; write matchLabels: {app: web}",
    )


def test_tells_a_selector_that_selects_others() -> None:
    wanted = kinds.workload("Deployment", selector={"matchLabels": {"app": "other"}})
    assert kinds.mistakes(wanted) == [
        "f.yaml:1: Deployment/web: spec.selector.matchLabels: selector does not match the "
        "template's labels {app: web}; write these"
    ]
    bare = kinds.document(
        "Deployment", "web", spec={"template": {"spec": {"containers": [kinds.container()]}}}
    )
    (found,) = kinds.mistakes(bare)
    assert "spec.selector: missing, and the template has no labels either; write both" in found


def test_a_job_runs_as_many_pods_as_have_to_end_and_some_at_a_time() -> None:
    wanted = kinds.workload("Job", completions=3, parallelism=2)
    units = kinds.translated(wanted).units
    assert [(unit.pod.name, unit.after_end) for unit in units] == [
        *(("web-0", ()), ("web-1", ()), ("web-2", ("web-0",)))
    ]
    assert {unit.group for unit in units} == {"Job/web"}
    assert units[0].pod.containers[0].restart == "never"
    assert names(kinds.workload("Job", parallelism=2)) == ["web-0", "web-1"]


def test_an_indexed_jobs_pods_know_their_number() -> None:
    wanted = kinds.workload("Job", completions=2, completionMode="Indexed")
    found = [unit.pod.containers[0].variables for unit in kinds.translated(wanted).units]
    assert [[(one.name, one.value) for one in variables] for variables in found] == [
        *([("JOB_COMPLETION_INDEX", "0")], [("JOB_COMPLETION_INDEX", "1")])
    ]


def test_the_deadline_of_a_job_is_none_of_its_pods() -> None:
    wanted = kinds.workload("Job", activeDeadlineSeconds=9, backoffLimit=1)
    (unit,) = kinds.translated(wanted).units
    assert unit.pod.deadline_s is None
    assert kinds.translated(wanted).warnings == ()


def test_tells_two_pods_of_one_name() -> None:
    found = kinds.mistakes(kinds.workload("StatefulSet", replicas=2), kinds.pod("web-1"))
    assert found == [
        'f.yaml:1: StatefulSet/web: metadata.name: its pod "web-1" has the name of one of '
        "Pod/web-1; rename one of the two"
    ]


def test_a_long_name_makes_a_host_name_that_hosts_may_have() -> None:
    (unit,) = kinds.translated(kinds.workload("Deployment", "w" * 62)).units
    assert len(unit.pod.name) == 62 + len("-abcde-0")
    assert unit.pod.hostname == "w" * 62


def service(**spec: object) -> kinds.Written:
    return kinds.document("Service", "s", spec={"selector": {"app": "web"}, **spec})


def test_a_service_finds_ports_by_number_and_by_name() -> None:
    named = [kinds.container(ports=[{"containerPort": 8000, "name": "http"}])]
    other = [kinds.container(ports=[{"containerPort": 9000, "name": "http"}])]
    found = kinds.translated(
        kinds.pod("one", {"app": "web"}, containers=named),
        kinds.pod("two", {"app": "web", "more": "x"}, containers=other),
        kinds.pod("three", {"app": "webs"}, containers=named),
        service(
            type="NodePort",
            publishNotReadyAddresses=True,
            ports=[
                {"port": 80, "targetPort": "http", "name": "a", "nodePort": 30080},
                {"port": 81, "targetPort": 1, "name": "b"},
                {"port": 82, "name": "c"},
            ],
        ),
    )
    assert found.services == (
        pods.Service(
            "s",
            (
                pods.ServicePort(80, "a", 30080),
                pods.ServicePort(81, "b"),
                pods.ServicePort(82, "c"),
            ),
            (
                (pods.Endpoint("one", 8000), pods.Endpoint("two", 9000)),
                (pods.Endpoint("one", 1), pods.Endpoint("two", 1)),
                (pods.Endpoint("one", 82), pods.Endpoint("two", 82)),
            ),
            is_published=True,
            announces_unready=True,
        ),
    )
    assert found.services[0].place == "f.yaml:7: Service/s"


def test_tells_a_target_port_that_a_selected_pod_does_not_name_once() -> None:
    wanted = kinds.workload(
        "Deployment",
        replicas=2,
        containers=[kinds.container(ports=[{"containerPort": 80, "name": "http"}])],
    )
    assert kinds.mistakes(wanted, service(ports=[{"port": 80, "targetPort": "htp"}])) == [
        'f.yaml:3: Service/s: spec.ports[0].targetPort: Deployment/web has no port named "htp"; '
        'did you mean "http"?'
    ]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"ports": [{"port": 80}]},
            "spec.selector: no pod of these files has the labels {app: web}: nothing stands behind",
        ),
        (
            {"ports": [{"port": 80}], "selector": {}},
            "spec.selector: missing, and Endpoints are not read here: nothing stands behind it",
        ),
        (
            {"ports": [{"port": 80}], "selector": {"app": "x"}, "clusterIP": "10.0.0.1"},
            "spec.clusterIP: has no effect here; it gets an address of its own",
        ),
    ],
)
def test_says_what_a_service_does_not_do(spec: dict[str, object], expected: str) -> None:
    found = kinds.translated(kinds.pod("p", {"app": "x"}), service(**spec))
    (warning,) = found.warnings
    assert expected in warning
