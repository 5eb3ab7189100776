"""A limit counts what is done, and not the wait for a turn."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.unit.engines.pods import bare
from tests.unit.engines.pods.yards import WEB, Yard, play

from alongside.engines.pods import driver, limits
from alongside.plan import pods

SHORT_S = 0.1
LONG_S = 60.0


async def _use(turns: asyncio.Semaphore, for_s: float = 0.0) -> None:
    async with limits.turn(turns):
        await asyncio.sleep(for_s)


def test_the_wait_for_a_turn_does_not_count() -> None:
    async def main() -> None:
        turns = asyncio.Semaphore(1)
        await turns.acquire()
        asyncio.get_running_loop().call_later(3 * SHORT_S, turns.release)
        async with limits.limited(SHORT_S):
            await asyncio.gather(*(_use(turns) for _ in range(3)))
        assert not turns.locked()

    asyncio.run(main())


def test_what_is_done_in_a_turn_counts() -> None:
    async def main() -> None:
        turns = asyncio.Semaphore(1)
        await turns.acquire()
        asyncio.get_running_loop().call_later(SHORT_S, turns.release)
        with pytest.raises(TimeoutError):
            async with limits.limited(SHORT_S):
                await _use(turns, LONG_S)
        assert not turns.locked()

    asyncio.run(main())


def test_what_was_done_before_a_wait_counts() -> None:
    async def main() -> None:
        turns = asyncio.Semaphore(1)
        async with limits.limited(SHORT_S):
            for _ in range(100):
                await _use(turns)
                await asyncio.sleep(SHORT_S / 10)

    with pytest.raises(TimeoutError):
        asyncio.run(main())


def test_a_cancelled_wait_holds_no_turn() -> None:
    async def main() -> None:
        turns = asyncio.Semaphore(1)
        await turns.acquire()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT_S), limits.limited(LONG_S):
                await _use(turns)
        turns.release()
        assert not turns.locked()

    asyncio.run(main())


def test_who_tidies_up_after_a_limit_may_take_a_turn() -> None:
    async def main() -> None:
        turns, late = asyncio.Semaphore(1), list[asyncio.Task[None]]()

        async def work() -> None:
            async with limits.limited(SHORT_S):
                try:
                    await asyncio.sleep(LONG_S)
                finally:
                    await asyncio.shield(asyncio.create_task(_use(turns)))
                    late.append(asyncio.create_task(_use(turns)))

        with pytest.raises(TimeoutError):
            await work()
        await late[0]
        await _use(turns)

    asyncio.run(main())


def test_the_wait_for_a_turn_is_not_the_starts_or_the_removals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = asyncio.Semaphore(1)
    start, remove = bare.Sandbox.start, bare.Sandbox.remove

    async def late(sandbox: bare.Sandbox, container: pods.Container, attempt: int) -> bare.Running:
        async with limits.turn(turns):
            return await start(sandbox, container, attempt)

    async def removed_late(sandbox: bare.Sandbox) -> None:
        async with limits.turn(turns):
            await remove(sandbox)

    async def scene(yard: Yard) -> None:
        await turns.acquire()
        yard.child.start()
        await yard.until(lambda: yard.child.address != "")
        await yard.clock.sleep(3 * limit_s)
        turns.release()
        await yard.until_ready()
        assert yard.child.tries == 0
        await turns.acquire()
        stop = asyncio.ensure_future(yard.child.stop())
        await yard.until(lambda: yard.runtime.alive() == [])
        await yard.clock.sleep(3 * limit_s)
        turns.release()
        await stop

    limit_s = 0.5
    monkeypatch.setattr(driver, "START_S_MAX", limit_s)
    monkeypatch.setattr(driver, "REMOVE_S_MAX", limit_s)
    monkeypatch.setattr(bare.Sandbox, "start", late)
    monkeypatch.setattr(bare.Sandbox, "remove", removed_late)
    yard = play(tmp_path, pods.Pod("a", (WEB,)), scene, starts=False)
    assert "removal_failed" not in yard.output.getvalue()
