"""An engine's own words say whether it can run pods."""

import pytest

from alongside.dockerd import answers
from alongside.engines.runtimes.docker import facts

DOCKER: answers.Json = {"Version": "20.10.24", "ApiVersion": "1.41"}
PODMAN: answers.Json = {
    "Version": "4.3.1",
    "ApiVersion": "1.41",
    "Components": [{"Name": "Podman Engine"}],
}


def found(info: answers.Json, version: answers.Json) -> dict[str, facts.Fact]:
    return {fact.name: fact for fact in facts.of_engine(info, version)}


def test_docker_and_podman_are_told_apart() -> None:
    assert found({"OSType": "linux"}, DOCKER)["version"].reason == "Docker 20.10.24"
    assert found({"OSType": "linux"}, PODMAN)["version"].reason == "Podman 4.3.1"


@pytest.mark.parametrize(
    ("info", "version"),
    [
        ({}, {"Version": "19.03", "ApiVersion": "1.40"}),
        ({}, {}),
        ({"OSType": "windows"}, DOCKER),
    ],
)
def test_an_engine_that_cannot_run_pods_is_told_with_a_remedy(
    info: answers.Json, version: answers.Json
) -> None:
    fact = found(info, version)["version"]
    assert not fact.is_there
    assert fact.remedy


def test_a_rootless_engine_is_not_reached_by_its_addresses() -> None:
    rootless = found({"SecurityOptions": ["name=seccomp", "name=rootless"]}, DOCKER)
    assert not rootless["root"].is_there
    assert not rootless["reach"].is_there
    desktop = found({"OperatingSystem": "Docker Desktop"}, DOCKER)
    assert not desktop["reach"].is_there


def test_limits_that_are_not_held_are_told() -> None:
    assert found({"MemoryLimit": True, "CpuCfsQuota": True}, DOCKER)["limits"].is_there
    assert not found({"MemoryLimit": False, "CgroupVersion": "1"}, DOCKER)["limits"].is_there
