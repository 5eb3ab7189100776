"""Pods as containers of a real Docker engine: what they share, and what they keep apart."""

import asyncio
import ctypes
import dataclasses
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import docker, pods_in_docker
from tests.e2e.pods_in_docker import IMAGE, echoing, opened, python, shell

from alongside.base import errors
from alongside.dockerd import engine as dockerd
from alongside.engines.pods import memory, runtime
from alongside.engines.runtimes.docker import containers
from alongside.plan import pods

pytestmark = [pytest.mark.needs("dockerd", "debootstrap"), pytest.mark.timeout(300)]

AT_FDCWD, RENAME_EXCHANGE = -100, 2


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.Engine]:
    with docker.daemon() as daemon:
        daemon.own.take_base(IMAGE)
        yield daemon.own


def test_containers_of_a_pod_share_localhost_and_its_name(
    engine: docker.Engine, tmp_path: Path
) -> None:
    asking = python(
        "import socket\n"
        "print(socket.create_connection(('localhost', 8000)).recv(9).decode(), "
        "socket.gethostname())",
        "asks",
    )
    pod = pods.Pod("web-0", (echoing("hello", 8000, "serves"), asking), hostname="first")

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            made = await project.pod(pod)
            await made.start(pod.containers[0], 0)
            await project.written("listening", pod.name, "serves")
            end = await (await made.start(asking, 0)).ended()
            assert (end.code, project.log(pod.name, "asks").read_text()) == (0, "hello first\n")
            assert await pods_in_docker.answer(made.address, 8000) == "hello"
            reader, writer = await made.connect("", 8000)
            assert await reader.read() == b"hello"
            writer.close()
            with pytest.raises(OSError, match=r"refused|Connect"):
                await made.connect(made.address, 8001)

    pods_in_docker.run(body())


def test_ports_are_published_for_probes_where_the_network_is_not_reached(
    engine: docker.Engine, tmp_path: Path
) -> None:
    """As with an engine in a virtual machine, or one without root's rights."""
    serves = dataclasses.replace(
        echoing("hello", 8000), readiness=pods.Look("tcp", port=8000), ports=(pods.Port(8001),)
    )

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            project.opened().is_reached = False
            made, _ = await project.started(serves, until="listening")
            reader, writer = await made.connect(made.address, 8000)
            assert await reader.read() == b"hello"
            writer.close()
            with pytest.raises(OSError, match="is not published"):
                await made.connect("", 8002)

    pods_in_docker.run(body())


def test_a_pod_may_be_on_this_machines_own_network(engine: docker.Engine, tmp_path: Path) -> None:
    serves = echoing("hello", 48123)

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            made, running = await project.started(
                serves, until="listening", uses_host_network=True, aliases=(("10.1.1.1", ("x",)),)
            )
            assert made.address == "127.0.0.1"
            reader, writer = await made.connect("", 48123)
            assert await reader.read() == b"hello"
            writer.close()
            words = [
                "python3",
                "-c",
                "import socket; assert socket.gethostbyname('x') == '10.1.1.1'",
            ]
            assert await running.run(words, timeout_s=20) == 0
            seen.append((tmp_path / "pods" / "one" / "hosts").read_text())

    seen: list[str] = []
    pods_in_docker.run(body())
    assert all(line in seen[0] for line in Path("/etc/hosts").read_text().splitlines())


def test_shared_memory_is_the_pods(engine: docker.Engine, tmp_path: Path) -> None:
    writes, reads = shell("echo shared > /dev/shm/x", "w"), shell("cat /dev/shm/x", "r")

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            made = await project.pod(pods.Pod("one", (writes, reads)))
            for one in (writes, reads):
                assert (await (await made.start(one, 0)).ended()).code == 0
            assert project.log("one", "r").read_text() == "shared\n"

    pods_in_docker.run(body())


