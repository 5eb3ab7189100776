"""A clock is an argument; the fake one moves only when told."""

import asyncio

from alongside.base import clock, fake_clock


def test_the_system_clock_does_not_go_back_and_sleeps() -> None:
    system: clock.Clock = clock.SystemClock()
    before_s = system.monotonic_s()
    asyncio.run(system.sleep(0))
    assert system.monotonic_s() >= before_s
    assert system.wall_s() > 1_600_000_000


def test_wakes_sleepers_in_order_each_at_its_moment() -> None:
    async def scenario() -> list[tuple[str, float]]:
        fake = fake_clock.FakeClock(monotonic_s=0)
        woken: list[tuple[str, float]] = []

        async def nap(name: str, duration_s: float) -> None:
            await fake.sleep(duration_s)
            woken.append((name, fake.monotonic_s()))

        async with asyncio.TaskGroup() as group:
            group.create_task(nap("late", 5))
            group.create_task(nap("early", 1))
            await fake.advance(0.5)
            assert (woken, fake.sleeping()) == ([], 2)
            await fake.advance(10)
        assert fake.monotonic_s() == 10.5
        return woken

    assert asyncio.run(scenario()) == [("early", 1), ("late", 5)]


def test_wall_time_may_jump_while_monotonic_time_stays() -> None:
    fake = fake_clock.FakeClock(monotonic_s=10, wall_s=100)
    fake.jump_wall(-50)
    assert (fake.monotonic_s(), fake.wall_s()) == (10, 50)
