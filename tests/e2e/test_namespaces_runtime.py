"""Pods in namespaces: what their containers share and see, and that nothing of them is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests import ports
from tests.e2e import namespaced as n

from alongside.base import clock, errors
from alongside.engines.pods import runtime
from alongside.engines.processes import cgroups, groups
from alongside.engines.runtimes.namespaces import (
    carriers,
    facts,
    hub,
    members,
    sandbox,
    setting,
    wayout,
)
from alongside.engines.runtimes.namespaces import runtime as namespaces
from alongside.plan import pods

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's"),
    pytest.mark.needs("ip", "setpriv"),
]
TMP = "/tmp"  # noqa: S108 - it is what a container has of its own
PODS = 50
KNOWN = pwd.getpwnam("man")
"""A user of every Debian, whose group has another number."""
START_S_MAX = 30.0
"""Generous: a quiet machine of two cores needs 2 s."""


@pytest.fixture(autouse=True)
def allowed() -> None:
    lack = facts.problem(asyncio.run(facts.facts(os.environ)))
    if lack:
        pytest.skip(f"this machine has no namespaces for us: {lack}")


def within(
    folder: Path,
    work: Callable[[n.Project], Awaitable[None]],
    *,
    ways_out: tuple[carriers.Name, ...] = carriers.NAMES,
) -> None:
    """Do work in a project; nothing of it may be left afterwards."""

    async def whole() -> None:
        async with n.project(folder, ways_out=ways_out) as project:
            await work(project)

    asyncio.run(whole())


# What containers of a pod share


def test_containers_of_a_pod_meet_at_localhost(tmp_path: Path) -> None:
    pod = pods.Pod(
        "a", (n.main(n.listening(8000, "hello"), "server"), n.main(n.asking("localhost", 8000)))
    )

    async def work(project: n.Project) -> None:
        made = await project.pod(pod)
        await project.start(made, "server")
        assert await project.output(made) == "hello\n"

    within(tmp_path, work)


def test_two_pods_listen_on_one_port_and_reach_each_other_by_address(tmp_path: Path) -> None:
    async def work(project: n.Project) -> None:
        first = await project.pod(pods.Pod("a", (n.main(n.listening(80, "a")),)))
        second = await project.pod(pods.Pod("b", (n.main(n.listening(80, "b")),)))
        await project.start(first)
        await project.start(second)
        script = n.asking(first.address, 80) + "\n" + n.asking(second.address, 80)
        third = await project.pod(pods.Pod("c", (n.main(script),)))
        assert first.address != second.address
        assert await project.output(third) == "a\nb\n"

    within(tmp_path, work)


def test_probes_connect_from_outside_the_pod(tmp_path: Path) -> None:
    async def work(project: n.Project) -> None:
        made = await project.pod(pods.Pod("a", (n.main(n.listening(8000, "hello")),)))
        with pytest.raises(OSError, match=r".") as refused:
            await made.connect("", 8000)
        assert isinstance(refused.value, ConnectionRefusedError)
        await project.start(made)
        async with asyncio.timeout(n.WAIT_S):
            while True:
                try:
                    reader, writer = await made.connect("", 8000)
                    break
                except ConnectionRefusedError:
                    await clock.SystemClock().sleep(0.02)
        assert await reader.read() == b"hello"
        writer.close()

    within(tmp_path, work)


def test_a_pod_has_its_own_hostname_and_the_host_keeps_its(tmp_path: Path) -> None:
    async def work(project: n.Project) -> None:
        before = socket.gethostname()
        pod = pods.Pod(
            "a", (n.main('hostname; cat /etc/hostname; echo "$HOSTNAME"'),), hostname="web-7"
        )
        assert await project.output(await project.pod(pod)) == "web-7\nweb-7\nweb-7\n"
        assert socket.gethostname() == before

    within(tmp_path, work)


def test_containers_share_ipc_with_their_pod_alone(tmp_path: Path) -> None:
    make, look = (
        "ipcmk -S 1 >/dev/null; echo x > /dev/shm/mark",
        "ipcs -s | grep -c 0x; ls /dev/shm",
    )
    pod = pods.Pod("a", (n.main(make, "first"), n.main(look, "second")))

    async def work(project: n.Project) -> None:
        made = await project.pod(pod)
        await project.output(made, "first")
        assert await project.output(made, "second") == "1\nmark\n"
        other = await project.pod(pods.Pod("b", (n.main(look),)))
        assert await project.output(other) == "0\n"
        assert "mark" not in os.listdir("/dev/" + "shm")

    within(tmp_path, work)


def test_process_ids_are_shared_where_asked_and_pause_is_the_first(tmp_path: Path) -> None:
    first = n.main("exec sleep 60", "first")
    second = n.main("for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done", "second")

    async def work(project: n.Project) -> None:
        made = await project.pod(pods.Pod("a", (first, second), shares_pids=True))
        await project.start(made, "first")
        seen = await project.output(made, "second")
        assert "sleep infinity" in seen.splitlines()[0]
        assert "sleep 60" in seen
        assert "pytest" not in seen

    within(tmp_path, work)


def test_orphans_are_reaped_where_process_ids_are_shared(tmp_path: Path) -> None:
    script = (
        "(sh -c 'sleep 0.05 & exit' &) ; sleep 0.4; "
        "cat /proc/[0-9]*/status | grep -c '^State:.Z' ; exit 0"
    )

    async def work(project: n.Project) -> None:
        made = await project.pod(pods.Pod("a", (n.main(script),), shares_pids=True))
        assert await project.output(made) == "0\n"

    within(tmp_path, work)


# How containers end


@pytest.mark.parametrize("shares_pids", [False, True])
def test_an_exit_code_and_a_signal_are_told(tmp_path: Path, *, shares_pids: bool) -> None:
    pod = pods.Pod(
        "a",
        (n.main("exit 7", "code"), n.main("exec sleep 60", "term"), n.main("kill -9 $$", "itself")),
        shares_pids=shares_pids,
    )

    async def work(project: n.Project) -> None:
        made = await project.pod(pod)
        assert await (await project.start(made, "code")).ended() == runtime.Exit(7)
        running = await project.start(made, "term")
        await running.signal(signal.SIGTERM)
        assert await running.ended() == runtime.Exit(143, 15)
        assert await running.ended() == runtime.Exit(143, 15)
        assert await (await project.start(made, "itself")).ended() == runtime.Exit(137, 9)

    within(tmp_path, work)


@pytest.mark.parametrize("shares_pids", [False, True])
def test_nothing_of_a_container_survives_its_program(tmp_path: Path, *, shares_pids: bool) -> None:
    escaped = "setsid sleep 61 & env -i setsid /bin/sleep 62 & sleep 63 & sleep 0.3; exit 0"
    pod = pods.Pod(
        "a", (n.main(escaped), n.main("exec sleep 64", "other")), shares_pids=shares_pids
    )

    async def work(project: n.Project) -> None:
        made = await project.pod(pod)
        other = await project.start(made, "other")
        running = await project.start(made)
        assert await running.ended() == runtime.Exit(0)
        assert _sleeping("61", "62", "63", "64") == ["64"]
        await other.signal(signal.SIGKILL)
        assert await other.ended() == runtime.Exit(137, 9)

    within(tmp_path, work)


STORM = """
import os, random, resource, time
resource.setrlimit(resource.RLIMIT_NPROC, (150, 150))
leader = os.getpid()
until_s = time.monotonic() + 60  # so that it ends, whatever becomes of the test
while time.monotonic() < until_s:
    try:
        if os.fork() == 0:
            os.setsid()
        elif os.getpid() != leader and random.random() < 0.5:
            os._exit(0)
    except OSError:
        pass