@pytest.mark.parametrize("shares", [False, True])
def test_process_ids_are_shared_where_asked(
    engine: docker.Engine, tmp_path: Path, shares: bool
) -> None:
    sleeps = shell("echo up; exec sleep 1234", "sleeps")
    looks = shell("cat /proc/1/comm; cat /proc/*/cmdline | tr '\\0' ' '", "looks")

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            made = await project.pod(pods.Pod("one", (sleeps, looks), shares_pids=shares))
            await made.start(sleeps, 0)
            await project.written("up", "one", "sleeps")
            await (await made.start(looks, 0)).ended()
            seen = project.log("one", "looks").read_text()
            assert ("sleep 1234" in seen) is shares
            assert ("alongside-dataplane" in seen) is shares
            assert seen.startswith("docker-init")

    pods_in_docker.run(body())


@pytest.mark.parametrize("shares", [False, True])
def test_orphans_are_reaped(engine: docker.Engine, tmp_path: Path, shares: bool) -> None:
    orphaning = python(
        "import os, time, pathlib\n"
        "reader, writer = os.pipe()\n"
        "for _ in range(5):\n"
        "    if child := os.fork():\n"
        "        os.waitpid(child, 0)\n"
        "    elif os.fork():\n"
        "        os._exit(0)\n"
        "    else:\n"
        "        time.sleep(0.2)\n"
        "        os._exit(0)\n"
        "os.close(writer)\n"
        "os.read(reader, 1)  # until the last of them has ended\n"
        "def dead():\n"
        "    for path in pathlib.Path('/proc').glob('[0-9]*/stat'):\n"
        "        try: yield path.read_text().rsplit(')', 1)[1].split()[0] in 'ZX'\n"
        "        except OSError: pass\n"
        "until = time.monotonic() + 5\n"
        "while any(dead()) and time.monotonic() < until: time.sleep(0.02)\n"
        "print('left', sum(dead()))\n"
    )

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            end, told = await project.ran(orphaning, shares_pids=shares)
            assert (end.code, told) == (0, "left 0\n")

    pods_in_docker.run(body())


def test_volumes_are_shared_and_read_only_where_said(engine: docker.Engine, tmp_path: Path) -> None:
    volume = tmp_path / "data"
    (volume / "inner").mkdir(parents=True)
    writes = shell("echo one > /data/inner/f", "w", mounts=(pods.Mount("data", "/data"),))
    reads = shell(
        "cat /conf/f; echo two > /conf/f; cat /etc/only",
        "r",
        mounts=(
            pods.Mount("data", "/conf", sub_path="inner", is_read_only=True),
            pods.Mount("data", "/etc/only", sub_path="inner/f"),
        ),
    )
    pod = pods.Pod("one", (writes, reads), volumes=(pods.Volume("data", "empty"),))

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            made = await project.pod(pod, {"data": volume})
            for one in pod.containers:
                await (await made.start(one, 0)).ended()
            told = project.log("one", "r").read_text()
            assert "Read-only file system" in told
            assert sorted(told.splitlines())[:2] == ["one", "one"]

    pods_in_docker.run(body())


@pytest.mark.parametrize("path", ["../outside", "link", "link/below"])
def test_a_sub_path_does_not_lead_out_of_its_volume(
    engine: docker.Engine, tmp_path: Path, path: str
) -> None:
    volume = tmp_path / "data"
    volume.mkdir()
    (tmp_path / "outside").mkdir()
    (volume / "link").symlink_to(tmp_path / "outside")
    mount = pods.Mount("data", "/data", sub_path=path)

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            with pytest.raises(errors.PermanentError, match=r"leads out|has \.\. in it"):
                await project.ran(shell("true", mounts=(mount,)), {"data": volume})

    pods_in_docker.run(body())
    assert list((tmp_path / "outside").iterdir()) == []


def turned(volume: Path) -> None:
    """Let a folder and a symlink of a volume take each other's place, at once."""
    libc = ctypes.CDLL(None, use_errno=True)
    paths = os.fsencode(volume / "a"), os.fsencode(volume / "link")
    assert libc.renameat2(AT_FDCWD, paths[0], AT_FDCWD, paths[1], RENAME_EXCHANGE) == 0


def with_link(folder: Path) -> tuple[Path, Path]:
    """Return a volume with a folder `a` and a symlink to a folder outside, and that folder."""
    volume, outside = folder / "data", folder / "outside"
    (volume / "a").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret").touch()
    (volume / "link").symlink_to(outside)
    return volume, outside


