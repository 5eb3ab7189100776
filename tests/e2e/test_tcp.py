"""Connections that are passed on: every byte, each end, nothing held that is not needed."""

from __future__ import annotations

import contextlib
import hashlib
import resource
import select
import socket
import threading

import pytest
from tests.e2e import backends, plane, upstream, wire

LARGE_BYTES = 64 * 1024 * 1024
IDLE = 4000
IDLE_BYTES_MAX = 2048
# What a slow reader may make the process hold: buffers and noise, but not what it does not read.
HELD_BYTES_MAX = 8 * 1024 * 1024


def blob(seed: int, count: int = LARGE_BYTES) -> bytes:
    """Return bytes that repeat nowhere near, the same for the same seed."""
    block = hashlib.shake_256(str(seed).encode()).digest(1 << 20)
    return b"".join(bytes([at & 0xFF]) + block[1:] for at in range(count >> 20))


def test_bytes_pass_however_they_are_split() -> None:
    with backends.behind(backends.echo) as (address, _, process), wire.Wire(address) as client:
        text = bytes(range(256))
        for at in range(256):
            client.send(text[at : at + 1])
            assert client.take(1) == text[at : at + 1]
        for at in range(0, 256, 7):
            client.send(text[at : at + 7])
        assert client.take(256) == text
        for direction in ("to_backend", "to_client"):
            counted = process.metric("alongside_tcp_bytes", balancer="main", direction=direction)
            assert counted == 512


def test_a_client_that_is_done_still_gets_its_answer() -> None:
    def measure(peer: upstream.Peer) -> None:
        sent = peer.rest()
        peer.send(hashlib.sha256(sent).digest())

    with backends.behind(measure) as (address, server, process), wire.Wire(address) as client:
        sent = blob(1, 1 << 20)
        client.send(sent)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.rest() == hashlib.sha256(sent).digest()
        wire.eventually(lambda: server.ended == 1, "the backend's connection ends")
        ended = {"balancer": "main", "outcome": "ended"}
        wire.eventually(
            lambda: process.metric("alongside_tcp_connections", **ended) == 1, "it is counted"
        )


def test_a_backend_that_is_done_still_gets_what_the_client_sends() -> None:
    heard = threading.Event()
    received = bytearray()

    def speak_first(peer: upstream.Peer) -> None:
        peer.send(b"bye")
        peer.socket.shutdown(socket.SHUT_WR)
        received.extend(peer.rest())
        heard.set()

    with backends.behind(speak_first) as (address, _, _), wire.Wire(address) as client:
        assert client.rest() == b"bye"
        sent = blob(2, 1 << 20)
        client.send(sent)
        client.socket.shutdown(socket.SHUT_WR)
        assert heard.wait(wire.TIMEOUT_S)
        assert bytes(received) == sent


def test_much_passes_both_ways_at_one_time_and_nothing_changes() -> None:
    there, back = blob(3), blob(4)
    received: list[bytes] = []

    def both(peer: upstream.Peer) -> None:
        sending = threading.Thread(target=peer.send, args=(back,))
        sending.start()
        received.append(peer.take(LARGE_BYTES))
        sending.join()

    with backends.behind(both) as (address, _, _), wire.Wire(address) as client:
        sending = threading.Thread(target=client.send, args=(there,))
        sending.start()
        assert client.take(LARGE_BYTES) == back
        sending.join()
        wire.eventually(lambda: received, "the backend has it all", deadline_s=60)
        assert received == [there]


def test_a_slow_reader_holds_up_the_sender_and_no_memory() -> None:
    sent = blob(5)
    progress = [0]

    def pour(peer: upstream.Peer) -> None:
        for at in range(0, LARGE_BYTES, 1 << 16):
            peer.send(sent[at : at + (1 << 16)])
            progress[0] = at

    with backends.behind(pour) as (address, _, process):
        before = backends.resident_peak_bytes(process)
        with wire.Wire(address, receive_bytes=1 << 16) as client:
            received = bytearray(client.take(1 << 16))
            seen = -1

            def is_held_up() -> bool:
                nonlocal seen
                was, seen = seen, progress[0]
                # Nothing more goes out while nobody reads: the same twice, a good while apart.
                return not select.select([], [], [], 0.3)[0] and was == seen

            wire.eventually(is_held_up, "the backend is held up")
            assert progress[0] < LARGE_BYTES // 2
            received += client.rest()
            assert received == sent
        assert backends.resident_peak_bytes(process) - before < HELD_BYTES_MAX


@pytest.mark.parametrize("who", ["client", "backend"])
def test_what_one_side_breaks_off_is_broken_off_for_the_other(who: str) -> None:
    over: list[bool] = []

    def talk(peer: upstream.Peer) -> None:
        peer.take(1)
        if who == "backend":
            peer.reset()
        else:
            peer.send(b"!")
            over.append(backends.is_reset(peer))

    with backends.behind(talk) as (address, _, process), wire.Wire(address) as client:
        client.send(b"x")
        if who == "backend":
            assert backends.is_reset(client)
        else:
            client.take(1)
            client.reset()
            wire.eventually(lambda: over, "the backend notices")
            assert over == [True]
        reset = {"balancer": "main", "outcome": "reset"}
        wire.eventually(
            lambda: process.metric("alongside_tcp_connections", **reset) == 1, "it is counted"
        )
        open_now = "alongside_tcp_open_connections"
        assert process.metric(open_now, balancer="main", backend="a") == 0