"""
STORM_USER = 64777


def _storming() -> list[int]:
    found = []
    for one in groups.all_entries():
        try:
            if os.stat(f"/proc/{one.identity.pid}").st_uid == STORM_USER:
                found.append(one.identity.pid)
        except OSError:
            continue
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="only an ordinary user's processes have a limit")
@pytest.mark.parametrize("has_cgroups", [True, False])
def test_a_storm_of_forks_ends_or_is_named_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_cgroups: bool
) -> None:
    if not has_cgroups:
        monkeypatch.setattr(cgroups.Cgroups, "places", ())
    elif "freezer" not in {one.controller for one in cgroups.Cgroups("", tmp_path / "c").places}:
        pytest.skip("no cgroups may be made here")
    python = n.python_of_everyone()
    if python is None:
        pytest.skip("no Python here can be run by an ordinary user")
    words = (python, "-I", "-S", "-c", STORM)
    pod = pods.Pod("a", (pods.Container("main", command=words, user=STORM_USER),))

    async def work(project: n.Project) -> None:
        made = await project.pod(pod)
        running = await project.start(made)
        await n.until(lambda: len(_storming()) > 50, "it storms")
        try:
            async with asyncio.timeout(3 * members.KILL_WAIT_S):
                await running.signal(signal.SIGKILL)
                await running.ended()
                if has_cgroups:
                    assert _storming() == []
                with contextlib.suppress(errors.TemporaryError):
                    await made.remove()
                    assert _storming() == []
        finally:
            while left := _storming():  # at their limit they come to an end by and by
                for pid in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

    within(tmp_path, work)


def test_a_signal_reaches_the_whole_group_and_who_left_it(tmp_path: Path) -> None:
    script = (
        "setsid sh -c 'trap \"echo far; exit\" TERM; echo up; while :; do sleep 0.05; done' & "
        "trap 'echo near; wait; exit 0' TERM; while :; do sleep 0.05; done"
    )

    async def work(project: n.Project) -> None:
        made = await project.pod(pods.Pod("a", (n.main(script),)))
        running = await project.start(made)
        await n.until(lambda: "up" in project.log("a"), "it runs")
        await running.signal(signal.SIGTERM)
        assert (await running.ended()).code == 0
        assert {"far", "near"} <= set(project.log("a").split())

    within(tmp_path, work)


def test_a_command_runs_inside_a_container(tmp_path: Path) -> None:
    pod = pods.Pod(
        "a", (n.main("echo x > /tmp/own; exec sleep 60", variables=(pods.Variable("A", "b"),)),)
    )

    async def work(project: n.Project) -> None:
        made = await project.pod(pod)
        running = await project.start(made)
        await n.until(lambda: running.identity, "it runs")
        check = n.sh('until test -e /tmp/own; do sleep 0.02; done; test "$A$(hostname)" = ba')
        assert await running.run(check, timeout_s=n.WAIT_S) == 0
        assert await running.run(n.sh("exit 5"), timeout_s=n.WAIT_S) == 5
        with pytest.raises(TimeoutError):
            await running.run(("sleep", "65"), timeout_s=0.5)
        assert _sleeping("65") == []
        with pytest.raises(errors.AlongsideError, match="executable file not found"):
            await running.run(("no-such-program",), timeout_s=n.WAIT_S)
        await running.signal(signal.SIGKILL)
        await running.ended()
        with pytest.raises(errors.AlongsideError, match="has ended"):
            await running.run(("true",), timeout_s=n.WAIT_S)

    within(tmp_path, work)


def test_a_command_runs_where_process_ids_are_shared(tmp_path: Path) -> None:
    pod = pods.Pod("a", (n.main("exec sleep 60"),), shares_pids=True)

    async def work(project: n.Project) -> None:
        made = await project.pod(pod)
        running = await project.start(made)
        check = n.sh("grep -q infinity /proc/1/cmdline")
        assert await running.run(check, timeout_s=n.WAIT_S) == 0

    within(tmp_path, work)


def test_a_program_that_is_not_there_is_told_in_kubernetes_words(tmp_path: Path) -> None:
    pod = pods.Pod(
        "a", (pods.Container("main", command=("no-such-program",)),), place="a.yaml:3: Pod/a"
    )

    async def work(project: n.Project) -> None:
        problems = project.runtime.problems([pod])
        assert len(problems) == 1
        assert problems[0].startswith("a.yaml:3: Pod/a: main: command: there is no no-such-program")
        made = await project.pod(pod)
        with pytest.raises(errors.PermanentError, match="executable file not found in"):
            await project.start(made)

    within(tmp_path, work)


# What a container sees


def _mounted(
    script: str, *mounts: pods.Mount, volumes: tuple[pods.Volume, ...], **more: object
) -> pods.Pod:
    return pods.Pod("a", (n.main(script, mounts=mounts),), volumes)


def test_volumes_appear_where_no_folder_is_and_the_host_stays_as_it_was(tmp_path: Path) -> None:
    files = pods.Volume("conf", "files", files=(pods.File("app.yaml", b"content\n"),))
    pod = _mounted(
        "cat /etc/deep/config/app.yaml /usr/share/fresh/app.yaml; "
        "ls -d /etc/passwd /usr/share/doc; "
        "echo data > /data/x; cat /data/x; touch /etc/deep/y && echo made; "
        "touch /etc/deep/config/z 2>/dev/null || echo refused; "
        "touch /fresh-at-root; ls /fresh-at-root",
        pods.Mount("conf", "/etc/deep/config"),
        pods.Mount("conf", "/usr/share/fresh"),
        pods.Mount("data", "/data"),
        volumes=(files, pods.Volume("data", "empty")),
    )

    async def work(project: n.Project) -> None:
        before = n.host_listing(["/", "/etc", "/usr/share"])
        output = await project.output(await project.pod(pod))
        assert output.split() == [
            *("content", "content", "/etc/passwd", "/usr/share/doc", "data", "made", "refused"),
            "/fresh-at-root",
        ]
        assert n.host_listing(["/", "/etc", "/usr/share"]) == before
        assert (project.rooms["a"].volumes["data"] / "x").read_text() == "data\n"

    within(tmp_path, work)


def test_a_volume_is_shared_by_the_containers_of_a_pod(tmp_path: Path) -> None:
    mount = (pods.Mount("data", "/srv/data"),)
    pod = pods.Pod(
        "a",
        (
            n.main("echo shared > /srv/data/x", "first", mounts=mount),
            n.main("cat /srv/data/x", "second", mounts=mount),
        ),
        (pods.Volume("data", "empty"),),
    )

    async def work(project: n.Project) -> None:
        made = await project.pod(pod)
        await project.output(made, "first")
        assert await project.output(made, "second") == "shared\n"

    within(tmp_path, work)


def test_a_read_only_mount_refuses_writes_and_one_inside_another_works(tmp_path: Path) -> None:
    pod = _mounted(
        "touch /data/ro/x 2>&1 | grep -o Read-only; touch /data/x && echo ok",
        pods.Mount("inner", "/data/ro", is_read_only=True),
        pods.Mount("outer", "/data"),
        volumes=(pods.Volume("inner", "empty"), pods.Volume("outer", "empty")),
    )

    async def work(project: n.Project) -> None:
        assert await project.output(await project.pod(pod)) == "Read-only\nok\n"

    within(tmp_path, work)


def test_a_sub_path_is_made_and_may_not_lead_out_of_its_volume(tmp_path: Path) -> None:
    volumes = (pods.Volume("data", "empty"),)
    good = _mounted("echo x > /sub/x", pods.Mount("data", "/sub", "deep/er"), volumes=volumes)
    outside = tmp_path / "outside"
    outside.mkdir()

    async def work(project: n.Project) -> None:
        await project.output(await project.pod(good))
        data = project.rooms["a"].volumes["data"]
        assert (data / "deep/er/x").read_text() == "x\n"
        (data / "escape").symlink_to(outside)
        (data / "up").symlink_to("../../..")
        (data / "inside").symlink_to("deep")
        for name, is_refused in (("escape", True), ("up", True), ("inside/er", False)):
            mount = pods.Mount("data", "/sub", name)
            bad = n.main("cat /sub/x; touch /sub/y", "main", mounts=(mount,))
            made = project.rooms["a"]
            room = runtime.Room(
                pods.Pod(f"b-{name[:2]}", (bad,), volumes),
                made.volumes,
                made.folder / name[:2],
                made.logs,
            )
            room.folder.mkdir()
            sandbox = await project.runtime.create(room)
            if is_refused:
                with pytest.raises(errors.PermanentError, match="leads out of the volume"):
                    await sandbox.start(bad, 0)
            else:
                assert (await (await sandbox.start(bad, 0)).ended()).code == 0
            await sandbox.remove()
            room.folder.rmdir()
        assert list(outside.iterdir()) == []

    within(tmp_path, work)


def test_files_of_the_host_are_mounted_one_by_one(tmp_path: Path) -> None:
    one = tmp_path / "one"
    one.write_text("of the host\n")
    pod = _mounted(
        "cat /etc/one /opt/new/one; echo changed > /opt/new/one",
        pods.Mount("one", "/etc/one", is_read_only=True),
        pods.Mount("one", "/opt/new/one"),
        volumes=(pods.Volume("one", "host", path=str(one)),),
    )

    async def work(project: n.Project) -> None:
        assert await project.output(await project.pod(pod)) == "of the host\nof the host\n"
        assert one.read_text() == "changed\n"
        assert "one" not in os.listdir("/etc")

    within(tmp_path, work)


def test_published_files_are_seen_anew_after_their_folder_was_swapped(tmp_path: Path) -> None:
    pod = _mounted(
        "until grep -q new /conf/app; do sleep 0.02; done; echo seen",
        pods.Mount("conf", "/conf"),
        volumes=(pods.Volume("conf", "files"),),
    )

    async def work(project: n.Project) -> None:
        made = await project.pod(pod)
        folder = project.rooms["a"].volumes["conf"]
        for version in ("old", "new"):
            (folder / f"..{version}").mkdir()
            (folder / f"..{version}" / "app").write_text(version)
        (folder / "..data").symlink_to("..old")
        (folder / "app").symlink_to("..data/app")
        running = await project.start(made)
        (folder / "..tmp").symlink_to("..new")
        os.replace(folder / "..tmp", folder / "..data")
        async with asyncio.timeout(n.WAIT_S):
            assert (await running.ended()).code == 0

    within(tmp_path, work)


def test_a_read_only_root_lets_only_volumes_be_written(tmp_path: Path) -> None:
    script = (
        "for f in /x /etc/x /tmp/x /usr/x /var/x; do touch $f 2>/dev/null && echo wrote $f; done; "
        "touch /data/x /dev/shm/x && echo ok"
    )
    mount = (pods.Mount("data", "/data"),)
    container = n.main(script, mounts=mount, is_read_only=True)

    async def work(project: n.Project) -> None:
        made = await project.pod(pods.Pod("a", (container,), (pods.Volume("data", "empty"),)))
        assert await project.output(made) == "ok\n"

    within(tmp_path, work)


def test_each_container_has_its_own_tmp_that_is_empty_at_each_start(tmp_path: Path) -> None:
    container = n.main("ls /tmp | grep -v pytest; echo x > /tmp/left; stat -c %a /tmp")
    pod = pods.Pod("a", (container, n.main("ls /tmp", "other")))

    async def work(project: n.Project) -> None:
        made = await project.pod(pod)
        await project.output(made)
        assert await project.output(made) == "1777\n1777\n"
        assert await project.output(made, "other") == ""
        assert "left" not in os.listdir(TMP)

    within(tmp_path, work)


def test_the_folder_of_a_pods_file_is_seen_though_it_is_below_tmp(tmp_path: Path) -> None:
    own = Path(TMP, f"namespaces-{os.getpid()}")
    own.mkdir()
    try:
        (own / "beside").write_text("beside\n")
        pod = pods.Pod("a", (n.main("cat beside; pwd"),), folder=str(own))

        async def work(project: n.Project) -> None:
            assert await project.output(await project.pod(pod)) == f"beside\n{own}\n"

        within(tmp_path, work)
    finally:
        shutil.rmtree(own)


def test_user_group_and_privileges_are_those_asked_for(tmp_path: Path) -> None:
    script = (
        "id -u; id -g; grep CapEff /proc/self/status | cut -f2; "
        "mount -t tmpfs x /mnt 2>/dev/null && echo no"
    )
    pod = pods.Pod(
        "a",
        (
            n.main(script, "root", user=0),
            n.main(script, "user", user=1234, group=2345),
            n.main("id -g", "known", user=KNOWN.pw_uid),
            n.main("id -g", "unknown", user=1234),
            n.main(
                "grep CapEff /proc/self/status | cut -f2", "more", added_capabilities=("NET_ADMIN",)
            ),
        ),
    )

    async def work(project: n.Project) -> None:
        made = await project.pod(pod)
        assert (await project.output(made, "root")).split() == ["0", "0", "00000000a00425fb"]
        assert (await project.output(made, "user")).split() == ["1234", "2345", "0" * 16]
        assert (await project.output(made, "more")).split() == ["00000000a00435fb"]
        assert await project.output(made, "known") == f"{KNOWN.pw_gid}\n"
        assert await project.output(made, "unknown") == "1234\n"

    within(tmp_path, work)


def test_any_user_may_listen_at_any_port_read_the_names_and_open_its_output(tmp_path: Path) -> None:
    script = (
        "cat /etc/hosts /etc/hostname /etc/resolv.conf >/dev/null && echo opened > /dev/stdout; "
    )
    server = n.main(
        script + n.listening(80, "low", python=n.python_of_everyone() or "python3"),
        "server",
        user=1234,
    )

    async def work(project: n.Project) -> None:
        mask = os.umask(0o077)
        try:
            made = await project.pod(pods.Pod("a", (server, n.main(n.asking("localhost", 80)))))
        finally:
            os.umask(mask)
        await project.start(made, "server")
        assert await project.output(made) == "low\n"
        assert project.log("a", "server") == "opened\n"

    within(tmp_path, work)


@pytest.mark.needs("memcached", "nutcracker")
def test_packaged_servers_meet_by_the_names_of_a_stateful_set(tmp_path: Path) -> None:
    conf = b"""