@pytest.mark.parametrize("script", ["exec sleep 100", "true"])
@pytest.mark.parametrize("is_bound", [True, False])
def test_a_sub_path_that_becomes_a_symlink_before_it_is_mounted_leads_nowhere_else(
    engine: docker.Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    is_bound: bool,
) -> None:
    """Where nothing can be bound for the engine, the container is refused."""
    volume, outside = with_link(tmp_path)
    mount = pods.Mount("data", "/data", sub_path="a")
    writes = shell(f"touch /data/mine; {script}", mounts=(mount,))
    begin = containers.start

    async def start(asked: dockerd.Engine, identity: str) -> None:
        turned(volume)
        await begin(asked, identity)

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            made = await project.pod(pods.Pod("one", (writes,)), {"data": volume})
            monkeypatch.setattr(containers, "start", start)
            project.opened().sees_mounts = is_bound
            if not is_bound:
                with pytest.raises(errors.PermanentError, match="was replaced"):
                    await made.start(writes, 0)
                return
            running = await made.start(writes, 0)
            async with asyncio.timeout(pods_in_docker.WAIT_S):
                while not (volume / "link" / "mine").exists():  # noqa: ASYNC110 - a file
                    await asyncio.sleep(0.02)
            await running.signal(signal.SIGKILL)
            await running.ended()
            assert not list((tmp_path / "run").rglob("sub-paths/*"))
            assert [one.name for one in outside.iterdir()] == ["secret"]

    pods_in_docker.run(body())
    assert memory.mounts_below(tmp_path) == []


def test_a_sub_path_never_leads_out_while_its_volume_is_turned_in_a_loop(
    engine: docker.Engine, tmp_path: Path
) -> None:
    volume, outside = with_link(tmp_path)
    mount = pods.Mount("data", "/data", sub_path="a")
    lists = shell("touch /data/mine; ls /data; sleep 0.5", mounts=(mount,))
    over = threading.Event()

    def turn() -> None:
        while not over.is_set():
            turned(volume)

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            made = await project.pod(pods.Pod("one", (lists,)), {"data": volume})
            turning = asyncio.create_task(asyncio.to_thread(turn))
            ran = 0
            try:
                for attempt in range(200):
                    try:
                        await (await made.start(lists, attempt)).ended()
                    except errors.PermanentError:
                        await asyncio.sleep(0.005)  # the other thread turns it meanwhile
                        continue
                    ran += 1
                    if ran == 5:
                        break
            finally:
                over.set()
                await turning
            assert ran == 5
            assert project.opened().sees_mounts
            assert "secret" not in project.log("one").read_text()

    pods_in_docker.run(body())
    assert [one.name for one in outside.iterdir()] == ["secret"]
    assert memory.mounts_below(tmp_path) == []


def test_files_that_are_published_anew_are_seen_at_once(
    engine: docker.Engine, tmp_path: Path
) -> None:
    volume = tmp_path / "conf"
    (volume / "v1").mkdir(parents=True)
    (volume / "v1" / "a").write_text("old")
    (volume / "..data").symlink_to("v1")
    (volume / "a").symlink_to("..data/a")
    watches = shell(
        "cat /conf/a; echo; until grep -q new /conf/a; do sleep 0.02; done; echo seen",
        mounts=(pods.Mount("conf", "/conf", is_read_only=True),),
    )

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            made = await project.pod(pods.Pod("one", (watches,)), {"conf": volume})
            running = await made.start(watches, 0)
            await project.written("old")
            (volume / "v2").mkdir()
            (volume / "v2" / "a").write_text("new")
            (volume / ".new").symlink_to("v2")
            os.replace(volume / ".new", volume / "..data")
            assert (await running.ended()).code == 0

    pods_in_docker.run(body())


