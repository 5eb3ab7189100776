"""What a container of a plan is started with, and what is refused before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from alongside.base import errors
from alongside.engines.pods import runtime
from alongside.engines.runtimes.namespaces import checks, containers, orders, setting
from alongside.plan import pods

MAIN = pods.Container("main", command=("sh",), mounts=(pods.Mount("v", "/v/"),))
POD = pods.Pod("a", (MAIN,), (pods.Volume("v", "empty"),), place="f.yaml:1: Pod/a")


def words(pod: pods.Pod, container: pods.Container) -> tuple[str, ...]:
    if container.image == "unknown":
        raise errors.UsageError("nothing says what runs")
    return (*container.command, *container.args)


def setting_in(folder: Path) -> setting.Setting:
    return setting.Setting(
        project="p",
        home=folder,
        folder=folder,
        log=folder / "log",
        binary=folder,
        environment={"PATH": "/usr/bin:/bin", "A": "outer"},
        words=words,
    )


def ordered(
    folder: Path,
    pod: pods.Pod,
    container: pods.Container,
    ordinary: tuple[int, int] | None = None,
) -> orders.ContainerOrder:
    room = runtime.Room(pod, {one.name: folder / one.name for one in pod.volumes}, folder, {})
    place = containers.Place(
        address="10.1.1.1",
        host="10.1.0.1",
        links={"WEB_SERVICE_HOST": "10.1.128.1"},
        marks={"MARK": "x"},
        ordinary=ordinary,
    )
    return containers.order(container, room, setting_in(folder), place)


def test_variables_come_in_order_and_the_address_is_filled_in(tmp_path: Path) -> None:
    container = replace(
        MAIN,
        args=("--at=$(IP)",),
        late=("IP",),
        variables=(
            pods.Variable("IP", "", "field:status.podIP"),
            pods.Variable("A", "inner"),
            pods.Variable("WEB_SERVICE_HOST", "own"),
        ),
    )
    made = ordered(tmp_path, POD, container)
    assert made["words"] == ["sh", "--at=10.1.1.1"]
    known = made["environment"]
    assert (known["IP"], known["A"], known["WEB_SERVICE_HOST"]) == ("10.1.1.1", "inner", "own")
    assert (known["HOSTNAME"], known["MARK"]) == ("a", "x")
    assert known["PATH"].split(":")[:2] == ["/usr/bin", "/bin"]
    assert "/usr/sbin" in known["PATH"].split(":")


def test_volumes_and_the_pods_own_files_are_mounted(tmp_path: Path) -> None:
    targets = {one["target"]: one for one in ordered(tmp_path, POD, MAIN)["mounts"]}
    assert set(targets) == {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/v"}
    assert targets["/v"]["is_own"]
    own_hosts = replace(MAIN, mounts=(pods.Mount("v", "/etc/hosts", "hosts"),))
    mounts = ordered(tmp_path, replace(POD, containers=(own_hosts,)), own_hosts)["mounts"]
    assert [one["source"] for one in mounts if one["target"] == "/etc/hosts"] == [
        str(tmp_path / "v")
    ]


def test_published_files_are_never_written_to(tmp_path: Path) -> None:
    pod = replace(POD, volumes=(pods.Volume("v", "files"),))
    mount = ordered(tmp_path, pod, MAIN)["mounts"][-1]
    assert (mount["is_read_only"], mount["is_own"], mount["makes_sub_path"]) == (True, False, False)


def test_capabilities_are_kubernetes_defaults_and_what_is_added() -> None:
    added = replace(MAIN, added_capabilities=("cap_net_admin", "SYS_TIME"))
    assert set(containers.capabilities(added)) == containers.CAPABILITIES | {
        "NET_ADMIN",
        "SYS_TIME",
    }


def test_an_ordinary_users_container_runs_as_that_user_unless_it_says_more(tmp_path: Path) -> None:
    def identity(container: pods.Container, ordinary: tuple[int, int] | None) -> object:
        made = ordered(tmp_path, POD, container, ordinary)
        return made["user"], made["group"], made["has_mapping"]

    assert identity(MAIN, None) == (None, None, False)
    assert identity(MAIN, (1000, 100)) == (1000, 100, True)
    assert identity(replace(MAIN, user=0), (1000, 100)) == (0, None, True)
    assert identity(replace(MAIN, added_capabilities=("NET_ADMIN",)), (1000, 100)) == (
        None,
        None,
        True,
    )


def check(folder: Path, container: pods.Container, *parts: str) -> None:
    found = checks.problems([replace(POD, containers=(container,))], setting_in(folder))
    assert len(found) == len(parts), found
    for text, part in zip(found, parts, strict=True):
        assert text.startswith("f.yaml:1: Pod/a: main: ")
        assert part in text


def test_problems_are_named_with_their_place(tmp_path: Path) -> None:
    check(tmp_path, MAIN)
    check(tmp_path, replace(MAIN, command=("no-such-program",)), "there is no no-such-program")
    check(tmp_path, replace(MAIN, command=()), "it has none")
    check(tmp_path, replace(MAIN, image="unknown"), "nothing says what runs")
    check(tmp_path, replace(MAIN, command=("/etc/passwd",)), "is no program that can be run")
    check(tmp_path, replace(MAIN, command=("/tmp/x/run",)), "below /tmp")  # noqa: S108
    check(tmp_path, replace(MAIN, command=("/v/run",)))
    check(tmp_path, replace(MAIN, mounts=(pods.Mount("v", "/"),)), "is no place for a volume")
    mount = pods.Mount("v", "/v", "../x")
    check(tmp_path, replace(MAIN, mounts=(mount,)), "leads out of the volume")


def test_two_pods_may_not_want_one_host_port(tmp_path: Path) -> None:
    container = replace(MAIN, ports=(pods.Port(80, host_port=8080),))
    two = [replace(POD, name=name, containers=(container,)) for name in ("a", "b")]
    found = checks.problems(two, setting_in(tmp_path))
    assert len(found) == 1
    assert "hostPort: 8080 is wanted by" in found[0]


def test_more_pods_than_a_bridge_takes_are_refused(tmp_path: Path) -> None:
    many = [replace(POD, name=f"p{number}") for number in range(checks.PODS_MAX + 1)]
    assert "use several projects" in checks.problems(many, setting_in(tmp_path))[0]