twem:
  listen: 127.0.0.1:11211
  hash: fnv1a_64
  distribution: ketama
  timeout: 2000
  servers:
    - memcache-0.memcache:11211:1
    - memcache-1.memcache:11211:1
"""
    volume = pods.Volume("conf", "files", files=(pods.File("nutcracker.yaml", conf),))
    code = (
        "import socket\n"
        "c = socket.create_connection(('localhost', 11211), 5); f = c.makefile('rwb')\n"
        "for i in range(20): f.write(b'set k%d 0 0 1\\r\\nx\\r\\n' % i); f.flush(); f.readline()\n"
        "for i in range(20): f.write(b'get k%d\\r\\n' % i); f.flush(); "
        "assert f.readline() == b'VALUE k%d 0 1\\r\\n' % i; f.readline(); f.readline()\n"
        "print('kept')\n"
    )
    again = "import time, socket, sys; time.sleep(0.05); exec(sys.argv[1])"
    client = f'until {sys.executable} -I -S -c "{again}" "{code}" 2>/dev/null; do sleep 0.1; done'
    own = ("-o", "/tmp/nutcracker.log", "-p", "/tmp/nutcracker.pid")  # noqa: S108
    words = ("nutcracker", "-c", "/etc/config/nutcracker.yaml", "-a", "127.0.0.1", *own)
    proxy = pods.Container(
        "proxy", command=(*words, "-m", "512"), mounts=(pods.Mount("conf", "/etc/config"),)
    )
    server = pods.Container("main", command=("memcached", "-u", "root", "-m", "16"))

    async def work(project: n.Project) -> None:
        for number in range(2):
            pod = pods.Pod(
                f"sharded-memcache-{number}",
                (server,),
                subdomain="memcache",
                names=(f"memcache-{number}.memcache",),
            )
            await project.start(await project.pod(pod))
        made = await project.pod(pods.Pod("ambassador", (proxy, n.main(client)), (volume,)))
        await project.start(made, "proxy")
        assert await project.output(made) == "kept\n"

    within(tmp_path, work)


def test_a_command_inside_runs_as_the_containers_user(tmp_path: Path) -> None:
    pod = pods.Pod("a", (n.main("exec sleep 60", user=1234),), shares_pids=True)

    async def work(project: n.Project) -> None:
        running = await project.start(await project.pod(pod))
        before = os.stat(os.devnull)
        assert await running.run(n.sh('test "$(id -u)" = 1234'), timeout_s=n.WAIT_S) == 0
        # What it writes goes nowhere, and nowhere is everybody's.
        after = os.stat(os.devnull)
        assert (after.st_uid, after.st_gid, after.st_ctime_ns) == (
            before.st_uid,
            before.st_gid,
            before.st_ctime_ns,
        )

    within(tmp_path, work)


def test_a_pod_on_the_hosts_network_has_the_hosts_names(tmp_path: Path) -> None:
    pod = pods.Pod("a", (n.main("hostname; ls /sys/class/net"),), uses_host_network=True)

    async def work(project: n.Project) -> None:
        made = await project.pod(pod)
        assert made.address == "127.0.0.1"
        assert (await project.output(made)).split() == [
            socket.gethostname(),
            *sorted(os.listdir("/sys/class/net")),
        ]

    within(tmp_path, work)


@pytest.mark.skipif(os.geteuid() != 0, reason="cgroups are root's here")
def test_what_takes_more_memory_than_its_limit_is_killed_and_told(tmp_path: Path) -> None:
    code = "x = bytearray(200 << 20)"
    container = n.main(f"exec {sys.executable} -I -S -c '{code}'", memory_bytes=64 << 20)

    async def work(project: n.Project) -> None:
        pod = pods.Pod("a", (container,))
        assert project.runtime.problems([pod]) == []
        if project.runtime.notes()[-1:] and "limits" in project.runtime.notes()[-1]:
            pytest.skip(project.runtime.notes()[-1])
        running = await project.start(await project.pod(pod))
        assert await running.ended() == runtime.Exit(137, 9, is_out_of_memory=True)

    within(tmp_path, work)


# Names


def test_names_of_headless_services_resolve_and_stay_true(tmp_path: Path) -> None:
    service = pods.Service("cache", (pods.ServicePort(1),), is_headless=True)

    def served(*addresses: str) -> list[runtime.Served]:
        return [runtime.Served(service, (tuple(f"{one}:1" for one in addresses),))]

    async def work(project: n.Project) -> None:
        made = [
            await project.pod(
                pods.Pod(
                    f"store-{number}",
                    (n.main("exec sleep 60"),),
                    subdomain="cache",
                    names=(f"cache-{number}.cache",),
                )
            )
            for number in range(2)
        ]
        await project.runtime.serve(served(*(one.address for one in made)))
        aliases = (("10.9.9.9", ("far", "away")),)
        pod = pods.Pod("client", (n.main("exec sleep 60"),), aliases=aliases)
        client = await project.start(await project.pod(pod))

        async def resolves(name: str, *addresses: str) -> bool:
            words = f"getent ahostsv4 {name} | awk '/STREAM/ {{print $1}}' | sort | tr '\\n' ' '"
            check = n.sh(f'test "$({words})" = "{"".join(f"{one} " for one in sorted(addresses))}"')
            code: int = await client.run(check, timeout_s=n.WAIT_S)
            return code == 0

        both = [one.address for one in made]
        assert await resolves("cache", *both)
        assert await resolves("cache.default.svc.cluster.local", *both)
        assert await resolves("store-1.cache", both[1])
        assert await resolves("store-0.cache.default.svc.cluster.local", both[0])
        assert await resolves("cache-1.cache", both[1])
        assert await resolves("away", "10.9.9.9")
        assert await resolves("client", project.runtime._sandboxes["client"].address)
        await made[1].remove()
        await project.runtime.serve(served(both[0]))
        assert await resolves("cache", both[0])
        assert await resolves("store-1.cache")

    within(tmp_path, work)


def _web(number: int, *, kind: str = "web") -> pods.Pod:
    return pods.Pod(f"{kind}-{number}", (n.main(n.listening(8000, f"{kind}-{number}")),))


def _served(name: str, port: int, *made: sandbox.PodSandbox) -> runtime.Served:
    backends = tuple(f"{one.address}:8000" for one in made)
    return runtime.Served(pods.Service(name, (pods.ServicePort(port),)), (backends,))


async def _until_answered(address: str, wanted: set[str]) -> None:
    """Wait until an address of the host answers with all that is wanted, and nothing else."""
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(n.WAIT_S):
        seen: set[str] = set()
        while seen != wanted:
            try:
                reader, writer = await asyncio.open_connection(host, int(port))
                seen.add((await reader.read()).decode() or "reset")
                writer.close()
            except OSError:
                seen.add("reset")
            seen = seen if seen <= wanted else set()


def test_a_service_answers_inside_by_name_and_on_the_host(tmp_path: Path) -> None:
    async def work(project: n.Project) -> None:
        made = [await project.pod(_web(number)) for number in range(2)]
        for one in made:
            await project.start(one)
        await project.runtime.serve([_served("web", 80, *made)])
        await _until_answered(project.runtime.addresses()["web:80"], {"web-0", "web-1"})
        script = n.asking("web", 80) + '; echo "$WEB_SERVICE_HOST"; getent hosts web'
        client = await project.pod(pods.Pod("client", (n.main(script),)))
        answer, host, address = (await project.output(client)).split()[:3]
        assert answer in {"web-0", "web-1"}
        assert host == address
        await made[0].remove()
        await project.runtime.serve([_served("web", 80, made[1])])
        await _until_answered(project.runtime.addresses()["web:80"], {"web-1"})
        await project.runtime.serve([])
        assert project.runtime.addresses() == {}

    within(tmp_path, work)


def test_who_knows_the_hub_still_reaches_it_when_pods_come_and_go(tmp_path: Path) -> None:
    """Pods remember its hardware address for half a minute, and Services answer there."""

    async def work(project: n.Project) -> None:
        opened = project.runtime._project
        assert opened is not None

        def address() -> str:
            words = [*opened.hub.entering(), "ip", "-oneline", "link", "show", hub.BRIDGE]
            ran = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True)
            return ran.stdout.partition("link/ether ")[2].split()[0]

        before = address()
        made = [await project.pod(_web(number)) for number in range(3)]
        assert address() == before
        for one in made:
            await one.remove()
        assert address() == before

    within(tmp_path, work)


def test_a_service_becomes_public_and_private_again(tmp_path: Path) -> None:
    port = ports.free_port()

    async def work(project: n.Project) -> None:
        web = await project.pod(_web(0))
        await project.start(web)
        served = _served("web", port, web)
        for is_public in (False, True, False):
            service = replace(served.service, is_published=is_public)
            await project.runtime.serve([replace(served, service=service)])
            assert project.runtime.addresses() == {f"web:{port}": f"127.0.0.1:{port}"}
            await _until_answered(f"127.0.0.1:{port}", {"web-0"})
            if is_public:
                await _until_answered(f"127.0.0.9:{port}", {"web-0"})
            else:
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.9", port)).close()

    within(tmp_path, work)


def test_a_service_leaves_its_number_to_a_pod_that_asks_for_it(tmp_path: Path) -> None:
    port = ports.free_port()
    container = n.main(n.listening(8000, "web"), ports=(pods.Port(8000, host_port=port),))
    pod = pods.Pod("web", (container,))

    async def work(project: n.Project) -> None:
        await project.runtime.serve([_served("web", port)])
        assert project.runtime.addresses() == {f"web:{port}": f"127.0.0.1:{port}"}
        assert project.runtime.problems([pod]) == []
        await project.runtime.serve([_served("web", port)])
        assert project.runtime.addresses() == {f"web:{port}": f"127.0.0.1:{port}"}
        promised = frozenset({port})
        await project.runtime.serve([replace(_served("web", port), promised=promised)])
        web = await project.pod(pod)
        await project.start(web)
        await project.runtime.serve([replace(_served("web", port, web), promised=promised)])
        address = project.runtime.addresses()[f"web:{port}"]
        assert address != f"127.0.0.1:{port}"
        for one in (address, f"127.0.0.1:{port}"):
            await _until_answered(one, {"web"})

    within(tmp_path, work)


def test_two_services_of_one_port_have_addresses_of_their_own(tmp_path: Path) -> None:
    async def work(project: n.Project) -> None:
        one, two = await project.pod(_web(0, kind="a")), await project.pod(_web(0, kind="b"))
        await project.start(one)
        await project.start(two)
        await project.runtime.serve([_served("one", 80, one), _served("two", 80, two)])
        known = project.runtime.addresses()
        await _until_answered(known["one:80"], {"a-0"})
        await _until_answered(known["two:80"], {"b-0"})
        script = n.asking("one", 80) + ";" + n.asking("two", 80)
        client = await project.pod(pods.Pod("client", (n.main(script),)))
        assert await project.output(client) == "a-0\nb-0\n"

    within(tmp_path, work)


def test_a_service_answers_again_after_its_balancer_and_the_agent_were_killed(
    tmp_path: Path,
) -> None:
    async def work(project: n.Project) -> None:
        made = await project.pod(_web(0))
        await project.start(made)
        await project.runtime.serve([_served("web", 80, made)])
        address = project.runtime.addresses()["web:80"]
        await _until_answered(address, {"web-0"})
        services, hub = project.runtime._services, project.runtime._project
        assert services is not None
        assert hub is not None
        n.kill(hub.hub.pid)
        n.kill(int(services.balancer))
        await _until_answered(address, {"web-0"})

    within(tmp_path, work)


def test_a_host_port_is_exactly_there_or_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        ports = (pods.Port(8000, host_port=number),)
        pod = pods.Pod("a", (n.main(n.listening(8000, "here"), ports=ports),))

        async def refused(project: n.Project) -> None:
            with pytest.raises(errors.AddressTakenError, match=f"hostPort {number}"):
                await project.pod(pod)

        within(tmp_path, refused)

    async def work(project: n.Project) -> None:
        made = await project.pod(pod)
        await project.start(made)
        await _until_answered(f"127.0.0.1:{number}", {"here"})
        await made.remove()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", number)

    within(tmp_path, work)


# The way out


def _carried(name: carriers.Name) -> None:
    found = {one.name: one for one in asyncio.run(facts.facts(os.environ))}
    if not found[name].is_there:
        pytest.skip(found[name].reason)


def _host(project: n.Project) -> str:
    """Return where the host's loopback would be for pods, were it not out of their reach."""
    opened = project.runtime._project
    assert opened is not None
    assert opened.way_out is not None, project.runtime.notes()
    if opened.way_out.words[0].endswith("slirp4netns"):
        return opened.way_out.gateway
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        _, destination, gateway, *_ = line.split()
        if int(destination, 16) == 0:
            return socket.inet_ntoa(int(gateway, 16).to_bytes(4, sys.byteorder))
    pytest.skip("waits for a default route")


