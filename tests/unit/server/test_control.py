"""The control API answers whatever names files have, and never starts what is being stopped."""

from __future__ import annotations

import asyncio
import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from starlette import requests

from alongside.base import environment, errors, fake_clock, log
from alongside.engines.local import children, engine, folders
from alongside.plan import shape
from alongside.server import client, control, supervisor

if TYPE_CHECKING:
    from starlette import types

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: app}
spec:
  restartPolicy: Never
  containers: [{name: app, command: [serve]}]
"""


class Ended:
    """A child that has ended."""

    process = shape.Process("app", "app", restart="never")
    identity = None
    state = "ended"

    def __init__(self, reason: str) -> None:
        self.reason = reason


def door_of(tmp_path: Path) -> control.Control:
    clock_ = fake_clock.FakeClock()
    places = folders.Folders(tmp_path / "state", tmp_path / "run")
    places.make()
    wake = asyncio.Event()
    setting = engine.Setting("p", places, Path("/none"), environment.Environment())
    engine_ = engine.Engine(setting, clock_, wake.set)
    log_ = log.Log(clock_, stream=io.StringIO())
    watched = supervisor.Supervisor(engine_, clock_, log_, epoch=1, wake=wake)
    return control.Control(watched, clock_)


def order(folder: str) -> requests.Request:
    body = json.dumps({"sources": [{"file": "f", "folder": folder, "text": POD}]}).encode()

    async def receive() -> types.Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return requests.Request({"type": "http", "method": "POST", "headers": []}, receive)


def test_a_folder_that_is_not_utf8_is_answered(tmp_path: Path) -> None:
    folder = os.fsdecode(b"/data/\xff")

    async def answer(_: requests.Request) -> object:
        return {"folder": folder}

    async def answered() -> bytes:
        return bytes((await control._answering(answer)(order(folder))).body)

    assert json.loads(asyncio.run(answered())) == {"folder": folder}


def test_what_is_being_stopped_takes_no_new_goal(tmp_path: Path) -> None:
    async def scenario() -> None:
        door = door_of(tmp_path)
        await door._apply(order("/data"))
        assert door.watched.plan.process("app") is not None
        await door.end()
        with pytest.raises(errors.TemporaryError, match="is being stopped"):
            await door._apply(order("/data"))
        assert door.watched.is_idle()

    asyncio.run(scenario())


@pytest.mark.parametrize("number", ["", "1", "-1", "x", "9" * 5000])
def test_a_restart_that_nobody_knows_is_told_of(tmp_path: Path, number: str) -> None:
    query = f"number={number}".encode()
    scope = {"type": "http", "method": "GET", "headers": [], "query_string": query}
    with pytest.raises(errors.UsageError, match="is known any more; alongside status shows"):
        asyncio.run(door_of(tmp_path)._restarted(requests.Request(scope)))


@pytest.mark.parametrize(("code", "expected"), [(0, True), (1, False), (-9, False), (None, False)])
def test_a_pod_that_runs_once_is_ready_when_it_succeeded(
    tmp_path: Path, code: int | None, expected: bool
) -> None:
    watched = door_of(tmp_path).watched
    watched.plan = shape.Plan((Ended.process,))
    ended = Ended(children._ending(code))
    watched.engine.children["app"] = cast("children.Child", ended)
    assert watched.is_ready() is expected


def test_a_supervisor_whose_answer_is_a_fault_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = folders.Folders(tmp_path / "state", tmp_path / "run")
    door = client.Client(places)

    def broken() -> None:
        raise errors.PeerError("500", side="upstream", retry=False)

    monkeypatch.setattr(door, "status", broken)
    assert door.is_up()
