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
