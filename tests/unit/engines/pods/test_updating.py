"""What a pod says of files that cannot be published, until they are, on a disk that is full."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.engines.pods import bare

from alongside.base import clock, log
from alongside.engines.pods import driver, memory, volumes
from alongside.plan import pods, shape

DEADLINE_S = 30.0
SLEEPER = (sys.executable, "-S", "-c", "import time; time.sleep(600)")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Give a disk of little room."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        memory.mount_tmpfs(folder, "size=256k,mode=755")
    except OSError as error:
        pytest.skip(f"a tmpfs may not be mounted here: {error.strerror}")
    yield folder
    memory.unmount(folder)


def fill(disk: Path) -> Path:
    """Take all room of a disk; return the file that does."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(b"x" * 4096)
    return filler


def process(content: str, looked: Path) -> shape.Process:
    look = pods.Look("exec", command=("sh", "-c", f"echo >> {looked}"), period_s=0.05)
    web = pods.Container("web", command=SLEEPER, readiness=look, liveness=look)
    files = (pods.File("a", content.encode()),)
    pod = pods.Pod("p", (web,), (pods.Volume("v", "files", files=files),), grace_s=1.0)
    return shape.Process("p", "app", pod=pod, grace_s=1.0)


def test_a_full_disk_is_a_condition_of_the_pod_that_stays_until_there_is_room(
    disk: Path, tmp_path: Path
) -> None:
    output, looked = io.StringIO(), tmp_path / "looked"

    async def scene() -> None:
        clock_ = clock.SystemClock()
        runtime = bare.Runtime()
        made = volumes.Volumes(disk / "volumes")
        place = driver.Place(runtime, made, tmp_path / "room", {"web": tmp_path / "web.log"})
        child = driver.PodChild(
            process("old", looked), place, clock_, lambda: None, log.Log(clock_, stream=output)
        )
        file = disk / "volumes" / "p" / "v" / "a"

        async def until(words: str) -> None:
            async with asyncio.timeout(DEADLINE_S):
                while child.state != "ready" or words not in child.reason:
                    await clock_.sleep(0.01)
                while not words and child.reason:
                    await clock_.sleep(0.01)

        child.start()
        try:
            await until("")
            filler = fill(disk)
            child.process = process("n" * 9000, looked)
            await until("volumes.v: cannot publish: No space left on device; make room on the disk")
            looks = looked.stat().st_size
            async with asyncio.timeout(DEADLINE_S):
                while looked.stat().st_size < looks + 4:
                    assert "No space left" in child.reason
                    assert "supervision" not in child.reason
                    await clock_.sleep(0.01)
            assert file.read_text() == "old"
            filler.unlink()
            await until("")
            assert file.read_text() == "n" * 9000
        finally:
            await child.stop()

    asyncio.run(scene())
    assert output.getvalue().count("files_not_published") == 1
    assert "supervision_failed" not in output.getvalue()
