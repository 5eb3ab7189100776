"""Very many connections: slow ones harm nobody, idle ones cost little."""

from __future__ import annotations

import contextlib
import resource
import select
import time

import pytest
from tests.e2e import plane, wire

IDLE = 10_000
IDLE_BYTES_MAX = 2048
SLOW = 1000
SERVED_S_MAX = 2.0


def ok(_: wire.Message) -> bytes:
    return wire.answer(b"ok")


def raise_descriptors() -> None:
    """Allow as many descriptors as the system lets us; children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < IDLE + 500:
        pytest.skip(f"waits for {IDLE + 500} descriptors: ulimit -Hn says {hard}")


def sources(count: int) -> list[str]:
    """Return source addresses, each for a few thousand connections."""
    return [f"127.0.0.{2 + number // 4000}" for number in range(count)]


def test_a_thousand_slow_clients_leave_another_one_served() -> None:
    raise_descriptors()
    limits = {"head_timeout_ms": 1500}
    with plane.answering(ok, limits=limits) as (address, origin, process):
        with contextlib.ExitStack() as stack:
            slow = [stack.enter_context(wire.Wire(address)) for _ in range(SLOW)]
            poll = select.poll()
            for client in slow:
                poll.register(client.socket, select.POLLIN)
            longest, ended, end = 0.0, set[int](), time.monotonic() + 10
            text = wire.request("/slow")[:-2] + b"A: " + b"x" * 999
            at = 0
            while len(ended) < SLOW and time.monotonic() < end:
                for client in slow:
                    if client.socket.fileno() not in ended:
                        with contextlib.suppress(OSError):
                            client.send(text[at : at + 1])
                at += 1
                began = time.monotonic()
                assert wire.fetch(address, "/quick").status == 200
                longest = max(longest, time.monotonic() - began)
                for number, _ in poll.poll(100):
                    ended.add(number)
                    poll.unregister(number)
        assert len(ended) == SLOW
        assert longest < SERVED_S_MAX
        assert set(origin.targets()) == {"/quick"}
        assert process.metric("alongside_http_refused", reason="head_timeout") == SLOW


def test_an_idle_connection_costs_little_memory() -> None:
    raise_descriptors()
    with plane.answering(ok) as (address, _, process), contextlib.ExitStack() as stack:
        for _ in range(20):
            assert wire.fetch(address, "/warm").status == 200
        before = process.resident_bytes()
        for source in sources(IDLE):
            client = stack.enter_context(wire.Wire(address, source=source))
            assert client.ask("/").status == 200
        name = "alongside_http_connections"
        wire.eventually(lambda: process.metric(name, listener="web") == IDLE, "all are open")
        each = (process.resident_bytes() - before) / IDLE
        print(f"{each:.0f} bytes for each idle connection")  # noqa: T201
        assert each <= IDLE_BYTES_MAX
