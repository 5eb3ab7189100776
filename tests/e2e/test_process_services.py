"""Services of pods that are plain processes answer at addresses of their own."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import ports
from tests.unit.engines.runtimes import rooms

from alongside.base import errors
from alongside.engines.local import services
from alongside.engines.processes import groups
from alongside.plan import loopback, pods

if TYPE_CHECKING:
    from alongside.engines.pods import runtime

SERVE = """
import socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("up", flush=True)
while True:
    peer, _ = listener.accept()
    peer.sendall(sys.argv[3].encode())
    peer.close()
"""


def server(name: str, port: int, host: str = "127.0.0.1", **more: object) -> pods.Pod:
    words = (sys.executable, "-c", SERVE, host, str(port), name)
    declared = pods.Port(port, **more)  # type: ignore[arg-type]
    return pods.Pod(name, (pods.Container("main", command=words, ports=(declared,)),))


def service(
    name: str, *numbers: int, ends: tuple[pods.Endpoint, ...] = (), **more: object
) -> pods.Service:
    ports = tuple(pods.ServicePort(number) for number in numbers)
    return pods.Service(name, ports, tuple(ends for _ in ports), **more)  # type: ignore[arg-type]


def served(one: pods.Service, *backends: str, beside: tuple[pods.Pod, ...] = ()) -> runtime.Served:
    """Return a Service with the same backends at each port, of a plan with these pods."""
    (made,) = services.served([one], {}, (), planned=beside)
    return replace(made, backends=tuple(backends for _ in one.ports))


def ask(address: str) -> str:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), rooms.DEADLINE_S) as peer:
            return peer.recv(100).decode()
    except ConnectionResetError:
        return ""


async def start(project: rooms.Project, pod: pods.Pod) -> runtime.Sandbox:
    sandbox = await project.create(pod)
    await sandbox.start(pod.containers[0], 0)
    await rooms.until(lambda: "up" in project.said(pod=pod.name))
    return sandbox


def test_a_service_answers_at_its_own_address_and_at_the_hosts(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        number, target = ports.free_port(), ports.free_port()
        pod = server("web-0", target)
        await project.runtime.serve([served(service("web", number))])
        address = project.runtime.addresses()[f"web:{number}"]
        assert address == f"127.0.0.1:{number}"
        assert await asyncio.to_thread(ask, address) == ""
        await start(project, pod)
        await project.runtime.serve([served(service("web", number), f"127.0.0.1:{target}")])
        assert await asyncio.to_thread(ask, address) == "web-0"
        (own,) = loopback.of_services("p", ["web"]).values()
        assert await asyncio.to_thread(ask, f"{own}:{number}") == "web-0"
        await project.runtime.serve([])
        assert project.runtime.addresses() == {}
        with pytest.raises(ConnectionRefusedError):
            await asyncio.to_thread(ask, address)

    rooms.run(tmp_path, work)


def test_containers_find_services_by_links(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        number = ports.free_port()
        await project.runtime.serve(
            [served(service("my-db", number)), served(service("peers", 9999, is_headless=True))]
        )
        script = "echo $MY_DB_SERVICE_HOST $MY_DB_SERVICE_PORT; env | grep -c ^PEERS_"
        await (await project.start(rooms.shell(script))).ended()
        (own,) = loopback.of_services("p", ["my-db"]).values()
        assert project.said() == f"{own} {number}\n0\n"
        await (await project.start(rooms.shell("env"), links_services=False)).ended()
        assert "MY_DB" not in project.said()

    rooms.run(tmp_path, work)


def test_a_pod_may_listen_on_all_addresses_at_its_services_port(tmp_path: Path) -> None:
    """As most programs do; the Service answers at another port then, which its links tell."""

    async def work(project: rooms.Project) -> None:
        number = ports.free_port()
        pod = server("web-0", number, host="0.0.0.0")  # noqa: S104 - what is tested
        web = service("web", number)
        await project.runtime.serve([served(web, beside=(pod,))])
        await start(project, pod)
        await project.runtime.serve([served(web, f"127.0.0.1:{number}", beside=(pod,))])
        address = project.runtime.addresses()[f"web:{number}"]
        assert not address.endswith(f":{number}")
        assert await asyncio.to_thread(ask, address) == "web-0"
        await (
            await project.start(
                rooms.shell("echo $WEB_PORT"),
            )
        ).ended()
        assert project.said().splitlines()[-1] == f"tcp://{address}"
        assert any(f"port {number} answers at {address}" in one for one in project.runtime.notes())

    rooms.run(tmp_path, work)


def test_a_port_that_two_services_have_is_published_for_neither(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        number = ports.free_port()
        await project.runtime.serve([served(service("a", number)), served(service("b", number))])
        addresses = project.runtime.addresses()
        assert {address.split(":")[0] for address in addresses.values()} == set(
            loopback.of_services("p", ["a", "b"]).values()
        )
        assert {address.split(":")[1] for address in addresses.values()} == {str(number)}

    rooms.run(tmp_path, work)


def test_a_port_that_somebody_has_is_left_to_them(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        with socket.create_server(("127.0.0.1", 0)) as theirs:
            number = theirs.getsockname()[1]
            await project.runtime.serve([served(service("a", number))])
            (own,) = loopback.of_services("p", ["a"]).values()
            assert project.runtime.addresses() == {f"a:{number}": f"{own}:{number}"}

    rooms.run(tmp_path, work)


def test_addresses_stay_while_other_services_come_and_go(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        first, second = ports.free_port(), ports.free_port()
        await project.runtime.serve([served(service("a", first))])
        before = project.runtime.addresses()[f"a:{first}"]
        await project.runtime.serve([served(service("z", second)), served(service("a", first))])
        assert project.runtime.addresses()[f"a:{first}"] == before
        await project.runtime.serve([served(service("a", first))])
        assert project.runtime.addresses() == {f"a:{first}": before}

    rooms.run(tmp_path, work)


def test_a_published_service_answers_at_the_machines_addresses(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        number, target, node = ports.free_port(), ports.free_port(), ports.free_port()
        await start(project, server("web-0", target))
        published = (pods.ServicePort(number, node_port=node),)
        web = pods.Service(
            "web", published, ((pods.Endpoint("web-0", target),),), is_published=True
        )
        await project.runtime.serve([served(web, f"127.0.0.1:{target}")])
        (own,) = loopback.of_services("p", ["web"]).values()
        for address in (f"127.0.0.1:{number}", f"{own}:{number}", f"127.0.0.9:{node}"):
            assert await asyncio.to_thread(ask, address) == "web-0"

    rooms.run(tmp_path, work)


def test_a_service_becomes_public_and_private_again_and_refuses_nobody(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        number, target = ports.free_port(), ports.free_port()
        await start(project, server("web-0", target))
        (own,) = loopback.of_services("p", ["web"]).values()
        asked: list[str] = []
        is_over = asyncio.Event()

        async def go_on_asking() -> None:
            while not is_over.is_set():
                asked.append(await asyncio.to_thread(ask, f"127.0.0.1:{number}"))

        await project.runtime.serve([served(service("web", number), f"127.0.0.1:{target}")])
        asking = asyncio.create_task(go_on_asking())
        for is_public in (True, False):
            web = service("web", number, is_published=is_public)
            await project.runtime.serve([served(web, f"127.0.0.1:{target}")])
            assert project.runtime.addresses() == {f"web:{number}": f"127.0.0.1:{number}"}
            for address in (f"127.0.0.1:{number}", f"{own}:{number}"):
                assert await asyncio.to_thread(ask, address) == "web-0"
            if is_public:
                assert await asyncio.to_thread(ask, f"127.0.0.9:{number}") == "web-0"
            else:
                with pytest.raises(ConnectionRefusedError):
                    await asyncio.to_thread(ask, f"127.0.0.9:{number}")
        is_over.set()
        await asking
        assert set(asked) == {"web-0"}

    rooms.run(tmp_path, work)


def test_a_service_leaves_its_number_to_a_pod_that_asks_for_it(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        number, target = ports.free_port(), ports.free_port()
        (own,) = loopback.of_services("p", ["web"]).values()
        await project.runtime.serve([served(service("web", number), f"127.0.0.1:{target}")])
        pod, backend = server("web-0", target, host_port=number), f"127.0.0.1:{target}"
        assert project.runtime.problems([pod]) == []
        await project.runtime.serve([served(service("web", number), backend)])
        assert project.runtime.addresses() == {f"web:{number}": f"127.0.0.1:{number}"}
        await project.runtime.serve([served(service("web", number), backend, beside=(pod,))])
        assert project.runtime.addresses() == {f"web:{number}": f"{own}:{number}"}
        made = await start(project, pod)
        for address in (f"127.0.0.1:{number}", f"{own}:{number}"):
            assert await asyncio.to_thread(ask, address) == "web-0"
        await made.remove()
        await project.runtime.serve([served(service("web", number), backend)])
        assert project.runtime.addresses() == {f"web:{number}": f"127.0.0.1:{number}"}

    rooms.run(tmp_path, work)


def test_a_hosts_port_leads_to_its_pod_and_goes_with_it(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        host_port, target = ports.free_port(), ports.free_port()
        sandbox = await start(project, server("web-0", target, host_port=host_port))
        assert await asyncio.to_thread(ask, f"127.0.0.1:{host_port}") == "web-0"
        await sandbox.remove()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.to_thread(ask, f"127.0.0.1:{host_port}")

    rooms.run(tmp_path, work)


def test_a_hosts_port_that_somebody_has_is_refused_with_their_name(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        with socket.create_server(("127.0.0.1", 0)) as theirs:
            host_port = theirs.getsockname()[1]
            with pytest.raises(errors.AddressTakenError, match=f"pid {os.getpid()}"):
                await project.create(server("web-0", ports.free_port(), host_port=host_port))

    rooms.run(tmp_path, work)


def test_closing_leaves_no_process_and_no_listener(tmp_path: Path) -> None:
    async def work(project: rooms.Project) -> None:
        number, target = ports.free_port(), ports.free_port()
        await start(project, server("web-0", target))
        await project.runtime.serve([served(service("web", number), f"127.0.0.1:{target}")])
        await project.runtime.close()
        assert not groups.marked(str(project.home))
        for port in (number, target):
            with pytest.raises(ConnectionRefusedError):
                await asyncio.to_thread(ask, f"127.0.0.1:{port}")

    rooms.run(tmp_path, work)
