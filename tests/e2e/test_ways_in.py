"""`doctor`, `init`, `run` and `up` with privileges and without: what they say is true."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import TypedDict

import pytest
from tests import ports
from tests.e2e import fleets, namespaced, worlds

pytestmark = [
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0 or namespaced.python_of_everyone() is None,
        reason="only root can be somebody else, with a Python that everybody may run",
    ),
    pytest.mark.needs("setpriv", "ip"),
    fleets.NEEDS_DATA_PLANE,
]
WORLDS = ["root", "user", "locked", "bare"]
SERVER = "import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(600)"
POD = """\
apiVersion: v1
kind: Pod
metadata: {{name: web}}
spec:
  terminationGracePeriodSeconds: 2
  containers:
  - name: web
    command: ["{python}", -m, http.server, "{port}"]
    readinessProbe: {{tcpSocket: {{port: {port}}}, periodSeconds: 1}}
"""


class Fact(TypedDict):
    """What `doctor --json` says of one thing."""

    is_there: bool
    reason: str
    remedy: str


@pytest.fixture(params=WORLDS)
def everyone(request: pytest.FixtureRequest) -> Iterator[tuple[str, worlds.World]]:
    with worlds.world(request.param) as made:
        yield request.param, made


@pytest.fixture
def user() -> Iterator[worlds.World]:
    with worlds.world("user") as made:
        yield made


@pytest.fixture
def roots() -> Iterator[int]:
    """Keep a service of root's running; give its port, which is among the first that are listed."""
    with low_server() as service:
        yield int(service.getsockname()[1])


def low_server() -> socket.socket:
    """Listen at the lowest port that everybody may have, and that nobody has."""
    for port in range(1024, 65536):
        with contextlib.suppress(OSError):
            return socket.create_server(("127.0.0.1", port))
    raise AssertionError("no port is free")


def doctor(
    world: worlds.World, **variables: str
) -> tuple[int, dict[str, dict[str, Fact]], set[str]]:
    """Return the exit code, the facts by section and name, and which sections can be used."""
    ran = world.run("doctor", "--json", **variables)
    assert ran.stderr == ""
    sections = json.loads(ran.stdout)
    found = {one["name"]: {fact["name"]: fact for fact in one["facts"]} for one in sections}
    return ran.returncode, found, {one["name"] for one in sections if one["is_usable"]}


def test_doctor_says_nothing_twice_and_nothing_in_the_systems_words(
    everyone: tuple[str, worlds.World],
) -> None:
    code, found, usable = doctor(everyone[1])
    assert code == 0
    assert {"this installation", "engine process"} <= usable
    del found["programs"]  # which are missing for one reason
    for facts in found.values():
        lacks = [fact["reason"] for fact in facts.values() if not fact["is_there"]]
        assert not [one for one in lacks if "[Errno" in one]
        # Both ways out need the device, and what was not tried was not for one reason.
        told = [one for one in lacks if "/dev/net/tun" not in one and "not tried" not in one]
        assert len(told) == len(set(told))


def test_doctor_tells_a_user_that_user_namespaces_do(user: worlds.World) -> None:
    _, found, usable = doctor(user)
    inside = found["engine namespaces"]
    assert ("engine namespaces" in usable) == inside["user-namespaces"]["is_there"]
    if "engine namespaces" in usable:
        assert (inside["root"]["is_there"], inside["root"]["remedy"]) == (False, "")
    assert not found["engine process"]["ports below 1024"]["is_there"]


def test_doctor_names_the_setting_where_user_namespaces_are_used_up() -> None:
    with worlds.world("locked") as locked:
        _, found, usable = doctor(locked)
    inside = found["engine namespaces"]
    assert "engine namespaces" not in usable
    assert "user.max_user_namespaces" in inside["user-namespaces"]["reason"]
    assert "sysctl -w user.max_user_namespaces" in inside["user-namespaces"]["remedy"]
    assert inside["root"]["remedy"] == "run as root"
    for name in ("network", "process-ids", "overlay"):
        assert inside[name]["reason"] == "not tried: no namespaces can be made here"
        assert inside[name]["remedy"] == ""


def test_doctor_tells_root_without_rights_which_ones_are_missing() -> None:
    with worlds.world("bare") as bare:
        _, found, usable = doctor(bare)
    inside = found["engine namespaces"]
    assert "engine namespaces" not in usable
    for name in ("root", "user-namespaces"):
        assert "CAP_SYS_ADMIN" in inside[name]["remedy"]
    assert "or run as root" not in json.dumps(inside)
    assert "modprobe -a" not in json.dumps(inside)
    assert "run as root" not in inside["cgroups"]["remedy"]
    assert not found["engine process"]["ports below 1024"]["is_there"]
    assert found["engine process"]["setpriv"]["remedy"] == "apt-get install -y util-linux"


