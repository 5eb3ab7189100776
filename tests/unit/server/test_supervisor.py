"""A supervisor outlives what goes wrong in it, and says so."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import pytest

from alongside.base import clock, environment, errors, fake_clock, log
from alongside.engines.local import engine, folders
from alongside.plan import pods, shape
from alongside.resources import texts
from alongside.server import journal, orders, planning, supervisor

CACHE = """\
apiVersion: alongside.dev/v1alpha1
kind: ShardedCache
metadata: {name: photos}
spec: {protocol: http, origin: {url: "http://127.0.0.1:9"}, shards: 3, memory: 16Mi}
"""


TURNS = 3


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


def test_a_write_that_fails_holds_up_one_process_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock_ = fake_clock.FakeClock()
        watched = supervisor_of(tmp_path, clock_)
        places = watched.engine.setting.folders
        blocked = places.document("photos-1-0")
        blocked.mkdir()  # so that no file can take its name
        order = orders.Order((texts.Source("f", "/data", CACHE),))
        drafted = planning.draft(order, "p", places)
        watched.adopt(planning.changed(order, drafted, watched.runs_on, "p"), order)
        try:
            watched.reconcile()
            assert list(watched.engine.children) == ["photos-0-0", "photos-2-0"]
            (warning,) = [one for one in watched.warnings() if str(blocked) in one]
            assert warning.startswith(f"photos-1-0 is not started: cannot write {blocked}: Is a")
            assert journal.read(places.journal).folder == "/data"
            blocked.rmdir()
            await clock_.advance(supervisor.FAILED_RETRY_S)
            watched.reconcile()
            assert "photos-1-0" in watched.engine.children
            assert not any(str(blocked) in one for one in watched.warnings())
        finally:
            await closed(watched, clock_)

    asyncio.run(scenario())


def test_a_journal_that_cannot_be_written_is_told_of_and_written_later(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock_ = fake_clock.FakeClock()
        watched = supervisor_of(tmp_path, clock_)
        path = watched.engine.setting.folders.journal
        path.mkdir()
        task = asyncio.create_task(watched.run())
        await clock_.advance(0)
        (warning,) = watched.warnings()
        assert warning.startswith(f"could not write the journal: cannot write {path}: ")
        path.rmdir()
        await clock_.advance(supervisor.RETRY_S_MAX)
        for _ in range(TURNS):  # the retry is the loop's own wait
            if watched.warnings():
                watched.wake.set()
                await clock_.advance(0)
        assert (watched.warnings(), journal.read(path).epoch) == ([], 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())


def test_another_folder_of_the_name_changes_nothing_unless_it_is_named() -> None:
    source = texts.Source("f", "/b/photos", "")
    with pytest.raises(errors.UsageError) as caught:
        orders.Order((source,)).check_folder("photos", "/a/photos")
    for word in ("/a/photos", "/b/photos", "--project NAME", "--project photos"):
        assert word in str(caught.value)
    orders.Order((source,)).check_folder("photos", "")
    orders.Order((source,)).check_folder("photos", "/b/../b/photos")
    orders.Order((source,), is_named=True).check_folder("photos", "/a/photos")


@pytest.mark.parametrize("value", [{}, {"sources": []}, {"sources": [{}]}, {"sources": 1}])
def test_what_is_no_order_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(errors.UsageError, match="order to apply"):
        orders.from_json(value)


def test_an_order_is_read_back() -> None:
    order = orders.Order((texts.Source("f", "/\udcff", "a: 1"),), 2.5, is_named=True)
    assert orders.from_json(json.loads(json.dumps(order.to_json()))) == order


async def closed(watched: supervisor.Supervisor, clock_: fake_clock.FakeClock) -> None:
    """End what a supervisor runs, while its clock goes on."""
    closing = asyncio.create_task(watched.close())
    while not closing.done():
        await clock_.advance(1.0)
    await closing


def mounting(content: bytes, *, container: str = "main") -> shape.Plan:
    files = (pods.File("tls.crt", content),)
    volumes = (
        pods.Volume("scratch", "empty"),
        pods.Volume("pair", "files", sources=("Secret/pair",), files=files, is_secret=True),
    )
    pod = pods.Pod("web", (pods.Container(container, image="web"),), volumes)
    return shape.Plan((shape.Process("web", "app", pod=pod),))


def test_files_that_are_published_while_their_pod_runs_are_a_change() -> None:
    first = mounting(b"old")
    assert supervisor._republished(first, mounting(b"new"), {"web"}) == ["web/pair"]
    assert supervisor._republished(first, mounting(b"new"), {"other"}) == []
    assert supervisor._republished(first, mounting(b"old"), {"web"}) == []
    # A pod that is replaced has them from its start.
    assert supervisor._republished(first, mounting(b"new", container="other"), {"web"}) == []
    assert supervisor._republished(shape.Plan(), first, {"web"}) == []