def _let_reach_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ways out lead to the host's loopback: what else is outside is not for a test."""
    closing = {"--disable-host-loopback", "--no-map-gw"}

    real = wayout._carrier

    async def carrier(
        name: carriers.Name, setting_: setting.Setting, hub_: hub.Hub
    ) -> carriers.Carrier:
        made = await real(name, setting_, hub_)
        words = tuple(word for word in made.words if word not in closing)
        assert words != made.words
        return replace(made, words=words)

    monkeypatch.setattr(wayout, "_carrier", carrier)


@pytest.mark.parametrize("name", carriers.NAMES)
def test_several_pods_reach_what_the_host_reaches_and_again_after_it_was_killed(
    tmp_path: Path, name: carriers.Name, monkeypatch: pytest.MonkeyPatch
) -> None:
    _carried(name)
    _let_reach_the_host(monkeypatch)

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"outside")
        writer.close()

    async def work(project: n.Project) -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        script = n.asking(_host(project), server.sockets[0].getsockname()[1])
        for number in range(2):
            made = await project.pod(pods.Pod(f"a{number}", (n.main(script),)))
            assert await project.output(made) == "outside\n"
        way = project.runtime._way_out
        assert way is not None
        n.kill(way.pid)
        made = await project.pod(pods.Pod("b", (n.main(script),)))
        assert await project.output(made) == "outside\n"
        server.close()

    within(tmp_path, work, ways_out=(name,))