def test_doctor_asks_for_no_second_way_out() -> None:
    with worlds.world("root") as root:
        inside = doctor(root)[1]["engine namespaces"]
    if not inside["slirp4netns"]["is_there"]:
        pytest.skip("root has no way out here")
    assert (inside["pasta"]["is_there"], inside["pasta"]["remedy"]) == (False, "")


def test_doctor_says_that_nothing_can_be_kept_where_the_home_is_not_ones_own(
    user: worlds.World,
) -> None:
    code, found, usable = doctor(user, HOME="/nonexistent")
    assert (code, "this installation" in usable) == (1, False)
    state = found["this installation"]["folders"]
    assert "/nonexistent" in state["reason"]
    assert "XDG_STATE_HOME" in state["remedy"]
    ran = user.run("up", "--detach", "nothing.yaml", HOME="/nonexistent")
    assert ran.returncode != 0
    assert doctor(user, HOME="/nonexistent", XDG_STATE_HOME=str(user.home))[0] == 0


def test_doctor_names_the_group_where_a_socket_is_not_ours_to_use(
    user: worlds.World,
) -> None:
    path = user.home / "docker.sock"
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(path))
        os.chown(path, 0, 54321)
        path.chmod(0o660)
        engine.listen()
        inside = doctor(user, DOCKER_HOST=f"unix://{path}")[1]["engine docker"]
    assert f"this user may not use {path}" in inside["answer"]["reason"]
    assert f"usermod --append --groups 54321 {worlds.USER}" in inside["answer"]["remedy"]


def test_a_data_plane_that_was_named_wrongly_has_the_name_as_its_remedy(user: worlds.World) -> None:
    found = doctor(user, ALONGSIDE_DATAPLANE="/nowhere")[1]
    assert (
        "unset ALONGSIDE_DATAPLANE" in found["this installation"]["alongside-dataplane"]["remedy"]
    )


def test_init_writes_a_file_for_a_service_that_is_somebody_elses(
    user: worlds.World, roots: int
) -> None:
    ran = user.run("init", "--port", str(roots))
    assert ran.returncode == 0, ran.stderr
    assert f"port {roots} is of user root" in ran.stderr
    text = (user.home / "alongside.yaml").read_text()
    assert f"http://127.0.0.1:{roots}" in text
    assert "kind: Pod" not in text


def test_init_lists_services_of_others_as_such(user: worlds.World, roots: int) -> None:
    ran = user.run("init", "--port", "1")
    assert ran.returncode == 2
    assert f"{roots}  of user root" in ran.stderr


def test_init_chooses_ones_own_service_before_those_of_others(
    user: worlds.World, roots: int
) -> None:
    port = ports.free_port()
    own = subprocess.Popen(
        [*user.before, user.python, "-c", SERVER.format(port=port)], env=user.variables()
    )
    try:
        fleets.until("the service listens", lambda: _listens(port))
        ran = user.run("init")
        assert ran.returncode == 0, ran.stderr
        text = (user.home / "alongside.yaml").read_text()
        assert f"http://127.0.0.1:{port}" in text
        assert "kind: Pod" in text
        assert str(roots) not in text
    finally:
        own.kill()
        own.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def test_run_is_the_program_for_everyone(everyone: tuple[str, worlds.World]) -> None:
    ran = everyone[1].run("run", "--", "/bin/sh", "-c", "echo out; exit 3")
    assert (ran.returncode, ran.stdout, ran.stderr) == (3, "out\n", "")


@pytest.mark.parametrize("engine", ["process", "namespaces"])
def test_up_runs_a_pod_for_everyone_or_says_what_doctor_says(
    everyone: tuple[str, worlds.World], engine: str
) -> None:
    name, world = everyone
    (world.home / "pod.yaml").write_text(POD.format(python=world.python, port=ports.free_port()))
    _, found, usable = doctor(world)
    options = ("--engine", engine, "--project", "p")
    try:
        ran = world.run("up", "--detach", "--ready-timeout", "30s", *options, "pod.yaml")
        assert "Traceback" not in ran.stderr
        if f"engine {engine}" in usable:
            assert ran.returncode == 0, ran.stdout + ran.stderr
            assert " ready " in ran.stdout
        else:
            assert name in {"locked", "bare"}
            assert ran.returncode == 2
            lacks = [one for one in found[f"engine {engine}"].values() if not one["is_there"]]
            assert [one for one in lacks if one["reason"] in ran.stderr and one["remedy"]]
            assert ran.stderr.count("Traceback") == 0
    finally:
        ended = world.run("down", "--project", "p")
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr


def test_down_of_somebody_elses_project_says_whose_it_is(user: worlds.World) -> None:
    state = user.home / "state" / "alongside" / "p"
    state.mkdir(parents=True)
    ran = user.run("down", "--project", "p", XDG_STATE_HOME=str(user.home / "state"))
    assert ran.returncode != 0
    assert "Traceback" not in ran.stderr
    assert "user root" in ran.stderr
