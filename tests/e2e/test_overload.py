"""Twice as much as an origin can do: it does what it can, and the others are told at once."""

from __future__ import annotations

import asyncio
import collections
import threading
import time

import pytest
from tests.e2e import plane, upstream, wire

WORKERS = 4
WORK_S = 0.02
SECONDS = 4.0
# What a request can wait for: the queue, then its own turn; generous, as machines pause.
QUICK_S = 2.0
RESIDENT_BYTES_MAX = 48 << 20


def working(most: list[int]) -> upstream.Answer:
    """Answer with so many workers, each of which takes its time; note the most at work."""
    workers = threading.BoundedSemaphore(WORKERS)
    at_work = 0
    lock = threading.Lock()

    def answer(request: wire.Message) -> bytes:
        nonlocal at_work
        with lock:
            at_work += 1
            most[0] = max(most[0], at_work)
        with workers:
            time.sleep(WORK_S)
        with lock:
            at_work -= 1
        return wire.answer(request.target.encode(), "Cache-Control: max-age=600")

    return answer


async def ask(address: wire.Address, target: str) -> tuple[int, float, str | None]:
    """Return status, latency and Retry-After of a request on a connection of its own."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(wire.request(target, "Connection: close"))
        text = (await reader.read()).decode()
    finally:
        writer.close()
    head = text.split("\r\n\r\n")[0]
    again = [line for line in head.split("\r\n") if line.lower().startswith("retry-after:")]
    return int(head.split(" ")[1]), time.monotonic() - began, again[0] if again else None


async def offered(address: wire.Address, per_s: float) -> list[tuple[int, float, str | None]]:
    """Send so many requests a second for new URLs, whatever becomes of them."""
    began, asked = time.monotonic(), []
    for number in range(int(per_s * SECONDS)):
        await asyncio.sleep(max(0.0, began + number / per_s - time.monotonic()))
        asked.append(asyncio.create_task(ask(address, f"/{per_s}/{number}")))
    return await asyncio.gather(*asked)


@pytest.mark.parametrize(
    "served_min",
    [
        # A machine that pauses takes some of it away.
        0.6,
        pytest.param(0.9, marks=pytest.mark.soak),
    ],
)
def test_twice_as_much_as_can_be_done_serves_what_can_be_done(served_min: float) -> None:
    most = [0]
    limits = {"upstream_requests_max": WORKERS, "queue_max": 8, "queue_timeout_ms": 500}
    with plane.answering(working(most), "cache", limits) as (address, _, process):
        capacity = WORKERS / WORK_S
        found = asyncio.run(offered(address, 2 * capacity))
        statuses = collections.Counter(status for status, _, _ in found)
        assert set(statuses) == {200, 503}, statuses
        # The origin never had more than it was said to take, and was not idle either.
        assert most[0] <= WORKERS
        assert statuses[200] >= served_min * capacity * SECONDS, statuses
        refused = [(took, again) for status, took, again in found if status == 503]
        assert all(again == "retry-after: 1" for _, again in refused)
        assert max(took for took, _ in refused) < QUICK_S
        assert process.metric("alongside_http_shed", listener="web") == statuses[503]
        assert process.resident_bytes() < RESIDENT_BYTES_MAX
        assert process.metric("alongside_http_requests_under_way") == 0
