"""What a cache node holds in memory: idle, full, and while clients read slowly."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable

from tests.e2e import plane, upstream, wire

MIB = 1 << 20
# The program's file has nine MiB, and how much of it is resident is up to the kernel's page cache.
IDLE_BYTES_MAX = 10 * MIB
OWN_BYTES_MAX = 2 * MIB
FRESH = "Cache-Control: max-age=600"
BLOCK = memoryview(bytes(4 * MIB))
SEED = 7


def cache_of(memory_bytes: int, origin: str, **more: object) -> plane.Json:
    """Return a document of one cache."""
    cache = {"name": "main", "origin": {"address": origin}, "memory_bytes": memory_bytes, **more}
    return {**plane.document("cache", origin), "caches": [cache]}


def sized(peer: upstream.Peer) -> None:
    """Answer /SIZE/… with so many bytes, and remember nothing."""
    while (request := peer.request()) is not None:
        size = int(request.target.split("/")[1])
        head = f"HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: {size}\r\n\r\n"
        peer.send(head.encode())
        for start in range(0, size, len(BLOCK)):
            peer.send(BLOCK[: min(len(BLOCK), size - start)])


def drain(client: wire.Wire, target: str) -> None:
    """Read an answer's body without keeping it."""
    client.send(wire.request(target))
    head = client.head()
    assert head.status == 200
    left = int(head.field("content-length") or "0") - len(client.buffer)
    client.buffer.clear()
    room = memoryview(bytearray(MIB))
    while left > 0:
        count = client.socket.recv_into(room, min(left, MIB))
        assert count
        left -= count


def sizes(total: int) -> list[int]:
    """Return sizes of 1 KiB to 4 MiB, even on a logarithmic scale, that sum to at least `total`."""
    random_ = random.Random(SEED)  # noqa: S311
    found: list[int] = []
    while sum(found) < total:
        found.append(int(1024 * 2 ** random_.uniform(0, 12)))
    return found


def fill(memory_bytes: int, total_bytes: int, resident_bytes_max: int) -> None:
    """Pass so many bytes through a cache: many sizes by four clients, then one single object."""
    with (
        upstream.Upstream(sized) as origin,
        plane.running(cache_of(memory_bytes, origin.address)) as process,
    ):
        address, peak = process.address, [0]
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.05):
                peak[0] = max(peak[0], process.resident_bytes())

        watcher = threading.Thread(target=watch)
        watcher.start()
        wanted = list(enumerate(sizes(total_bytes)))

        def work(part: int) -> None:
            with wire.Wire(address, timeout_s=60) as client:
                for number, size in wanted[part::4]:
                    drain(client, f"/{size}/{number}")

        began = time.monotonic()
        threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        mixed = peak[0]
        with wire.Wire(address, timeout_s=60) as client:
            drain(client, f"/{total_bytes}/single")
            drain(client, f"/{total_bytes}/single")
        done.set()
        watcher.join()
        held = process.metric("alongside_cache_bytes")
        took_s = time.monotonic() - began
        sums = f"{total_bytes >> 20} MiB through {memory_bytes >> 20} MiB"
        peaks = f"peak {mixed / MIB:.1f} then {peak[0] / MIB:.1f} MiB"
        print(f"{sums}: {peaks}, {held / MIB:.1f} MiB stored, {took_s:.1f} s")  # noqa: T201
        assert held > memory_bytes * 0.7
        assert peak[0] < resident_bytes_max


def test_an_idle_node_is_small() -> None:
    with plane.running(cache_of(64 * MIB, "127.0.0.1:9")) as process:
        resident = process.resident_bytes()
        own = process.own_bytes()
        print(f"{resident / MIB:.1f} MiB idle, {own / MIB:.1f} of its own")  # noqa: T201
        assert resident <= IDLE_BYTES_MAX
        assert own <= OWN_BYTES_MAX


def test_a_gibibyte_passes_through_64_mib() -> None:
    fill(64 * MIB, 1024 * MIB, 88 * MIB)


def at_rest(process: plane.Plane, name: str) -> Callable[[], bool]:
    """Return whether a metric is what it was when this was asked before."""
    before = -1.0

    def is_at_rest() -> bool:
        nonlocal before
        now, last = process.metric(name), before
        before = now
        return now == last

    return is_at_rest


def test_slow_readers_do_not_hold_what_the_store_gave_up() -> None:
    # More than the kernel takes for a client that does not read.
    count, size = 30, 7_000_000
    name = "alongside_cache_inflight_bytes"
    with upstream.Upstream(sized) as origin, contextlib.ExitStack() as stack:
        process = stack.enter_context(plane.running(cache_of(64 * MIB, origin.address)))
        address = process.address
        for number in range(count):
            client = stack.enter_context(wire.Wire(address, receive_bytes=4096))
            client.send(wire.request(f"/{size}/{number}"))
            assert client.head().status == 200
            wire.eventually(at_rest(process, name), "all that is taken has come")
        assert process.resident_bytes() < 100 * MIB


def test_an_origin_that_flushes_every_byte_costs_no_multiple() -> None:
    def talk(peer: upstream.Peer) -> None:
        while peer.next():
            peer.send(f"HTTP/1.1 200 OK\r\n{FRESH}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
            peer.send(b"1\r\nx\r\n" * 500_000 + b"0\r\n\r\n")

    with (
        upstream.Upstream(talk) as origin,
        plane.running(cache_of(16 * MIB, origin.address)) as process,
    ):
        before = process.resident_bytes()
        with wire.Wire(process.address) as client:
            assert client.ask("/a").body == b"x" * 500_000
            assert client.ask("/a").body == b"x" * 500_000
        assert process.resident_bytes() - before < 8 * MIB
        assert len(origin.requests) == 1


def test_what_is_too_large_streams_through_and_is_not_stored() -> None:
    with upstream.Upstream(sized) as origin:
        document = cache_of(16 * MIB, origin.address, object_bytes_max=100_000)
        with plane.running(document) as process, wire.Wire(process.address) as client:
            for size, is_stored in [(100_000, True), (100_001, False), (30_000_000, False)]:
                drain(client, f"/{size}/a")
                client.send(wire.request(f"/{size}/a", "Cache-Control: only-if-cached"))
                assert (client.answer().status == 200) == is_stored


def test_another_size_keeps_what_fits() -> None:
    with upstream.Upstream(sized) as origin:
        before = cache_of(16 * MIB, origin.address)
        with plane.running(before) as process, wire.Wire(process.address) as client:

            def held() -> int:
                only = "Cache-Control: only-if-cached"
                asked = [client.ask(f"/500000/{number}", only) for number in range(20)]
                return sum(answer.status == 200 for answer in asked)

            for number in range(20):
                drain(client, f"/500000/{number}")
            for generation, memory, least, most in [(2, 64, 20, 20), (3, 4, 5, 7), (4, 64, 5, 7)]:
                changed = cache_of(memory * MIB, origin.address, object_bytes_max=MIB)
                changed |= {"generation": generation, "listeners": before["listeners"]}
                assert process.put(changed)[0] == 200
                assert least <= held() <= most
                bytes_max = process.metric("alongside_cache_bytes_max")
                assert process.metric("alongside_cache_bytes") <= bytes_max < memory * MIB
            drain(client, "/1000000/large")
            client.send(wire.request("/1000000/large", "Cache-Control: only-if-cached"))
            assert client.answer().status == 200
