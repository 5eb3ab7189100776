"""A supervisor outlives what goes wrong in it, and says so."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest

from alongside.base import clock, environment, fake_clock, log
from alongside.engines.local import engine, folders
from alongside.server import supervisor

DEADLINE_S = 5.0


def supervisor_of(tmp_path: Path, clock_: clock.Clock | None = None) -> supervisor.Supervisor:
    clock_ = clock_ or fake_clock.FakeClock()
    places = folders.Folders(tmp_path / "state", tmp_path / "run")
    places.make()
    wake = asyncio.Event()
    setting = engine.Setting("p", places, Path("/none"), environment.Environment())
    engine_ = engine.Engine(setting, clock_, wake.set)
    log_ = log.Log(clock_, stream=io.StringIO())
    return supervisor.Supervisor(engine_, clock_, log_, epoch=1, wake=wake)


@pytest.mark.parametrize("address", ["a..b:80", f"{'x' * 64}.de:80", "h:99999"])
def test_an_impossible_origin_does_not_answer(address: str) -> None:
    assert not asyncio.run(supervisor._answers(address))


def test_a_turn_that_fails_is_told_of_and_the_next_one_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        clock_ = fake_clock.FakeClock()
        watched = supervisor_of(tmp_path, clock_)
        faults = [KeyError("lost")]

        def observed() -> dict[str, object]:
            if faults:
                raise faults.pop()
            return {}

        with monkeypatch.context() as patch:
            patch.setattr(watched.engine, "observed", observed)
            task = asyncio.create_task(watched.run())
            await clock_.advance(supervisor.RETRY_S_MAX / 2)
            assert watched.warnings() == [
                "could not reconcile: KeyError: 'lost'; it is tried again"
            ]
            await clock_.advance(supervisor.RETRY_S_MAX)
            assert not task.done()
            watched.wake.set()
            await clock_.advance(0)
            assert watched.warnings() == []
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
