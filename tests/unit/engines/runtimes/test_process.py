"""Containers are processes with what their pod gives them, and all of them ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from tests.unit.engines.runtimes import rooms

from alongside.base import errors
from alongside.engines.pods import runtime
from alongside.engines.processes import groups
from alongside.plan import loopback, pods

IS_ROOT = os.geteuid() == 0
DAEMON = """
import os, signal, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("daemon", os.getpid(), flush=True)
        signal.pause()
    os._exit(0)
os.wait()
"""
EAT = "held = []\nwhile True: held.append(b'x' * 2**20)"


def escaped(project: rooms.Project) -> int:
    """Return the pid of the daemon that a container wrote down."""
    return int(project.said().split("daemon ")[1].split()[0])


def test_says_how_a_container_ended(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        for script, expected in (
            ("exit 0", runtime.Exit(0)),
            ("exit 7", runtime.Exit(7)),
            ("kill -TERM $$", runtime.Exit(143, signal=15)),
            ("kill -KILL $$", runtime.Exit(137, signal=9)),
        ):
            running = await project.start(rooms.shell(script))
            assert await running.ended() == expected
            assert await running.ended() == expected

    rooms.run(tmp_path, work)


def test_writes_output_to_its_log(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        for _ in range(2):
            running = await project.start(rooms.shell("echo out; echo err >&2"))
            await running.ended()
        assert project.said() == "out\nerr\nout\nerr\n"

    rooms.run(tmp_path, work)


def test_is_a_session_of_its_own(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        running = await project.start(rooms.shell("exec sleep 1000"))
        found = groups.entry(int(running.identity))
        assert found is not None
        assert found.group == found.session == int(running.identity)
        await running.signal(signal.SIGKILL)
        await running.ended()
        await running.signal(signal.SIGKILL)

    rooms.run(tmp_path, work)


def test_has_ended_only_when_a_daemon_that_escaped_has(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        container = pods.Container("main", command=(sys.executable, "-c", DAEMON))
        running = await project.start(container)
        await rooms.until(lambda: "daemon" in project.said())
        pid = escaped(project)
        assert (await running.ended()).code == 0
        assert groups.entry(pid) is None or groups.entry(pid).is_zombie  # type: ignore[union-attr]

    rooms.run(tmp_path, work)


def test_a_signal_reaches_all_of_it(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        child = "(trap 'echo child told; exit' TERM; sleep 1000 & echo up; wait) &"
        running = await project.start(
            rooms.shell(f"trap 'echo told' TERM; {child} wait; wait; exit 3")
        )
        await rooms.until(lambda: "up" in project.said())
        await running.signal(signal.SIGTERM)
        assert (await running.ended()).code == 3
        assert sorted(project.said().split("\n")[1:]) == ["", "child told", "told"]

    rooms.run(tmp_path, work)


def test_remove_kills_what_ignores_every_other_signal(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        stubborn = DAEMON + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.pause()"
        container = pods.Container("main", command=(sys.executable, "-c", stubborn))
        pod = pods.Pod("web-0", (container,))
        sandbox = await project.create(pod)
        running = await sandbox.start(container, 0)
        await rooms.until(lambda: "daemon" in project.said())
        await asyncio.gather(sandbox.remove(), sandbox.remove())
        assert (await running.ended()).signal == signal.SIGKILL
        assert not groups.marked(str(project.home))
        with pytest.raises(errors.PermanentError, match="removed"):
            await sandbox.start(container, 1)

    rooms.run(tmp_path, work)


def test_pods_do_not_end_each_other(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        container = rooms.shell("exec sleep 1000")
        first = await project.create(pods.Pod("web-1", (container,)))
        second = await project.create(pods.Pod("web-10", (container,)))
        await first.start(container, 0)
        other = await second.start(container, 0)
        await first.remove()
        assert groups.entry(int(other.identity)) is not None
        await second.remove()

    rooms.run(tmp_path, work)


def test_gets_the_users_variables_below_its_own(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        container = rooms.shell(
            "echo $A $B $HOSTNAME; env", variables=(pods.Variable("B", "pod's", "pod's"),)
        )
        await (await project.start(container)).ended()
        lines = project.said().splitlines()
        assert lines[0] == "user's pod's web-0"
        assert not any(line.startswith("LISTEN_") for line in lines)

    environment = {**os.environ, "A": "user's", "B": "user's", "LISTEN_FDS": "3"}
    rooms.run(tmp_path, work, environment)


def test_a_hostname_is_told_as_the_pod_has_it(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        await (await project.start(rooms.shell("echo $HOSTNAME"), hostname="db")).ended()
        assert project.said() == "db\n"

    rooms.run(tmp_path, work)


def test_starts_in_its_folder_or_the_files(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        (tmp_path / "own").mkdir()
        own = rooms.shell("pwd", directory=str(tmp_path / "own"))
        await (await project.start(own, folder=str(tmp_path))).ended()
        await (await project.start(rooms.shell("pwd"), folder=str(tmp_path))).ended()
        assert project.said() == f"{tmp_path}/own\n{tmp_path}\n"

    rooms.run(tmp_path, work)


def test_finds_volumes_by_variables_and_by_paths_at_a_beginning(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        config = pods.Volume("app-config", "files", files=(pods.File("app.yaml", b"hello"),))
        data = pods.Volume("data", "empty")
        reader = pods.Container(
            "main",
            command=("sh", "-c", 'cat "$1" "$FILE" $ALONGSIDE_VOLUME_APP_CONFIG/app.yaml; pwd'),
            args=("sh", "/etc/config/app.yaml"),
            variables=(pods.Variable("FILE", "/etc/config/app.yaml"),),
            directory="/work",
            mounts=(pods.Mount("app-config", "/etc/config"), pods.Mount("data", "/work", "deep")),
        )
        await (await project.start(reader, volumes=(config, data))).ended()
        folder = project.home / "volumes" / "web-0"
        assert project.said() == f"hellohellohello{folder}/data/deep\n"
        (note,) = [text for text in project.runtime.notes() if "cannot mount" in text]
        assert note.startswith("web-0: containers.main: ")
        assert "/etc/config/app.yaml" in note

    rooms.run(tmp_path, work)


def test_fills_in_what_only_it_knows(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        container = pods.Container(
            "main",
            command=("echo", "$(POD_IP)", "$(ALONGSIDE_VOLUME_DATA)", "$$(POD_IP)"),
            variables=(pods.Variable("POD_IP", "", "field:status.podIP"),),
            late=("POD_IP", "ALONGSIDE_VOLUME_DATA"),
            mounts=(pods.Mount("data", "/data"),),
        )
        await (await project.start(container, volumes=(pods.Volume("data", "empty"),))).ended()
        address = loopback.of_pod("p", "web-0")
        folder = project.home / "volumes" / "web-0" / "data"
        assert project.said() == f"{address} {folder} $(POD_IP)\n"

    rooms.run(tmp_path, work)


def test_a_pod_that_is_told_its_address_has_one_of_its_own(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        told = rooms.shell("", variables=(pods.Variable("IP", "", "field:status.podIP"),))
        sandbox = await project.create(pods.Pod("db-0", (told,)))
        assert sandbox.address == loopback.of_pod("p", "db-0") != "127.0.0.1"
        sandbox = await project.create(pods.Pod("db-1", (rooms.shell(""),)))
        assert sandbox.address == "127.0.0.1"

    rooms.run(tmp_path, work)


def test_connects_to_the_pod(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        sandbox = await project.create(pods.Pod("db-0", (rooms.shell(""),)))
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        for host in ("", "localhost"):
            _, writer = await sandbox.connect(host, port)
            writer.close()
        server.close()
        await server.wait_closed()
        with pytest.raises(OSError, match=r"."):
            await sandbox.connect("", port)

    rooms.run(tmp_path, work)


def test_a_command_inside_has_the_containers_variables_folder_and_paths(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        config = pods.Volume("config", "files", files=(pods.File("a", b""),))
        container = rooms.shell(
            "exec sleep 1000",
            variables=(pods.Variable("A", "b"),),
            mounts=(pods.Mount("config", "/etc/config"),),
        )
        running = await project.start(container, volumes=(config,), folder=str(tmp_path))
        check = f'test "$A" = b && test "$PWD" = {tmp_path} && test -f "$1" || exit 5'
        command = ("sh", "-c", check, "sh", "/etc/config/a")
        assert await running.run(command, timeout_s=rooms.DEADLINE_S) == 0
        assert await running.run(("sh", "-c", "exit 4"), timeout_s=rooms.DEADLINE_S) == 4
        killed = ("sh", "-c", "kill -9 $$")
        assert await running.run(killed, timeout_s=rooms.DEADLINE_S) == 137

    rooms.run(tmp_path, work)


def test_a_command_inside_that_takes_too_long_is_killed_with_its_children(
    tmp_path: Path,
) -> None:
    async def work(project: rooms.Project) -> None:
        running = await project.start(rooms.shell("exec sleep 1000"))
        with pytest.raises(TimeoutError):
            await running.run(("sh", "-c", "sleep 1001 & sleep 1001"), timeout_s=0.3)
        await rooms.until(lambda: len(groups.marked(str(project.home))) == 1)

    rooms.run(tmp_path, work)


def test_a_command_inside_ends_with_its_container(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        running = await project.start(rooms.shell("exec sleep 1000"))
        inside = asyncio.create_task(running.run(("sleep", "1001"), timeout_s=rooms.DEADLINE_S))
        await rooms.until(lambda: len(groups.marked(str(project.home))) == 2)
        await running.signal(signal.SIGTERM)
        assert (await running.ended()).signal == signal.SIGTERM
        assert await inside == 137
        with pytest.raises(errors.PermanentError, match="ended"):
            await running.run(("true",), timeout_s=1)

    rooms.run(tmp_path, work)


def test_a_command_inside_may_leave_something_in_the_background(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        running = await project.start(rooms.shell("exec sleep 1000"))
        command = ("sh", "-c", "sleep 1001 >/dev/null 2>&1 &")
        assert await running.run(command, timeout_s=rooms.DEADLINE_S) == 0
        assert len(groups.marked(str(project.home))) == 2
        await running.signal(signal.SIGKILL)
        await running.ended()
        assert not groups.marked(str(project.home))

    rooms.run(tmp_path, work)


def test_a_command_inside_says_that_a_command_is_not_there(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        running = await project.start(rooms.shell("exec sleep 1000"))
        with pytest.raises(errors.PermanentError, match="none-such"):
            await running.run(("none-such-command",), timeout_s=rooms.DEADLINE_S)

    rooms.run(tmp_path, work)


@pytest.mark.parametrize(
    ("container", "reason"),
    [
        (pods.Container("main", command=("none-such-command",)), '"none-such-command" is not on'),
        (pods.Container("main", command=("/none/such",)), "/none/such is no file"),
        (pods.Container("main"), "empty"),
        (rooms.shell("true", directory="/none/such"), "workingDir: /none/such is no folder"),
    ],
)
def test_says_why_a_container_cannot_start(
    tmp_path: Path, container: pods.Container, reason: str
) -> None:
    async def work(project: rooms.Project) -> None:
        with pytest.raises(errors.PermanentError, match=reason):
            await project.start(container)

    rooms.run(tmp_path, work)


@pytest.mark.skipif(not IS_ROOT, reason="only root may become another user")
def test_runs_as_its_user_with_all_inside(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        script = "id -u; id -g; id -G; exec sleep 1000"
        running = await project.start(rooms.shell(script, user=4242, group=4343))
        await rooms.until(lambda: project.said().count("\n") == 3)
        assert project.said() == "4242\n4343\n4343\n"
        command = ("sh", "-c", 'test "$(id -u)" = 4242')
        assert await running.run(command, timeout_s=rooms.DEADLINE_S) == 0
        await (await project.start(rooms.shell("id -g", user=4242))).ended()
        assert project.said().splitlines()[3] == "4242"

    rooms.run(tmp_path, work)


def test_holds_the_limit_of_memory_or_says_that_it_does_not(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        if not project.runtime._limits.places:
            container = rooms.shell("exit 0", memory_bytes=32 * 2**20)
            assert (await (await project.start(container)).ended()).code == 0
            assert any("limits.memory" in text for text in project.runtime.notes())
            return
        eater = pods.Container(
            "main", command=(sys.executable, "-c", EAT), memory_bytes=32 * 2**20, cpu_millis=900
        )
        running = await project.start(eater)
        assert await running.ended() == runtime.Exit(137, signal=9, is_out_of_memory=True)
        container = rooms.shell("kill -9 $$", memory_bytes=32 * 2**20)
        running = await project.start(container)
        assert await running.ended() == runtime.Exit(137, signal=9)
        for place in project.runtime._limits.places:
            assert not list(place.parent.glob(f"{project.runtime._limits._prefix}*"))

    rooms.run(tmp_path, work)


def test_sweep_ends_the_pods_of_a_dead_supervisor_and_nothing_else(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        def start(mark: str) -> int:
            marks = {**os.environ, groups.MARK: mark, groups.HOME_MARK: str(project.home)}
            words = ["setsid", "sleep", "1000"]
            return os.posix_spawnp("setsid", words, marks)

        def running() -> set[int]:
            return {one.identity.pid for one in groups.marked(str(project.home))}

        left = {start("p/web-0/main"), start("p/web-0/side")}
        other = {start("p/photos"), start("q/web-0/main")}
        await rooms.until(lambda: running() == left | other)
        assert await project.runtime.sweep() == 2
        assert running() == other
        assert await project.runtime.sweep() == 0
        for pid in other:
            os.kill(pid, signal.SIGKILL)
        await rooms.until(lambda: not running())
        groups.reap_orphans()

    rooms.run(tmp_path, work)


def test_fifty_pods_start_and_end_quickly(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        containers = (rooms.shell("exec sleep 1000", "a"), rooms.shell("exec sleep 1000", "b"))
        every = [pods.Pod(f"web-{number}", containers) for number in range(50)]
        async with asyncio.timeout(rooms.DEADLINE_S):
            sandboxes = [await project.create(pod) for pod in every]
            runs = [await one.start(kept, 0) for one in sandboxes for kept in containers]
            assert len(groups.marked(str(project.home))) == len(runs) == 100
            await asyncio.gather(*(one.remove() for one in sandboxes))
            assert not groups.marked(str(project.home))

    rooms.run(tmp_path, work)
