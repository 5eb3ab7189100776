"""What clients notice of an act, told from records in two windows."""

import asyncio

from alongside.base import clock
from alongside.lab import load, trial

HIT = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nCache-Status: c; hit\r\n\r\nx"
MISS = HIT.replace(b"c; hit", b"c; fwd=uri-miss")
BAD = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"


def tried(during: bytes, after: bytes) -> trial.Trial:
    """Act on a server that answers hits, then `during` while the act lasts, then `after`."""
    answer = HIT

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(0.001)
                writer.write(answer)
        except (EOFError, OSError):
            return
        finally:
            writer.close()

    async def act() -> None:
        nonlocal answer
        answer = during
        await asyncio.sleep(0.05)
        answer = after

    async def main() -> trial.Trial:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            return await trial.run(
                "act",
                act,
                plan=load.Plan(host="127.0.0.1", port=port, paths=["/a"], connections=2),
                ledger=load.Ledger(),
                time=clock.SystemClock(),
                windows=trial.Windows(before_s=0.1, after_s=0.2),
            )

    return asyncio.run(main())


def test_nothing_is_noticed_where_nothing_fails() -> None:
    found = tried(HIT, HIT)
    assert (found.failed, found.hits_lost, found.before.hit_ratio) == (0, 0.0, 1.0)
    assert found.requests >= found.before.requests + found.after.requests > 0
    assert found.act_s >= 0.05


def test_failures_during_the_act_and_misses_after_it_are_told() -> None:
    found = tried(BAD, MISS)
    assert found.failed == found.failures["status"] > 0
    assert found.before.hit_ratio > 0.9  # those in flight when it begins are of before
    assert found.after.hit_ratio < 0.5
    assert found.hits_lost > 0.5