def test_the_hosts_loopback_is_not_reached_through_the_way_out(tmp_path: Path) -> None:
    _carried("slirp4netns")  # of pasta the question would go to the host's own gateway

    async def work(project: n.Project) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            port = listening.getsockname()[1]
            code = f"import socket; socket.create_connection(('{_host(project)}', {port}), 1)"
            script = f'{sys.executable} -I -S -c "{code}" 2>/dev/null || echo refused'
            made = await project.pod(pods.Pod("a", (n.main(script),)))
            assert await project.output(made) == "refused\n"

    within(tmp_path, work, ways_out=("slirp4netns",))


def test_without_a_way_out_that_is_noted_and_pods_still_reach_each_other(tmp_path: Path) -> None:
    setting_ = replace(n.setting_in(tmp_path), environment={"PATH": "/nowhere"})
    assert carriers.choose(carriers.NAMES, setting_.environment, is_privileged=False)[1]

    async def work(project: n.Project) -> None:
        first = await project.pod(pods.Pod("a", (n.main(n.listening(80, "a")),)))
        await project.start(first)
        script = n.asking(first.address, 80) + "; cat /etc/resolv.conf"
        second = await project.pod(pods.Pod("b", (n.main(script),)))
        answer, *resolving = (await project.output(second)).splitlines()
        assert answer == "a"
        assert not any(line.startswith("nameserver") for line in resolving)

    within(tmp_path, work, ways_out=())


