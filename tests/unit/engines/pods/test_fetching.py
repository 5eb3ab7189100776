"""What a container is made of is fetched in its own time, whatever fails meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.engines.pods.yards import DEADLINE_S, WEB, Yard, play

from alongside.base import errors
from alongside.engines.pods import driver
from alongside.plan import pods


def test_what_is_fetched_has_its_own_time_and_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body() -> None:
        web = replace(WEB, image="far:1", pull="always")
        yard = Yard(tmp_path, pods.Pod("shop", (web,)))
        with monkeypatch.context() as short:
            short.setattr(driver, "START_S_MAX", 0.01)
            yard.child.start()
            await yard.until(lambda: yard.child.reason == "web: pulling far:1")
            assert yard.status("web").message == "pulling far:1"
            await yard.clock.sleep(0.05)
        yard.runtime.sandboxes[0].fetched.set()
        await yard.until_ready()
        assert yard.child.reason == ""
        await yard.child.stop()

    asyncio.run(body())


@pytest.mark.parametrize("restart", ["never", "on-failure", "always"])
def test_what_cannot_be_fetched_is_tried_again_whatever_the_policy(
    tmp_path: Path, restart: pods.Restart
) -> None:
    async def scene(yard: Yard) -> None:
        seen = list[tuple[str, str, str]]()

        def note() -> None:
            seen.append((yard.child.phase, yard.child.reason, yard.status("web").message))

        yard.child._changed = note
        why = errors.PermanentError("the registry is away")
        yard.runtime.faults.put("fetch", why, OSError("no route"), why)
        yard.child.start()
        await yard.until(lambda: yard.child.reason == "web: pulling far:1")
        assert {phase for phase, _, _ in seen} == {"Pending"}
        assert ("web: the registry is away; tried again in 100ms") in [one[1] for one in seen]
        assert ("no route; tried again in 200ms") in [one[2] for one in seen]
        yard.runtime.sandboxes[0].fetched.set()
        await yard.until_ready()
        assert (yard.status("web").last, yard.child.tries) == (None, 0)

    web = replace(WEB, image="far:1", pull="always", restart=restart)
    yard = play(tmp_path, pods.Pod("shop", (web,)), scene, starts=False)
    assert yard.output.getvalue().count("fetch_failed") == 3


@pytest.mark.parametrize("is_given_up", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_an_end_does_not_wait_for_what_is_fetched(
    tmp_path: Path, fails: bool, is_given_up: bool
) -> None:
    async def scene(yard: Yard) -> None:
        if fails:
            gone = [errors.PermanentError("gone")] * 99
            yard.runtime.faults.put("fetch", *gone)
        yard.child.start()
        await yard.until(lambda: bool(yard.child.reason))
        async with asyncio.timeout(DEADLINE_S):
            if is_given_up:
                yard.child.give_up("enough")
                await yard.until(lambda: yard.child.phase == "Failed")
                await yard.until(lambda: yard.runtime.sandboxes[0].is_removed)
            assert await yard.child.stop() is False
        assert yard.runtime.alive() == []

    web = replace(WEB, image="far:1", pull="always", restart="never")
    play(tmp_path, pods.Pod("shop", (web,), grace_s=600.0), scene, starts=False)
