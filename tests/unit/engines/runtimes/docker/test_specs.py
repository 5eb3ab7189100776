"""What containers are made from follows from the plan's values alone."""

from pathlib import Path

import pytest

from alongside.dockerd import answers
from alongside.engines.runtimes.docker import names, specs
from alongside.plan import pods


def made(one: pods.Container, *, shares_pids: bool = False, user: str = "") -> answers.Json:
    around = specs.Surroundings(
        image="i:1",
        image_user=user,
        sandbox="s",
        binds=(),
        labels={"a": "b"},
        links={"A_SERVICE_HOST": "10.0.0.2", "MINE": "theirs"},
        user="7:8",
    )
    return specs.container(one, pods.Pod("p", (one,), shares_pids=shares_pids), around)


def test_command_and_args_stand_where_an_engine_wants_them() -> None:
    assert not {"Entrypoint", "Cmd", "WorkingDir"} & made(pods.Container("c")).keys()
    both = made(pods.Container("c", command=("a", "b"), args=("c",), directory="/d"))
    assert (both["Entrypoint"], both["Cmd"], both["WorkingDir"]) == (["a", "b"], ["c"], "/d")


@pytest.mark.parametrize(
    ("user", "group", "image_user", "wanted"),
    [
        (None, None, "7:8", ""),
        (1, None, "7:8", "1"),
        (1, 2, "7:8", "1:2"),
        (None, 2, "7:8", "7:2"),
        (None, 2, "", "0:2"),
        (0, None, "7", "0"),
    ],
)
def test_a_group_alone_keeps_the_images_user(
    user: int | None, group: int | None, image_user: str, wanted: str
) -> None:
    assert made(pods.Container("c", user=user, group=group), user=image_user)["User"] == wanted


def test_our_data_plane_runs_as_who_owns_the_sockets_and_may_do_nothing_else() -> None:
    ours = made(pods.Container("ambassador", is_ours=True, is_read_only=True), user="1:1")
    host = answers.record(ours, "HostConfig")
    assert (ours["User"], host["CapDrop"], host["ReadonlyRootfs"]) == ("7:8", ["ALL"], True)
    assert host["SecurityOpt"] == ["no-new-privileges"]
    theirs = answers.record(made(pods.Container("c")), "HostConfig")
    assert not {"CapDrop", "SecurityOpt"} & theirs.keys()


def test_limits_may_be_more_than_the_machine_has() -> None:
    host = answers.record(made(pods.Container("c", cpu_millis=64_000, memory_bytes=1 << 30)))
    host = answers.record(host, "HostConfig")
    assert (host["CpuPeriod"], host["CpuQuota"]) == (100_000, 6_400_000)
    assert host["Memory"] == host["MemorySwap"] == 1 << 30
    assert "NanoCpus" not in host


def test_the_first_process_is_an_init_but_in_shared_process_ids() -> None:
    alone = answers.record(made(pods.Container("c")), "HostConfig")
    shared = answers.record(made(pods.Container("c"), shares_pids=True), "HostConfig")
    assert (alone.get("Init"), alone.get("PidMode")) == (True, None)
    assert (shared.get("Init"), shared.get("PidMode")) == (None, "container:s")


def test_a_container_without_a_sandbox_holds_its_pods_network_and_name() -> None:
    around = specs.Surroundings(
        user="0:0",
        image="i:1",
        image_user="",
        sandbox="",
        binds=(),
        labels={},
        links={},
        network="shop",
        address="10.7.128.1",
    )
    one = pods.Container("c")
    pod = pods.Pod("p", (one,), hostname="h", subdomain="web")
    found = specs.container(one, pod, around)
    held = specs.sandbox(pod, "s:1", "shop", labels={}, bindings={}, address="10.7.128.1")
    for key in ("Hostname", "NetworkingConfig"):
        assert found[key] == held[key]
    host, sandboxes = answers.record(found, "HostConfig"), answers.record(held, "HostConfig")
    for key in ("NetworkMode", "Sysctls"):
        assert host[key] == sandboxes[key]
    joined = answers.record(found, "NetworkingConfig", "EndpointsConfig", "shop")
    assert joined["IPAMConfig"] == {"IPv4Address": "10.7.128.1"}
    assert "IpcMode" not in host
    assert host["Init"] is True


def test_a_pod_needs_no_sandbox_for_one_container_with_process_ids_of_its_own() -> None:
    one, other = pods.Container("c"), pods.Container("i", kind="init")
    assert specs.is_alone(pods.Pod("p", (one,)))
    assert not specs.is_alone(pods.Pod("p", (other, one)))
    assert not specs.is_alone(pods.Pod("p", (one,), shares_pids=True))
    assert not specs.is_alone(pods.Pod("p", (one,), uses_host_network=True))


def test_ports_are_those_that_somebody_may_look_at() -> None:
    look = pods.Look("tcp", port=7)
    one = pods.Container(
        "c",
        ports=(pods.Port(9),),
        readiness=look,
        liveness=pods.Look("exec", command=("x",)),
        startup=pods.Look("http", port=5, host="elsewhere"),
        pre_stop=pods.Hook(get=pods.Look("http", port=3)),
    )
    assert specs.ports(pods.Pod("p", (one,))) == (3, 7, 9)


def test_hosts_say_the_pods_own_name_aliases_and_services() -> None:
    pod = pods.Pod("p", (), hostname="h", aliases=(("10.9.9.9", ("x", "y")),))
    lines = list(names.hosts(pod, "10.0.0.1", {"web": ("10.0.0.2",), "none": ()}))
    assert lines[1:3] == ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    assert lines[3:] == [
        "10.0.0.1 h",
        "10.9.9.9 x y",
        "10.0.0.2 web.default.svc.cluster.local web web.default web.default.svc",
    ]


def test_hosts_of_a_pod_on_the_machines_network_begin_with_the_machines_own() -> None:
    pod = pods.Pod("p", (), uses_host_network=True, aliases=(("10.9.9.9", ("x",)),))
    machine = "127.0.0.1 localhost here\n10.5.5.5 printer\n"
    lines = list(names.hosts(pod, "127.0.0.1", {}, machine=machine))
    assert lines[1:] == ["127.0.0.1 localhost here", "10.5.5.5 printer", "10.9.9.9 x"]


def test_two_folders_have_two_networks_and_odd_names_are_accepted() -> None:
    one, other = (names.network("a b/ç", Path(folder)) for folder in ("/one", "/other"))
    assert one != other
    assert one.isascii()
    assert len(names.container("p" * 300, Path("/x"), "pod")) <= 200


def test_services_stand_in_the_variables_below_a_containers_own() -> None:
    one = pods.Container("c", variables=(pods.Variable("MINE", "mine"),))
    found = made(one)["Env"]
    assert isinstance(found, list)
    assert "A_SERVICE_HOST=10.0.0.2" in found
    assert "MINE=mine" in found
    assert "MINE=theirs" not in found
