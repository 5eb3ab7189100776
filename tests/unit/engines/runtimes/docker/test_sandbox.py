"""What a pod's sandbox leaves behind where it cannot be made."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
from pathlib import Path

import pytest
from tests.unit.engines.runtimes.docker import standins

from alongside.engines.pods import inplace, runtime
from alongside.engines.runtimes.docker import addresses, sandbox
from alongside.plan import pods

INSPECTED = {"NetworkSettings": {"Networks": {"shop": {"IPAddress": "127.9.0.2"}}}}


def test_a_full_disk_leaves_no_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    asked_for = list[str]()

    def answers(method: str, path: str) -> tuple[int, object]:
        asked_for.append(f"{method} {path.partition('?')[0]}")
        if "/create" in path:
            return 201, {"Id": "abc"}
        return (200, INSPECTED) if method == "GET" else (204, None)

    async def main() -> None:
        async with standins.serving(answers) as asked:
            room = runtime.Room(pods.Pod("a", ()), {}, tmp_path, {})
            made = sandbox.PodSandbox(standins.project_in(tmp_path, asked), room)
            with pytest.raises(OSError, match="No space"):
                await made.make()

    monkeypatch.setattr(inplace, "write", full)
    asyncio.run(main())
    assert "POST /containers/abc/start" in asked_for
    assert asked_for[-1] == "DELETE /containers/abc"


def test_a_container_alone_in_its_pod_costs_the_engine_one_start(tmp_path: Path) -> None:
    asked_for = list[str]()

    def answers(method: str, path: str) -> tuple[int, object]:
        asked_for.append(f"{method} {path.partition('?')[0]}")
        if "/create" in path:
            return 201, {"Id": "abc"}
        return (200, []) if path.startswith("/containers/json") else (204, None)

    async def main() -> None:
        async with standins.serving(answers) as asked:
            one = pods.Container("main", image="i:1")
            project = standins.project_in(tmp_path, asked)
            network = ipaddress.IPv4Network("10.7.0.0/22")
            project.addresses = addresses.Addresses(network, "10.7.0.1")
            room = runtime.Room(pods.Pod("a", (one,)), {}, tmp_path, {"main": tmp_path / "log"})
            made = sandbox.PodSandbox(project, room)
            await made.make()
            assert asked_for == []
            await made.start(one, 0)
            assert asked_for == ["POST /containers/create", "POST /containers/abc/start"]
            await made.remove()
            count = len(asked_for)
            await made.remove()
            assert len(asked_for) == count, "nothing of it was left"

    asyncio.run(main())


@pytest.mark.parametrize(
    "words",
    ["network shop not found", "unable to find network with name or ID shop: network not found"],
)
def test_a_network_that_somebody_removed_is_made_again_as_it_was(
    tmp_path: Path, words: str
) -> None:
    networks = list[str]()
    bodies = list[object]()

    def answers(method: str, path: str) -> tuple[int, object]:
        if path == "/networks/create":
            networks.append("shop")
            return 201, {"Id": "n"}
        if path.startswith("/networks"):
            return 200, [{"Id": one} for one in networks]
        if "/create" in path:
            return 201, {"Id": "abc"}
        if path.endswith("/start") and not networks:
            return 404, {"message": words}
        return (200, []) if path.startswith("/containers/json") else (204, None)

    async def main() -> None:
        async with standins.serving(answers, bodies) as asked:
            one = pods.Container("main", image="i:1")
            project = standins.project_in(tmp_path, asked)
            network = ipaddress.IPv4Network("10.7.0.0/22")
            project.addresses = addresses.Addresses(network, "10.7.0.1")
            made = []
            for name in "ab":
                room = runtime.Room(pods.Pod(name, (one,)), {}, tmp_path, {"main": tmp_path / "l"})
                made.append(sandbox.PodSandbox(project, room))
                await made[-1].make()
            failed = await asyncio.gather(
                *(it.start(one, 0) for it in made), return_exceptions=True
            )
            assert {str(it) for it in failed} == {"its network was gone, and was made again"}
            assert {type(it) for it in failed} == {runtime.NotBegunError}
            assert networks == ["shop"], "once for all"
            (body,) = [one for one in bodies if isinstance(one, dict) and "IPAM" in one]
            assert body["IPAM"] == {"Config": [project.addresses.config]}
            await made[0].start(one, 1)
            await asyncio.gather(*(it.remove() for it in made))

    asyncio.run(main())


def test_an_address_that_somebody_has_is_given_again_after_all_others(tmp_path: Path) -> None:
    def answers(_: str, path: str) -> tuple[int, object]:
        if "/create" in path:
            return 201, {"Id": "abc"}
        if path.endswith("/start"):
            return 403, {"message": "Address already in use"}
        return (200, []) if path.startswith("/containers/json") else (204, None)

    async def main() -> None:
        async with standins.serving(answers) as asked:
            one = pods.Container("main", image="i:1")
            project = standins.project_in(tmp_path, asked)
            ours = addresses.Addresses(ipaddress.IPv4Network("10.7.0.0/29"), "10.7.0.1")
            project.addresses = ours
            room = runtime.Room(pods.Pod("a", (one,)), {}, tmp_path, {"main": tmp_path / "log"})
            made = sandbox.PodSandbox(project, room)
            await made.make()
            with pytest.raises(runtime.NotBegunError, match="somebody has its address"):
                await made.start(one, 0)
            assert [ours.take() for _ in range(3)] == ["10.7.0.5", "10.7.0.6", "10.7.0.4"]

    asyncio.run(main())
