"""What a pod's sandbox leaves behind where it cannot be made."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest
from tests.unit.engines.runtimes.docker import standins

from alongside.engines.pods import inplace, runtime
from alongside.engines.runtimes.docker import sandbox
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
