"""Programs that speak HTTP/2: streams that end or are given up, connections that go away."""

from __future__ import annotations

import contextlib
import functools
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from h2 import config, connection, events
from tests.e2e import plane, secure, streams, upstream, wire

SHORT_MS = 700


class Program:
    """One that answers as the target says, by h2c."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.resets = 0
        self.bodies: dict[int, bytes] = {}

    def talk(self, peer: upstream.Peer) -> None:
        """Serve one connection."""
        state = connection.H2Connection(config.H2Configuration(client_side=False))
        state.initiate_connection()
        peer.send(state.data_to_send())
        while peer.fill():
            for event in state.receive_data(peer.take(len(peer.buffer))):
                self._take(state, event)
            peer.send(state.data_to_send())
            if "/leave" in self.asked[-1:]:
                state.close_connection()
                peer.send(state.data_to_send())
                return

    def _take(self, state: connection.H2Connection, event: events.Event) -> None:
        match event:
            case events.RequestReceived():
                fields = {_text(name): _text(value) for name, value in event.headers}
                self.asked.append(fields[":path"])
                self._answer(state, fields[":path"], event.stream_id)
            case events.DataReceived():
                self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
                state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case events.StreamEnded() if event.stream_id in self.bodies:
                state.send_headers(event.stream_id, [(":status", "204")], end_stream=True)
            case events.StreamReset():
                self.resets += 1
            case _:
                pass

    def _answer(self, state: connection.H2Connection, target: str, stream: int) -> None:
        match target:
            case "/silent" | "/body":
                pass
            case "/reset":
                state.reset_stream(stream, 7)
            case "/cut":
                state.send_headers(stream, [(":status", "200")])
                state.send_data(stream, b"half")
                state.reset_stream(stream, 2)
            case "/trailers":
                state.send_headers(stream, [(":status", "200")])
                state.send_data(stream, b"all")
                state.send_headers(stream, [("x-sum", "3")], end_stream=True)
            case _:
                state.send_headers(stream, [(":status", "200"), ("content-length", "2")])
                state.send_data(stream, b"ok", end_stream=True)


def _text(part: str | bytes) -> str:
    return part.decode("latin-1") if isinstance(part, bytes) else part


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("h2c")
    return secure.Authority(folder).pair("a.example").put(folder / "tls")


@pytest.fixture(scope="module")
def context() -> ssl.SSLContext:
    return secure.context(None, ("h2",))


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[wire.Address, Program, upstream.Upstream]]:
    program = Program()
    with upstream.Upstream(program.talk) as origin:
        known = {"address": origin.address, "speaks": "h2c"}
        limits = {"response_timeout_ms": 20 * SHORT_MS}
        contents = secure.document(known, {"default": folder}, limits)
        with plane.running(contents) as process:
            yield process.address, program, origin


def test_answers_pass_with_trailers_to_clients_of_both_versions(
    folder: Path, context: ssl.SSLContext
) -> None:
    with served(folder) as (address, _, origin):
        with streams.Client(address, context) as client:
            assert client.fetch("/plain").body == b"ok"
            got = client.fetch("/trailers", ("te", "trailers"))
            assert (got.body, dict(got.trailers)) == (b"all", {"x-sum": "3"})
        with secure.Client(address, secure.context(None)) as old:
            assert old.ask("/plain").body == b"ok"
            assert old.ask("/trailers").trailers == b"x-sum: 3\r\n"
        assert origin.connections <= 2


def test_who_gives_up_gives_the_programs_stream_up_and_no_other(
    folder: Path, context: ssl.SSLContext
) -> None:
    with served(folder) as (address, program, origin), streams.Client(address, context) as client:
        stream = client.ask("/silent")
        wire.eventually(lambda: program.asked == ["/silent"], "it is asked")
        assert program.resets == 0
        client.reset(stream)
        # The program sees it with whatever comes next.
        wire.eventually(lambda: program.resets == 1, "the program is told")
        assert client.fetch("/after").body == b"ok"
        assert origin.connections <= 2


def test_a_client_that_leaves_gives_the_programs_stream_up(
    folder: Path, context: ssl.SSLContext
) -> None:
    with served(folder) as (address, program, _):
        with streams.Client(address, context) as client:
            client.ask("/silent")
            wire.eventually(lambda: program.asked, "it is asked")
        wire.eventually(lambda: program.resets == 1, "the program is told")


def test_what_the_program_gives_up_never_looks_whole(folder: Path, context: ssl.SSLContext) -> None:
    with served(folder) as (address, _, _), streams.Client(address, context) as client:
        refused = client.fetch("/reset")
        assert refused.status == 502 or refused.reset is not None
        cut = client.fetch("/cut")
        assert cut.reset is not None
        assert not cut.is_over
        assert client.fetch("/after").body == b"ok"


def has_left(origin: upstream.Upstream, times: int) -> bool:
    """Whether the program ended so many connections."""
    return origin.ended == times


def test_a_program_that_leaves_is_asked_on_a_new_connection(
    folder: Path, context: ssl.SSLContext
) -> None:
    with served(folder) as (address, _, origin), streams.Client(address, context) as client:
        for number in range(1, 6):
            assert client.fetch("/leave").body == b"ok"
            wire.eventually(functools.partial(has_left, origin, number), "it left")
        assert client.fetch("/after").body == b"ok"


def test_bodies_larger_than_any_window_reach_the_program(
    folder: Path, context: ssl.SSLContext
) -> None:
    blob = bytes(range(256)) * 2048
    with served(folder) as (address, program, _), streams.Client(address, context) as client:
        stream = client.ask("/body", method="POST", ends=False)
        client.send(stream, blob, ends=True)
        assert client.answer(stream).status == 204
        assert list(program.bodies.values()) == [blob]


def test_who_is_answered_early_is_told_to_send_no_more(
    folder: Path, context: ssl.SSLContext
) -> None:
    blob = bytes(range(256)) * 8192
    with served(folder) as (address, program, _), streams.Client(address, context) as client:
        stream = client.ask("/early", method="POST", ends=False)
        client.send(stream, blob, ends=True)
        got = client.answers[stream]
        client.until(lambda: got.reset == 0, "it is told so, without an error")
        assert (got.status, got.body, got.is_over) == (200, b"ok", True)
        wire.eventually(lambda: program.resets == 1, "so is the program")
        assert client.fetch("/after").body == b"ok"
