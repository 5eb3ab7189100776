"""How containers end in a real Docker engine: signals, commands in them, kills, what is left."""

import asyncio
import dataclasses
import ipaddress
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import docker, pods_in_docker
from tests.e2e.pods_in_docker import IMAGE, echoing, opened, shell

from alongside.base import environment, errors
from alongside.dockerd import engine as dockerd
from alongside.engines.pods import runtime
from alongside.engines.runtimes.docker import facts
from alongside.plan import pods

pytestmark = [pytest.mark.needs("dockerd", "debootstrap"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.Engine]:
    with docker.daemon() as daemon:
        daemon.own.take_base(IMAGE)
        yield daemon.own


def running_with(text: str) -> list[int]:
    """Return the processes of this machine in whose command a text stands."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


async def gone(text: str) -> None:
    """Return when no process of this machine has a text in its command."""
    async with asyncio.timeout(pods_in_docker.WAIT_S):
        while await asyncio.to_thread(running_with, text):  # noqa: ASYNC110 - strangers tell nothing
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("shares", [False, True])
def test_a_signal_reaches_all_of_a_container(
    engine: docker.Engine, tmp_path: Path, shares: bool
) -> None:
    """Also a program that says nothing about it, which is not the first of its process ids."""
    child = "sh -c 'trap \"echo child; exit\" TERM; echo up; while :; do sleep 0.05; done'"
    waits = shell(f"{child} & trap 'wait; exit 9' TERM; wait")

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            made, running = await project.started(waits, until="up", shares_pids=shares)
            await running.signal(signal.SIGTERM)
            assert (await running.ended()).code == 9
            assert "child" in await project.written("child")
            await running.signal(signal.SIGTERM)
            await made.remove()
            _, running = await project.started(
                shell("echo silent; exec sleep 100"), until="silent", shares_pids=shares
            )
            await running.signal(signal.SIGTERM)
            end = await running.ended()
            assert end == await running.ended() == runtime.Exit(143, 15)

    pods_in_docker.run(body())


@pytest.mark.parametrize("shares", [False, True])
def test_what_a_program_leaves_behind_ends_with_it(
    engine: docker.Engine, tmp_path: Path, shares: bool
) -> None:
    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            leaves = shell("setsid sleep 8642 & sleep 0.2; exit 3")
            made, running = await project.started(leaves, shares_pids=shares)
            assert (await running.ended()).code == 3
            await gone("sleep\x008642")
            await made.remove()

    pods_in_docker.run(body())


def test_commands_run_inside_with_the_containers_variables(
    engine: docker.Engine, tmp_path: Path
) -> None:
    waits = shell("echo up; exec sleep 100", variables=(pods.Variable("A", "7", "7"),), user=55)

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            _, running = await project.started(waits, until="up")
            words = ["sh", "-c", "exit $((A + $(id -u)))"]
            assert await running.run(words, timeout_s=20) == 62
            with pytest.raises(errors.AlongsideError, match="no such file"):
                await running.run(["/no/such"], timeout_s=20)
            await running.signal(signal.SIGKILL)
            await running.ended()
            with pytest.raises(errors.AlongsideError):
                await running.run(["true"], timeout_s=20)

    pods_in_docker.run(body())


@pytest.mark.parametrize("is_seen", [True, False])
def test_a_command_that_takes_too_long_is_killed_with_its_children(
    engine: docker.Engine, tmp_path: Path, is_seen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_seen:  # as on a machine that does not see the engine's processes
        monkeypatch.setattr("alongside.engines.runtimes.docker.executing._marked", lambda _: ())

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            _, running = await project.started(shell("echo up; exec sleep 100"), until="up")
            with pytest.raises(TimeoutError):
                await running.run(["sh", "-c", "setsid sleep 9753 & sleep 9753"], timeout_s=0.7)
            await gone("sleep\x009753")
            assert await running.run(["true"], timeout_s=20) == 0

    pods_in_docker.run(body())


def test_a_container_that_is_killed_or_removed_has_ended(
    engine: docker.Engine, tmp_path: Path
) -> None:
    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            waits = shell("echo up; exec sleep 7531")
            _, running = await project.started(waits, until="up")
            for pid in running_with("sleep\x007531"):
                os.kill(pid, signal.SIGKILL)
            assert await running.ended() == runtime.Exit(137, 9)
            made, running = await project.started(dataclasses.replace(waits), until="up")
            engine.docker("rm", "--force", running.identity)
            assert (await running.ended()).code == 137
            await made.remove()

    pods_in_docker.run(body())


def test_a_sandbox_that_is_killed_is_lost_and_can_be_made_anew(
    engine: docker.Engine, tmp_path: Path
) -> None:
    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            serves = echoing("hello", 8000)
            made, running = await project.started(serves, until="listening", shares_pids=True)
            [sandbox] = [
                line.split()[0]
                for line in engine.docker(
                    "ps", "--format", "{{.ID}} {{.Image}}"
                ).stdout.splitlines()
                if "alongside-sandbox" in line
            ]
            engine.docker("kill", "--signal", "KILL", sandbox)
            async with asyncio.timeout(pods_in_docker.WAIT_S):
                assert sandbox in await made.lost()
            with pytest.raises(errors.PermanentError, match="lost its sandbox"):
                await made.start(serves, 1)
            await made.remove()
            assert (await running.ended()).code == 137
            project.log("one").unlink()
            made, _ = await project.started(serves, until="listening")
            assert await pods_in_docker.answer(made.address, 8000) == "hello"

    pods_in_docker.run(body())


def test_a_container_alone_is_its_whole_pod_and_keeps_the_address_when_it_runs_again(
    engine: docker.Engine, tmp_path: Path
) -> None:
    def of_pod() -> list[str]:
        words = ("ps", "--all", "--quiet", "--filter", "label=dev.alongside.pod=one")
        return engine.docker(*words).stdout.split()

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            serves = echoing("hello", 80)
            made, running = await project.started(serves, until="listening", hostname="first")
            address = made.address
            assert len(of_pod()) == 1
            assert await pods_in_docker.answer(address, 80) == "hello"
            assert await running.run(["grep", f"{address} first", "/etc/hosts"], timeout_s=20) == 0
            engine.docker("kill", "--signal", "KILL", running.identity)
            assert (await running.ended()).code == 137
            other = await project.pod(pods.Pod("other", (shell("true"),)))
            assert other.address != address
            project.log("one").unlink()
            again = await made.start(serves, 1)
            await project.written("listening")
            assert made.address == address
            assert await pods_in_docker.answer(address, 80) == "hello"
            # What holds the network now can be lost, as of any other pod.
            [sandbox] = [one for one in of_pod() if one not in {running.identity, again.identity}]
            engine.docker("kill", "--signal", "KILL", sandbox)
            async with asyncio.timeout(pods_in_docker.WAIT_S):
                assert sandbox in await made.lost()
            await made.remove()
            assert of_pod() == []

    pods_in_docker.run(body())


@pytest.mark.parametrize("shares", [False, True])
def test_a_pod_whose_address_a_stranger_took_gets_another(
    engine: docker.Engine, tmp_path: Path, shares: bool
) -> None:
    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            waits = shell("echo up; exec sleep 100")
            first = await project.pod(pods.Pod("first", (waits,)))
            taken = str(ipaddress.ip_address(first.address) + 1)
            words = ("--network", project.opened().network, "--ip", taken, IMAGE, "sleep", "100")
            stranger = engine.docker("run", "--detach", *words)
            assert stranger.returncode == 0, stranger.stderr
            try:
                pod = pods.Pod("one", (waits,), shares_pids=shares)
                if shares:
                    with pytest.raises(errors.AlongsideError, match="in use"):
                        await project.pod(pod)
                else:
                    made = await project.pod(pod)
                    with pytest.raises(runtime.NotBegunError, match=taken):
                        await made.start(waits, 0)
                    assert taken in await made.lost()
                    await made.remove()
                made = await project.pod(pod)
                await made.start(waits, 0)
                await project.written("up")
                assert made.address not in {first.address, taken}
            finally:
                engine.docker("rm", "--force", stranger.stdout.strip())

    pods_in_docker.run(body())


def test_a_start_of_which_a_silent_engine_knew_nothing_is_none(
    engine: docker.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            waits = shell("echo up; exec sleep 100")
            made = await project.pod(pods.Pod("one", (waits,)))
            with monkeypatch.context() as patch:
                nowhere = dockerd.Engine(tmp_path / "nowhere.sock")
                patch.setattr(project.opened(), "asked", nowhere)
                with pytest.raises(runtime.NotBegunError, match="no Docker engine answers"):
                    await made.start(waits, 0)
                await nowhere.close()
            await made.start(waits, 0)
            await project.written("up")

    pods_in_docker.run(body())


def test_a_pod_is_removed_whatever_runs_in_it(engine: docker.Engine, tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            stubborn = shell("trap '' TERM; echo up; sleep 6420")
            made, running = await project.started(stubborn, until="up")
            await made.remove()
            assert (await running.ended()).code == 137
            assert running_with("sleep\x006420") == []
            assert len(project.left()) == 1, "only the network"
            with pytest.raises(errors.AlongsideError):
                await made.start(stubborn, 1)
            await made.remove()

    pods_in_docker.run(body())


def test_what_a_dead_supervisor_left_is_swept_and_nobody_elses(
    engine: docker.Engine, tmp_path: Path
) -> None:
    async def body() -> None:
        other = pods_in_docker.Project(engine, tmp_path / "other")
        await other.runtime.open()
        await other.started(shell("echo up; exec sleep 100"), until="up")
        kept = other.left()
        dead = pods_in_docker.Project(engine, tmp_path / "dead")
        await dead.runtime.open()
        for name in ("a", "b"):
            await dead.started(shell("echo up; exec sleep 100"), name=name)
        following = pods_in_docker.Project(engine, tmp_path / "dead")
        assert await following.runtime.sweep() == 2
        assert await following.runtime.sweep() == 0
        assert sorted(other.left()) == sorted(kept)
        await other.runtime.close()
        assert other.left() == []
        await dead.runtime.close()

    pods_in_docker.run(body())


def test_a_name_that_somebody_has_is_no_obstacle(engine: docker.Engine, tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            made = await project.pod(pods.Pod("one", (shell("true"),)))
            taken = engine.docker("ps", "--format", "{{.Names}}").stdout.split()
            await made.remove()
            for name in taken:
                engine.docker("create", "--name", name, IMAGE, "true")
            end, _ = await project.ran(shell("exit 4"))
            assert end.code == 4
            # What is left of the same project gives its name up.
            await project.pod(pods.Pod("one", (shell("true"),)))
            await project.pod(pods.Pod("one", (shell("true"),)))
            for name in taken:
                assert engine.docker("rm", "--force", name).returncode == 0

    pods_in_docker.run(body())


def test_an_engine_that_restarts_loses_no_output_and_no_end(tmp_path: Path) -> None:
    with docker.daemon("--live-restore") as daemon:
        daemon.own.take_base(IMAGE)

        async def body() -> None:
            async with opened(daemon.own, tmp_path) as project:
                counts = shell(
                    "n=0; while [ ! -e /v/end ]; do n=$((n+1)); echo $n; sleep 0.01; done"
                )
                counts = dataclasses.replace(counts, mounts=(pods.Mount("v", "/v"),))
                volume = tmp_path / "v"
                volume.mkdir()
                made = await project.pod(pods.Pod("one", (counts,)), {"v": volume})
                running = await made.start(counts, 0)
                await project.written("20\n")
                await asyncio.to_thread(daemon.stop)
                ended = asyncio.create_task(running.ended())
                daemon.start()
                await asyncio.to_thread(daemon.await_answer)
                seen = project.log("one").read_text().split()[-1]
                await project.written(f"\n{int(seen) + 50}\n")
                (volume / "end").touch()
                assert (await ended).code == 0
                told = project.log("one").read_text().split()
                assert told == [str(n + 1) for n in range(len(told))]

        pods_in_docker.run(body())


def test_an_engine_that_ends_its_containers_is_survived(tmp_path: Path) -> None:
    """One that comes up late is waited for."""
    with docker.daemon() as daemon:
        daemon.own.take_base(IMAGE)
        daemon.stop()

        async def body() -> None:
            daemon.start()
            async with opened(daemon.own, tmp_path) as project:
                serves = echoing("hello", 8000)
                made, running = await project.started(serves, until="listening", shares_pids=True)
                alone = await project.pod(pods.Pod("alone", (serves,)))
                first = await alone.start(serves, 0)
                await project.written("listening", "alone")
                await asyncio.to_thread(daemon.stop)
                daemon.start()
                await asyncio.to_thread(daemon.await_answer)
                await running.ended()
                await first.ended()
                project.log("alone").unlink()
                await alone.start(serves, 1)
                await project.written("listening", "alone")
                assert await pods_in_docker.answer(alone.address, 8000) == "hello"
                async with asyncio.timeout(pods_in_docker.WAIT_S):
                    assert "ended" in await made.lost()
                await made.remove()
                project.log("one").unlink()
                made, _ = await project.started(serves)
                await project.written("listening")
                assert await pods_in_docker.answer(made.address, 8000) == "hello"

        pods_in_docker.run(body())


def test_the_engine_is_found_and_says_what_it_is(engine: docker.Engine) -> None:
    variables = environment.Environment({"DOCKER_HOST": engine.host})
    found = {fact.name: fact for fact in asyncio.run(facts.facts(variables))}
    assert found["docker"].is_there
    assert found["reach"].is_there
    assert found["version"].reason.startswith("Docker 2")
    variables = environment.Environment({"DOCKER_HOST": f"{engine.host}.not"})
    found = {fact.name: fact for fact in asyncio.run(facts.facts(variables))}
    assert not found["docker"].is_there
    assert "DOCKER_HOST" in found["docker"].remedy