# Death


def test_the_agents_death_is_survived(tmp_path: Path) -> None:
    async def work(project: n.Project) -> None:
        first = await project.pod(pods.Pod("a", (n.main(n.listening(80, "a")),)))
        await project.start(first)
        hub = project.runtime._project.hub  # type: ignore[union-attr]
        before = hub.pid
        n.kill(before)
        second = await project.pod(pods.Pod("b", (n.main(n.asking(first.address, 80)),)))
        assert await project.output(second) == "a\n"
        assert hub.pid != before
        n.kill(hub.pid)
        reader, writer = await first.connect("", 80)
        assert await reader.read() == b"a"
        writer.close()

    within(tmp_path, work)


def test_a_killed_agent_spoils_no_pod_that_is_being_made(tmp_path: Path) -> None:
    async def work(project: n.Project) -> None:
        hub = project.runtime._project.hub  # type: ignore[union-attr]

        async def kill_often() -> None:
            for _ in range(8):
                if hub.pid is not None and groups.identity(hub.pid) is not None:
                    n.kill(hub.pid)
                await clock.SystemClock().sleep(0.09)

        killer = asyncio.create_task(kill_often())
        made = 0
        for number in range(6):
            try:
                await project.pod(pods.Pod(f"p{number}", (n.main("true"),)))
                made += 1
            except errors.AlongsideError:  # it may be told, and nothing may be left
                project.rooms.pop(f"p{number}")
        await killer
        assert made > 0

    within(tmp_path, work)


