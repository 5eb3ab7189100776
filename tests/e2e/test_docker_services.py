"""Services in a real Docker engine: names for pods, found from pods and from this machine."""

import asyncio
import dataclasses
import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import ports
from tests.e2e import dataplane, docker, pods_in_docker
from tests.e2e.pods_in_docker import IMAGE, answer, echoing, opened, python, shell

from alongside.engines.pods import runtime
from alongside.engines.runtimes.docker import balancers
from alongside.plan import pods

pytestmark = [pytest.mark.needs("dockerd", "debootstrap"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.Engine]:
    served = runtime.Served(pods.Service("web", (pods.ServicePort(80),)), ((),))
    document = json.dumps(balancers.document(served, 1, lambda _: ""))
    words = [str(dataplane.binary()), "--check", "/dev/stdin"]
    if subprocess.run(words, input=document.encode(), check=False, capture_output=True).returncode:
        pytest.skip("waits for a data plane that passes TCP connections on")
    with docker.daemon() as daemon:
        daemon.own.take_base(IMAGE)
        yield daemon.own


def service(name: str, *ports: int, **more: object) -> pods.Service:
    made = pods.Service(name, tuple(pods.ServicePort(port) for port in ports))
    return dataclasses.replace(made, **more)  # type: ignore[arg-type]


async def serving(project: pods_in_docker.Project, name: str) -> str:
    """Start a pod that answers with its name; return its address."""
    one = echoing(name, 9000)
    made = await project.pod(pods.Pod(name, (one,)))
    await made.start(one, 0)
    await project.written("listening", name)
    return made.address


async def reached(project: pods_in_docker.Project, name: str) -> str:
    """Return what a Service answers at its place on this machine."""
    host, _, port = project.runtime.addresses()[name].rpartition(":")
    return await answer(host, int(port))


def asking(*targets: tuple[str, int]) -> pods.Container:
    """Return a container that says what some servers answer."""
    return python(
        "import socket\n"
        f"for target in {targets!r}:\n"
        "    try: print(socket.create_connection(target, 5).recv(99).decode() or 'closed')\n"
        "    except OSError as error: print(type(error).__name__)\n"
    )


def test_a_service_spreads_connections_and_follows_what_is_ready(
    engine: docker.Engine, tmp_path: Path
) -> None:
    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            port = ports.free_port()
            web = service("web", port)
            await project.runtime.serve([runtime.Served(web, ((),))])
            assert project.runtime.addresses() == {f"web:{port}": f"127.0.0.1:{port}"}
            assert await reached(project, f"web:{port}") == ""
            backends = tuple([f"{await serving(project, name)}:9000" for name in ("a", "b")])
            await project.runtime.serve([runtime.Served(web, (backends,))])
            seen = Counter([await reached(project, f"web:{port}") for _ in range(60)])
            assert set(seen) == {"a", "b"}
            await project.runtime.serve([runtime.Served(web, (backends[:1],))])
            seen = Counter([await reached(project, f"web:{port}") for _ in range(20)])
            assert seen == {"a": 20}
            names = [("web", port), ("web.default.svc.cluster.local", port)]
            assert (await project.ran(asking(*names)))[1] == "a\na\n"

    pods_in_docker.run(body())


def test_a_connection_stays_with_its_pod(engine: docker.Engine, tmp_path: Path) -> None:
    holds = python(
        "import socket\n"
        "server = socket.create_server(('', 9000))\n"
        "print('listening')\n"
        "peer = server.accept()[0]\n"
        "while data := peer.recv(99): peer.sendall(data)\n",
    )

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            port = ports.free_port()
            web = service("web", port)
            made, _ = await project.started(holds, until="listening")
            await project.runtime.serve([runtime.Served(web, ((f"{made.address}:9000",),))])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for text in (b"one", b"two"):
                writer.write(text)
                assert await reader.readexactly(3) == text
                await project.runtime.serve([runtime.Served(web, ((),))])
            writer.close()

    pods_in_docker.run(body())


def test_a_service_answers_elsewhere_where_its_node_port_is_taken(
    engine: docker.Engine, tmp_path: Path
) -> None:
    async def body() -> None:
        server = await asyncio.start_server(lambda _, w: w.close(), "127.0.0.1", 0)
        taken, port = server.sockets[0].getsockname()[1], ports.free_port()
        async with opened(engine, tmp_path) as project:
            backend = (f"{await serving(project, 'a')}:9000",)
            web = pods.Service("web", (pods.ServicePort(port, node_port=taken),), is_published=True)
            async with server:
                await project.runtime.serve([runtime.Served(web, (backend,))])
                assert await reached(project, f"web:{port}") == "a"
                [note] = [one for one in project.runtime.notes() if "nodePort" in one]
                assert (
                    note == f"web: nodePort {taken} is taken on this machine, and does not answer"
                )
                await project.runtime.serve([])
            await project.runtime.serve([runtime.Served(web, (backend,))])
            assert await answer("127.0.0.1", taken) == "a"
            assert [one for one in project.runtime.notes() if "nodePort" in one] == []

    pods_in_docker.run(body())


def test_services_of_one_port_and_ports_that_are_taken_get_free_ones(
    engine: docker.Engine, tmp_path: Path
) -> None:
    async def body() -> None:
        server = await asyncio.start_server(lambda _, w: w.close(), "127.0.0.1", 0)
        taken, free = server.sockets[0].getsockname()[1], ports.free_port()
        async with server, opened(engine, tmp_path) as project:
            backend = (f"{await serving(project, 'a')}:9000",)
            one, other = service("one", 80, taken), service("other", 80, free)
            both = [runtime.Served(each, (backend, backend)) for each in (one, other)]
            await project.runtime.serve(both)
            found = project.runtime.addresses()
            assert len(set(found.values())) == 4
            assert found[f"other:{free}"] == f"127.0.0.1:{free}"
            assert found[f"one:{taken}"] != f"127.0.0.1:{taken}"
            assert [await reached(project, name) for name in found] == ["a"] * 4
            names = [("one", 80), ("other", 80), ("one", taken)]
            assert (await project.ran(asking(*names)))[1] == "a\n" * 3
            # Other ports are another container; a Service that is not named is gone.
            await project.runtime.serve([runtime.Served(service("one", 81), (backend,))])
            assert list(project.runtime.addresses()) == ["one:81"]
            names = [("one", 81), ("one", 80), ("other", 80)]
            told = (await project.ran(asking(*names)))[1]
            assert told == "a\nConnectionRefusedError\ngaierror\n"

    pods_in_docker.run(body())


def test_a_service_leaves_its_number_to_a_pod_that_asks_for_it(
    engine: docker.Engine, tmp_path: Path
) -> None:
    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            port = ports.free_port()
            web = runtime.Served(service("web", port), ((),))
            await project.runtime.serve([web])
            assert project.runtime.addresses() == {f"web:{port}": f"127.0.0.1:{port}"}
            await project.runtime.serve([dataclasses.replace(web, promised=frozenset({port}))])
            assert project.runtime.addresses()[f"web:{port}"] != f"127.0.0.1:{port}"
            one = dataclasses.replace(echoing("a", 9000), ports=(pods.Port(9000, host_port=port),))
            made = await project.pod(pods.Pod("a", (one,)))
            await made.start(one, 0)
            await project.written("listening", "a")
            backends = ((f"{made.address}:9000",),)
            told = dataclasses.replace(web, backends=backends, promised=frozenset({port}))
            await project.runtime.serve([told])
            assert await answer("127.0.0.1", port) == "a"
            assert await reached(project, f"web:{port}") == "a"

    pods_in_docker.run(body())


def test_a_balancer_that_is_killed_comes_back(engine: docker.Engine, tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            port = ports.free_port()
            backend = (f"{await serving(project, 'a')}:9000",)
            await project.runtime.serve([runtime.Served(service("web", port), (backend,))])
            label = "label=dev.alongside.service=web"
            [container] = engine.docker("ps", "--quiet", "--filter", label).stdout.split()
            engine.docker("kill", "--signal", "KILL", container)
            async with asyncio.timeout(pods_in_docker.WAIT_S):
                while await answer("127.0.0.1", port) != "a":  # noqa: ASYNC110 - asked, not told
                    await asyncio.sleep(0.05)
            assert (await project.ran(asking(("web", port))))[1] == "a\n"

    pods_in_docker.run(body())


def test_a_headless_service_names_the_pods_that_are_ready(
    engine: docker.Engine, tmp_path: Path
) -> None:
    looks = shell(
        "while sleep 0.1; do echo $(getent ahostsv4 cache | sort -u | grep -c STREAM); done"
    )

    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            cache = service("cache", 9000, is_headless=True)
            backends = tuple([f"{await serving(project, name)}:9000" for name in ("a", "b")])
            await project.runtime.serve([runtime.Served(cache, (backends,))])
            await project.started(looks, until="2\n", name="looks")
            for count in (1, 2):
                await project.runtime.serve([runtime.Served(cache, (backends[:count],))])
                project.log("looks").write_bytes(b"")
                await project.written(f"{count}\n{count}\n", "looks")
            assert project.runtime.addresses() == {}

    pods_in_docker.run(body())


def test_a_service_of_this_machine_is_reached_at_all_its_addresses(
    engine: docker.Engine, tmp_path: Path
) -> None:
    async def body() -> None:
        async with opened(engine, tmp_path) as project:
            port = ports.free_port()
            web = service("web", port, is_published=True)
            backend = (f"{await serving(project, 'a')}:9000",)
            await project.runtime.serve([runtime.Served(web, (backend,))])
            assert project.runtime.addresses() == {f"web:{port}": f"127.0.0.1:{port}"}
            assert await answer("127.0.0.1", port) == "a"
            assert await answer("127.0.0.2", port) == "a"

    pods_in_docker.run(body())