def test_an_answer_that_comes_before_a_backend_breaks_off_arrives() -> None:
    def refuse(peer: upstream.Peer) -> None:
        peer.take(1)
        peer.send(b"no more")
        # It never reads the rest: its end is a reset.

    with backends.behind(refuse) as (address, _, _), wire.Wire(address) as client:
        client.send(b"x" * (1 << 20))
        assert client.take(7) == b"no more"


def test_silence_ends_a_connection_only_where_it_is_told_to() -> None:
    with backends.behind(backends.echo) as (address, server, process), wire.Wire(address) as client:
        client.send(b"x")
        assert client.take(1) == b"x"
        limited = backends.document({"a": server.address}, generation=2, idle_timeout_ms=300)
        assert process.put(limited)[0] == 200
        with wire.Wire(process.address) as other:
            other.send(b"y")
            assert other.take(1) == b"y"
            assert backends.is_reset(other)
        silent = {"balancer": "main", "outcome": "idle_timeout"}
        wire.eventually(
            lambda: process.metric("alongside_tcp_connections", **silent) == 1, "it is counted"
        )
        client.send(b"z")
        assert client.take(1) == b"z"


def test_connections_over_a_limit_are_reset_and_those_that_are_in_stay() -> None:
    limits = {"connections_max": 2}
    with (
        backends.behind(backends.echo, limits=limits) as (address, _, process),
        wire.many(address, 2) as clients,
    ):
        for client in clients:
            client.send(b"x")
            assert client.take(1) == b"x"
        assert backends.is_turned_away(address)
        for client in clients:
            client.send(b"y")
            assert client.take(1) == b"y"
        over = {"balancer": "main", "outcome": "connections_max"}
        assert process.metric("alongside_tcp_connections", **over) == 1


@pytest.mark.parametrize("how", ["door", "signal"])
def test_a_drain_lets_connections_finish_and_no_more_in(how: str) -> None:
    with backends.behind(backends.echo) as (address, _, process), wire.Wire(address) as client:
        client.send(b"x")
        assert client.take(1) == b"x"
        if how == "door":
            assert process.admin("POST", "/drain")[0] == 202
        else:
            process.terminate()
            process.told("draining")

        def is_refused() -> bool:
            try:
                wire.Wire(address).close()
            except ConnectionRefusedError:
                return True
            return False

        wire.eventually(is_refused, "nobody is let in")
        client.send(b"still here")
        assert client.take(10) == b"still here"
        client.socket.shutdown(socket.SHUT_WR)
        assert client.rest() == b""
        assert process.process.wait(timeout=15) == 0
        assert process.events("ended")[0]["connections_cut"] == 0


def test_a_drain_ends_in_its_time_whoever_stays() -> None:
    limits = {"drain_timeout_ms": 300}
    with (
        backends.behind(backends.echo, limits=limits) as (address, _, process),
        wire.Wire(address) as client,
    ):
        client.send(b"x")
        assert client.take(1) == b"x"
        assert process.admin("POST", "/drain")[0] == 202
        assert process.process.wait(timeout=15) == 0
        assert process.events("ended")[0]["connections_cut"] == 1


def test_a_socket_is_taken_over_by_its_name() -> None:
    with (
        upstream.Upstream(backends.echo) as server,
        socket.create_server(("127.0.0.1", 0), backlog=64) as listener,
    ):
        port = listener.getsockname()[1]
        written = backends.document({"a": server.address}, address=f"127.0.0.1:{port}")
        # A client may be waiting before the process is there.
        with wire.Wire(("127.0.0.1", port)) as client:
            client.send(b"early")
            with plane.running(written, inherited={"web": listener}):
                assert client.take(5) == b"early"


def raise_descriptors(count: int) -> None:
    """Allow as many descriptors as the system lets us; children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < count:
        pytest.skip(f"waits for {count} descriptors: ulimit -Hn says {hard}")


def test_an_idle_connection_costs_little_memory() -> None:
    raise_descriptors(2 * IDLE + 500)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
        with (
            plane.running(backends.document({"a": place})) as process,
            contextlib.ExitStack() as stack,
        ):
            address = process.address

            def join() -> None:
                client = stack.enter_context(wire.Wire(address))
                behind = stack.enter_context(server.accept()[0])
                for near, far in ((client.socket, behind), (behind, client.socket)):
                    near.sendall(b"x")
                    assert far.recv(1) == b"x"

            for _ in range(50):
                join()
            before = process.resident_bytes()
            for _ in range(IDLE):
                join()
            each = (process.resident_bytes() - before) / IDLE
            print(f"{each:.0f} bytes for each idle connection")  # noqa: T201
            assert each <= IDLE_BYTES_MAX