@pytest.mark.parametrize("shares_pids", [False, True])
def test_a_pod_whose_pause_is_killed_is_lost_and_can_be_made_anew(
    tmp_path: Path, *, shares_pids: bool
) -> None:
    pod = pods.Pod("a", (n.main("exec sleep 66"),), shares_pids=shares_pids)

    async def work(project: n.Project) -> None:
        made = await project.pod(pod)
        running = await project.start(made)
        n.kill(made.pause)
        async with asyncio.timeout(n.WAIT_S):
            assert "was ended" in await made.lost()
        if shares_pids:
            assert await running.ended() == runtime.Exit(137, 9)
        await made.remove()
        assert _sleeping("66") == []
        again = await project.pod(pod)
        assert (await (await project.start(again)).run(("true",), timeout_s=n.WAIT_S)) == 0

    within(tmp_path, work)


@pytest.mark.skipif(os.geteuid() != 0, reason="others would need a user namespace, which gets it")
def test_the_end_of_a_container_touches_nobody_who_gets_its_namespaces_number(
    tmp_path: Path,
) -> None:
    """The kernel gives a new namespace the number of one that has gone."""

    async def work(project: n.Project) -> None:
        running = await project.start(await project.pod(pods.Pod("a", (n.main("exec sleep 60"),))))
        pid = int(running.identity)
        n.kill(pid)
        deadline_s = time.monotonic() + n.WAIT_S
        while (found := groups.entry(pid)) and not found.is_zombie:
            assert time.monotonic() < deadline_s
        # Nothing was awaited, so its end has not been seen yet.
        words = ["unshare", "--mount", "sleep", "69"]
        others = [subprocess.Popen(words) for _ in range(5)]  # noqa: ASYNC220
        try:
            while _sleeping("69") != ["69"] * 5:  # until they are in their namespaces
                assert time.monotonic() < deadline_s
            assert (await running.ended()).code == 137
            assert [one.poll() for one in others] == [None] * 5
        finally:
            for one in others:
                one.kill()
                one.wait()

    within(tmp_path, work)


def test_a_killed_container_starts_again_in_its_pod(tmp_path: Path) -> None:
    async def work(project: n.Project) -> None:
        made = await project.pod(pods.Pod("a", (n.main("echo run; exec sleep 60"),)))
        running = await project.start(made)
        n.kill(int(running.identity))
        assert await running.ended() == runtime.Exit(137, 9)
        again = await project.start(made, attempt=1)
        await n.until(lambda: project.log("a").count("run") >= 1, "it runs")
        assert again.identity != running.identity

    within(tmp_path, work)


SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from alongside.engines.processes import cgroups, groups
from alongside.plan import pods
from tests.e2e import namespaced as n

async def main():
    folder = Path(sys.argv[1])
    groups.become_subreaper()
    runtime = n.namespaces.NamespacesRuntime(n.setting_in(folder), n.clock.SystemClock())
    made = n.Project(folder, runtime)
    await made.runtime.open()
    for number in range(100):
        shares = number % 2 == 0
        script = "env -i setsid sleep 67 & exec sleep 68"
        pod = await made.pod(pods.Pod(f"p{number}", (n.main(script),), shares_pids=shares))
        await made.start(pod)
        service = n.pods.Service(f"s{number}", (n.pods.ServicePort(80),))
        await runtime.serve([n.seam.Served(service, ((f"{pod.address}:80",),))])
asyncio.run(main())
"""


@pytest.mark.parametrize("delay_ms", [30, 250, 500, 750, 1000, 1500])
def test_a_killed_supervisors_pods_are_swept_by_the_next(tmp_path: Path, delay_ms: int) -> None:
    mounts, links = n.mounts_now(), n.links_now()
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root), *(one for one in sys.path if one)])
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(tmp_path)], env={**os.environ, "PYTHONPATH": path}
    )
    deadline_s = time.monotonic() + n.WAIT_S
    while not (tmp_path / "supervisor.log").exists() and time.monotonic() < deadline_s:
        time.sleep(0.005)  # until it has begun
    time.sleep(delay_ms / 1000)  # a moment in its work; which one does not matter
    process.kill()
    process.wait()

    async def sweep() -> None:
        groups.become_subreaper()
        next_one = namespaces.NamespacesRuntime(n.setting_in(tmp_path), clock.SystemClock())
        await next_one.sweep()
        assert await next_one.sweep() == 0
        assert members.marked(str(tmp_path), "test") == []
        assert groups.marked(str(tmp_path)) == []
        assert list((tmp_path / "r").iterdir()) == []

    asyncio.run(sweep())
    assert _sleeping("67", "68") == []
    assert (n.mounts_now(), n.links_now(), n.cgroups_now(tmp_path)) == (mounts, links, [])


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces of one's own are root's")
def test_a_sweep_spares_who_shares_the_dead_supervisors_own_namespaces(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root), *(one for one in sys.path if one)])
    script = 'ip link set lo up; sleep 71 & exec "$@"'
    words = ["unshare", "--mount", "--net", "--ipc", "sh", "-c", script, "sh"]
    process = subprocess.Popen(
        [*words, sys.executable, "-c", SUPERVISOR, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path},
    )
    try:
        deadline_s = time.monotonic() + n.WAIT_S
        while len(_sleeping("67", "68")) < 6:  # until some pods, and the balancer, are there
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        process.kill()
        process.wait()
        next_one = namespaces.NamespacesRuntime(n.setting_in(tmp_path), clock.SystemClock())
        asyncio.run(next_one.sweep())
        assert _sleeping("67", "68", "71") == ["71"]
    finally:
        for one in groups.all_entries():
            if _sleeps(one.identity.pid, "71"):
                os.kill(one.identity.pid, signal.SIGKILL)


def test_fifty_pods_start_in_time_and_leave_nothing(tmp_path: Path) -> None:
    async def work(project: n.Project) -> None:
        async def one(number: int) -> None:
            made = await project.pod(pods.Pod(f"p{number}", (n.main("exec sleep 60"),)))
            await project.start(made)

        began_s = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(PODS):
                group.create_task(one(number))
        took_s = time.monotonic() - began_s
        assert took_s < START_S_MAX, f"{PODS} pods took {took_s:.2f} s"
        assert len(project.pids()) >= 2 * PODS

    within(tmp_path, work)


AS_USER = """
set -e
mount -t tmpfs none /dev/net
mknod /dev/net/tun c 10 200
chmod 666 /dev/net/tun
mount --bind "$1" "$2"
shift 2
exec "$@"
"""
"""Lets an ordinary user have a way out, where the host's device is root's alone, and see the
checkout, which may be in a folder that it may not enter."""


@pytest.mark.skipif(os.geteuid() != 0, reason="this is the ordinary user's run")
@pytest.mark.timeout(400)
def test_all_of_it_as_an_ordinary_user(tmp_path: Path) -> None:
    python = n.python_of_everyone()
    if python is None:
        pytest.skip("no Python here can be run by an ordinary user")
    root = Path(__file__).parents[2]
    place = Path("/var" + TMP, f"namespaces-{os.getpid()}")
    seen = place / "checkout"
    seen.mkdir(parents=True)
    os.chown(place, n.USER, n.USER)
    found = [root / "python", root, *(Path(one) for one in sys.path if one)]
    moved = [seen / one.relative_to(root) if one.is_relative_to(root) else one for one in found]
    try:
        done = subprocess.run(
            [
                *("unshare", "--mount", "/bin/sh", "-c", AS_USER, "sh", root, seen),
                *("setpriv", f"--reuid={n.USER}", f"--regid={n.USER}", "--clear-groups", python),
                *("-m", "pytest", "-p", "no:cacheprovider", "-q", "-x"),
                seen / Path(__file__).relative_to(root),
                *("--basetemp", place / "t", "-c", seen / "pyproject.toml"),
            ],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join(map(str, moved)),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        shutil.rmtree(place)
    assert done.returncode == 0, done.stdout + done.stderr


def _sleeping(*seconds: str) -> list[str]:
    """Return which of these sleeps run."""
    pids = [one.identity.pid for one in groups.all_entries()]
    return sorted(one for one in seconds for pid in pids if _sleeps(pid, one))


def _sleeps(pid: int, seconds: str) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return words[0].endswith(b"sleep") and words[1].decode() == seconds