def test_pods_answer_to_the_names_of_their_headless_service(
    engine: docker.Engine, tmp_path: Path
) -> None:
    names = ["memcache", "cache-1.memcache", "memcache-1.memcache", "other.example"]
    names += ["cache-1.memcache.default.svc.cluster.local"]
    asks = python(
        "import socket, sys\n"
        f"for name in {names}:\n"
        "    try: print(name, socket.gethostbyname(name))\n"
        "    except OSError: print(name, 'none')\n"
    )
    answers = pods.Pod(
        "cache-1", (shell("sleep 100"),), subdomain="memcache", names=("memcache-1.memcache",)
    )

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            made = await project.pod(answers)
            await made.start(answers.containers[0], 0)
            aliases = (("10.1.2.3", ("other.example",)),)
            _, told = await project.ran(asks, aliases=aliases)
            found = dict(line.split() for line in told.splitlines())
            assert found.pop("other.example") == "10.1.2.3"
            assert found == dict.fromkeys(found, made.address)
            assert len(found) == len(names) - 1

    pods_in_docker.run(body())


def test_command_and_args_replace_what_the_image_says(
    engine: docker.Engine, tmp_path: Path
) -> None:
    made = engine.docker(
        "import", "--change", 'ENTRYPOINT ["echo", "entry"]', "--change", 'CMD ["cmd"]',
        str(docker.base()), "speaks:1",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr

    def speaking(command: tuple[str, ...], args: tuple[str, ...]) -> pods.Container:
        return pods.Container("main", image="speaks:1", command=command, args=args)

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            for command, args, wanted in [
                ((), (), "entry cmd"),
                ((), ("args",), "entry args"),
                (("echo", "command"), (), "command"),
                (("echo", "command"), ("args",), "command args"),
            ]:
                _, told = await project.ran(speaking(command, args))
                assert told == f"{wanted}\n"

    pods_in_docker.run(body())


def test_variables_folder_user_and_the_pods_own_address(
    engine: docker.Engine, tmp_path: Path
) -> None:
    variables = (
        pods.Variable("NAME", "a b=c", "a b=c"),
        pods.Variable("IP", "", "field:status.podIP"),
        pods.Variable("URL", "http://$(IP):80", "http://$(IP):80"),
    )
    tells = shell(
        'echo "$NAME $IP $URL $(pwd) $(id -u):$(id -g) $(hostname -I) $1"',
        variables=variables,
        directory="/usr/lib",
        user=1234,
        group=77,
        args=("sh", "at=$(IP)"),
        late=("IP",),
    )

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            _, told = await project.ran(tells)
            [address] = re.findall(r"at=(\S+)", told)
            assert re.fullmatch(r"[\d.]+", address)
            wanted = f"a b=c {address} http://{address}:80 /usr/lib 1234:77 {address}  at={address}"
            assert told.strip() == wanted

    pods_in_docker.run(body())


def test_a_root_is_read_only_and_capabilities_are_added_where_asked(
    engine: docker.Engine, tmp_path: Path
) -> None:
    script = "touch /x 2>&1 && echo wrote; grep CapEff /proc/self/status | cut -f2"

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            _, plain = await project.ran(shell(script))
            _, other = await project.ran(
                shell(script, is_read_only=True, added_capabilities=("NET_ADMIN",))
            )
            assert plain.splitlines()[0] == "wrote"
            assert "Read-only file system" in other
            net_admin = 1 << 12
            assert int(plain.splitlines()[-1], 16) & net_admin == 0
            assert int(other.splitlines()[-1], 16) & net_admin

    pods_in_docker.run(body())


def test_limits_are_held_and_too_much_memory_is_told(engine: docker.Engine, tmp_path: Path) -> None:
    eats = python("x = bytearray(200 << 20); print('ate')", memory_bytes=64 << 20)
    looks = shell(
        "cd /sys/fs/cgroup; cat cpu/cpu.cfs_quota_us 2>/dev/null || cut -d' ' -f1 cpu.max",
        cpu_millis=250,
    )

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            end, told = await project.ran(eats)
            assert (end.code, end.signal, end.is_out_of_memory, told) == (137, 9, True, "")
            assert await project.ran(looks) == (pods_in_docker.DONE, "25000\n")

    pods_in_docker.run(body())


def test_all_output_is_copied_in_order_and_once(engine: docker.Engine, tmp_path: Path) -> None:
    long = "x" * 40_000
    writes = python(f"for n in range(3000): print(n)\nprint('{long}')\nprint('end', end='')")

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            _, told = await project.ran(writes)
            assert told == "".join(f"{n}\n" for n in range(3000)) + f"{long}\nend"
            _, told = await project.ran(shell("test -t 1 && echo terminal", is_terminal=True))
            assert told.split() == ["terminal"]

    pods_in_docker.run(body())


def test_a_missing_image_and_a_missing_command_are_told_and_nothing_stays(
    engine: docker.Engine, tmp_path: Path
) -> None:
    gone = pods.Container("main", image="gone:9", command=("x",))
    pulled = pods.Container("main", image="127.0.0.1:1/gone:9", command=("x",), pull="missing")
    empty = pods.Container("main", image=IMAGE)
    absent = pods.Container("main", image=IMAGE, command=("/no/such",))
    nowhere = pods.Container("other", image=IMAGE, command=("such",))
    script = pods.Container(
        "third", image=IMAGE, command=("/v/run",), mounts=(pods.Mount("v", "/v"),)
    )
    small = pods.Container("main", image=IMAGE, command=("sh",), memory_bytes=1000)
    volumes = (pods.Volume("v", "host", path=str(tmp_path / "gone")),)

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            told = project.runtime.problems(
                [
                    pods.Pod("a", (gone,), place="f.yaml:1: Pod/a"),
                    pods.Pod("b", (empty, small), volumes),
                    pods.Pod("c", (pulled, shell("true", "fine"))),
                    pods.Pod("d", (absent, nowhere, script)),
                ]
            )
            assert [line.split("; ")[0] for line in told] == [
                'f.yaml:1: Pod/a: spec.containers[0].image: the engine has no image "gone:9"',
                "Pod/b: spec.containers[0].command: is missing, and "
                f'image "{IMAGE}" names no command',
                "Pod/b: spec.containers[1].resources.limits.memory: 1000 bytes are less than an "
                "engine accepts",
                f'Pod/d: spec.containers[0].command[0]: "/no/such" is not in image "{IMAGE}"',
                f'Pod/d: spec.containers[1].command[0]: "such" is not in image "{IMAGE}"',
            ]
            with pytest.raises(errors.PermanentError, match="no image"):
                await project.ran(gone)
            with pytest.raises(errors.PermanentError, match="cannot be pulled"):
                await project.ran(pulled)
            assert len(project.left()) == 1, "only the network"

    pods_in_docker.run(body())


def test_a_port_of_this_machine_that_is_taken_is_refused(
    engine: docker.Engine, tmp_path: Path
) -> None:
    async def body() -> None:
        server = await asyncio.start_server(lambda _, w: w.close(), "127.0.0.1", 0)
        taken = server.sockets[0].getsockname()[1]
        port = pods.Port(8000, host_port=taken, host_ip="127.0.0.1")
        async with server, opened(engine, tmp_path) as project:
            with pytest.raises(errors.AddressTakenError, match=str(taken)):
                await project.pod(pods.Pod("one", (shell("true", ports=(port,)),)))
            assert len(project.left()) == 1, "only the network"

    pods_in_docker.run(body())


def test_a_network_that_somebody_pruned_is_made_again(
    engine: docker.Engine, tmp_path: Path
) -> None:
    """While a container that is its whole pod waits to begin again, nobody is in the network."""
    main = echoing("hello", 8000)

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            made, running = await project.started(main, until="listening")
            address = made.address
            await running.signal(signal.SIGKILL)
            await running.ended()
            async with asyncio.timeout(pods_in_docker.WAIT_S):
                while project.left():
                    assert engine.docker("network", "prune", "--force").returncode == 0
                    await asyncio.sleep(0.05)
            project.log("one").unlink()
            with pytest.raises(runtime.NotBegunError, match="was made again"):
                await made.start(main, 1)
            await made.start(main, 2)
            await project.written("listening")
            assert await pods_in_docker.answer(address, 8000) == "hello"

    pods_in_docker.run(body())
