"""What cannot run as a process is said before anything starts, all at once, with a remedy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.unit.engines.runtimes import rooms

from alongside.base import errors
from alongside.engines.runtimes.host import surroundings
from alongside.plan import pods

IS_ROOT = os.geteuid() == 0
PLACE = "web.yaml:3: Pod/web"
CONFIG = pods.Volume("config", "files", files=(pods.File("run", b"#!/bin/sh\n", 0o755),))


def found(
    tmp_path: Path,
    *containers: pods.Container,
    folder: str = "",
    volumes: tuple[pods.Volume, ...] = (),
) -> list[str]:
    pod = pods.Pod("web", containers, folder=folder, volumes=volumes, place=PLACE)
    return rooms.Project(tmp_path).runtime.problems([pod])


def test_finds_nothing_in_what_can_run(tmp_path: Path) -> None:
    at_etc, at_work = pods.Mount("config", "/etc/config"), pods.Mount("config", "/work")
    late = "$(ALONGSIDE_VOLUME_CONFIG)/run"
    good = (
        rooms.shell("true"),
        pods.Container("absolute", command=("/bin/sh",)),
        pods.Container("in-volume", command=("/etc/config/run",), mounts=(at_etc,)),
        pods.Container("late", command=(late,), mounts=(at_etc,)),
        pods.Container("work", command=("./run",), directory="/work", mounts=(at_work,)),
    )
    assert found(tmp_path, *good, folder=str(tmp_path), volumes=(CONFIG,)) == []


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        (
            pods.Container("main", command=("none-such-command",)),
            f'{PLACE}: containers.main.command: "none-such-command" is not on the PATH of this '
            "machine; install it, or write another command",
        ),
        (
            pods.Container("main", command=("/none/such",)),
            f"{PLACE}: containers.main.command: /none/such is no file of this machine; "
            "check the path",
        ),
        (
            pods.Container("main"),
            f"{PLACE}: containers.main.command: it is empty; write command: [PROGRAM]",
        ),
        (
            rooms.shell("", directory="/none/such"),
            f"{PLACE}: containers.main.workingDir: /none/such is no folder of this machine; "
            "create it",
        ),
        (
            rooms.shell("", mounts=(pods.Mount("config", "/c", sub_path="../x"),)),
            f"{PLACE}: containers.main.volumeMounts: subPath '../x' leads out of the volume; "
            "write a path below it",
        ),
    ],
)  # fmt: skip
def test_names_place_path_reason_and_remedy(
    tmp_path: Path, container: pods.Container, expected: str
) -> None:
    assert found(tmp_path, container, volumes=(CONFIG,)) == [expected]


def test_names_the_package_that_brings_a_command(tmp_path: Path) -> None:
    path = pods.Variable("PATH", str(tmp_path))
    (why,) = found(tmp_path, pods.Container("main", command=("memcached",), variables=(path,)))
    assert why.endswith("apt-get install memcached")
    (why,) = found(tmp_path, pods.Container("main", command=("node",), variables=(path,)))
    assert why.endswith("apt-get install nodejs")


def test_a_command_that_may_not_be_run_is_no_command(tmp_path: Path) -> None:
    (tmp_path / "program").write_text("")
    (why,) = found(tmp_path, pods.Container("main", command=(str(tmp_path / "program"),)))
    assert why.endswith("may not be run; make it executable")
    (why,) = found(tmp_path, pods.Container("main", command=("./program",)), folder=str(tmp_path))
    assert why.endswith("may not be run; make it executable")


def test_says_all_at_once(tmp_path: Path) -> None:
    none = pods.Container("a", command=("none-such-1",))
    whys = found(tmp_path, none, pods.Container("b", command=("none-such-2",)))
    assert len(whys) == 2
    assert all(why.startswith(f"{PLACE}: ") for why in whys)


def test_an_image_that_stands_for_nothing_is_said_as_the_words_say(tmp_path: Path) -> None:
    def unknown(_: pods.Pod, __: pods.Container) -> tuple[str, ...]:
        raise errors.UsageError("nothing says what runs; write command: [PROGRAM]")

    pod = pods.Pod("web", (pods.Container("main", image="x"),), place=PLACE)
    given = surroundings.Given(os.environ, {}, {}, "127.0.0.1")
    assert list(surroundings.problems(pod, unknown, given)) == [
        f"{PLACE}: containers.main: nothing says what runs; write command: [PROGRAM]"
    ]


@pytest.mark.skipif(IS_ROOT, reason="root may become anybody")
def test_another_user_needs_root(tmp_path: Path) -> None:
    own = rooms.shell("", user=os.geteuid(), group=os.getegid())
    assert found(tmp_path, own) == []
    (why,) = found(tmp_path, rooms.shell("", user=os.geteuid() + 1))
    assert "securityContext.runAsUser" in why
    assert "run as root" in why


def test_another_user_needs_root_as_somebody_else_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "getegid", lambda: 1000)
    assert found(tmp_path, rooms.shell("", user=1000, group=1000)) == []
    whys = found(tmp_path, rooms.shell("", user=0, group=5))
    assert [why.split(" is not yours")[0] for why in whys] == [
        f"{PLACE}: containers.main.securityContext.runAsUser: 0",
        f"{PLACE}: containers.main.securityContext.runAsGroup: 5",
    ]
    assert all("--engine namespaces or docker" in why for why in whys)


@pytest.mark.skipif(not IS_ROOT, reason="only root may become another user")
def test_another_user_has_to_reach_its_volumes(tmp_path: Path) -> None:
    closed = rooms.shell("", user=4242, mounts=(pods.Mount("data", "/data"),))
    (tmp_path / "s").mkdir(mode=0o700)
    (why,) = found(tmp_path, closed, volumes=(pods.Volume("data", "empty"),))
    assert "user 4242 may not enter" in why
    assert '"data"' in why
    assert found(tmp_path, rooms.shell("", user=4242)) == []


@pytest.mark.skipif(not IS_ROOT, reason="only root may become another user")
def test_another_user_needs_the_tool_that_makes_it(tmp_path: Path) -> None:
    project = rooms.Project(tmp_path, {"PATH": str(tmp_path)})
    pod = pods.Pod("web", (pods.Container("main", command=("/bin/sh",), user=4242),), place=PLACE)
    (why,) = project.runtime.problems([pod])
    assert why.endswith("apt-get install util-linux")
