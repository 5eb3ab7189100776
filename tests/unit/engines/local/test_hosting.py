"""Whether pods can run is asked beside the loop, and not for ever."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.engines.pods import bare

from alongside.base import clock, errors, log
from alongside.engines.local import folders, hosting
from alongside.engines.runtimes.docker import runtime, setting
from alongside.plan import pods, shape

POD = pods.Pod("web", (pods.Container("main", image="some:1"),))
PLAN = shape.Plan(processes=(shape.Process("web", "app", pod=POD),), engine="docker")


@contextlib.contextmanager
def silent() -> Iterator[Path]:
    """Have a socket that accepts connections and never answers."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as bound:
        path = Path(folder, "engine.sock")
        bound.bind(str(path))
        bound.listen()
        yield path


def test_a_silent_engine_is_given_up_while_the_loop_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosting, "CHECK_S_MAX", 0.3)
    time = clock.SystemClock()
    said = log.Log(time, stream=io.StringIO())

    async def body(path: Path, looks: list[float]) -> None:
        asked = setting.Setting("p", tmp_path, tmp_path, Path("/none"), path)
        ground = hosting.Ground(
            "docker", runtime.DockerRuntime(asked, time, said), bare.Volumes(tmp_path / "volumes")
        )
        places = folders.Folders(tmp_path / "state", tmp_path / "run")
        host = hosting.Hosting(ground, places, time, lambda: None, said)

        async def look() -> None:
            while True:
                looks.append(time.monotonic_s())
                await time.sleep(0.01)

        looking = asyncio.create_task(look())
        with pytest.raises(errors.TemporaryError, match="docker was not known within"):
            await host.check(PLAN)
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking

    looks: list[float] = []
    with silent() as path:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(body(path, looks))
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    assert len(looks) > 3


def test_a_volume_that_cannot_be_made_is_told_without_a_word_of_what_runs_the_pods(
    tmp_path: Path,
) -> None:
    time = clock.SystemClock()
    ground = hosting.Ground("process", bare.Runtime(), bare.Volumes(tmp_path / "volumes"))
    places = folders.Folders(tmp_path / "state", tmp_path / "run")
    host = hosting.Hosting(ground, places, time, lambda: None, log.Log(time, stream=io.StringIO()))
    volume = pods.Volume("h", "host", path="/none/such")
    pod = pods.Pod("web", POD.containers, (volume,), place="f.yaml:1: Pod/web")
    plan = shape.Plan(processes=(shape.Process("web", "app", pod=pod),), engine="process")
    with pytest.raises(errors.UsageError) as refused:
        asyncio.run(host.check(plan))
    assert refused.value.problems == (
        "f.yaml:1: Pod/web: volumes.h: /none/such is not there; create it, or set type: "
        "DirectoryOrCreate",
    )
