"""The failure tables of `route` and `cache`: each fault is made, and seen as promised."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.e2e import test_node_commands as commands

Answer = Callable[[socket.socket], None]
FRESH = b"HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 4\r\n"


class Upstream:
    """A server that does with each connection what a test says, once a request's head is in."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._ended = threading.Event()
        self.address = "{}:{}".format(*self._listening.getsockname())
        self.requests = 0
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            if self._ended.is_set():
                connection.close()
                return
            with connection:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += connection.recv(65_536) or b"\r\n\r\n"
                self.requests += 1
                with contextlib.suppress(OSError):
                    self._answer(connection)

    def stop(self) -> None:
        """Serve no more; later connections are refused."""
        if self._ended.is_set():
            return
        self._ended.set()
        host, _, port = self.address.rpartition(":")
        socket.create_connection((host, int(port))).close()
        self._thread.join()
        self._listening.close()


Make = Callable[[Answer], Upstream]


@pytest.fixture
def upstream() -> Iterator[Make]:
    with contextlib.ExitStack() as stack:

        def make(answer: Answer) -> Upstream:
            made = Upstream(answer)
            stack.callback(made.stop)
            return made

        yield make


@pytest.fixture
def start(tmp_path: Path) -> Iterator[commands.Start]:
    starter = commands.Start(tmp_path)
    yield starter
    starter.end()


def node(start: commands.Start, component: str, address: str, more: str = "") -> str:
    where = {"cache": f"--origin http://{address}", "route": f"--node a={address}"}[component]
    return start(f"{component} --listen 127.0.0.1:0 {where} {more}").ready()


def answer_whole(connection: socket.socket) -> None:
    connection.sendall(FRESH + b"connection: close\r\n\r\nbody")


def answer_short(connection: socket.socket) -> None:
    connection.sendall(FRESH + b"\r\nbo")


def answer_nonsense(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nbody!")


def answer_never(connection: socket.socket) -> None:
    connection.settimeout(commands.DEADLINE_S)
    connection.recv(1)


COMPONENTS = pytest.mark.parametrize("component", ["cache", "route"])


@COMPONENTS
def test_an_upstream_that_never_answers_gives_504_after_response_timeout(
    start: commands.Start, upstream: Make, component: str
) -> None:
    address = node(start, component, upstream(answer_never).address, "--response-timeout 200ms")
    assert commands.get(address)[0] == 504


@COMPONENTS
def test_a_malformed_answer_gives_502_and_nothing_of_it_goes_on(
    start: commands.Start, upstream: Make, component: str
) -> None:
    status, _, body = commands.get(node(start, component, upstream(answer_nonsense).address))
    assert status == 502
    assert "body!" not in body


@COMPONENTS
def test_a_short_answer_is_cut_and_never_taken_for_a_whole_one(
    start: commands.Start, upstream: Make, component: str
) -> None:
    behind = upstream(answer_short)
    address = node(start, component, behind.address)
    for asked in (1, 2):
        # The cut is a reset, which may overtake the part that was sent.
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            commands.get(address)
        assert behind.requests == asked


@COMPONENTS
def test_an_upstream_that_refuses_connections_gives_502(
    start: commands.Start, upstream: Make, component: str
) -> None:
    behind = upstream(answer_whole)
    behind.stop()
    assert commands.get(node(start, component, behind.address))[0] == 502


def test_what_is_fresh_is_served_while_the_origin_is_gone(
    start: commands.Start, upstream: Make
) -> None:
    origin = upstream(answer_whole)
    address = node(start, "cache", origin.address)
    assert commands.get(address, "/a")[0] == 200
    origin.stop()
    assert commands.get(address, "/a")[0::2] == (200, "body")
    assert commands.get(address, "/b")[0] == 502


@COMPONENTS
def test_a_request_over_a_limit_is_refused(
    start: commands.Start, upstream: Make, component: str
) -> None:
    behind = upstream(answer_whole)
    address = node(start, component, behind.address, "--target-max 64B --head-max 1Ki")
    assert commands.get(address, "/" + "x" * 100)[0] == 414
    assert commands.get(address, "/", x_large="x" * 2000)[0] == 431
    assert behind.requests == 0


@COMPONENTS
def test_a_client_that_sends_its_head_too_slowly_is_ended(
    start: commands.Start, upstream: Make, component: str
) -> None:
    address = node(start, component, upstream(answer_whole).address, "--head-timeout 200ms")
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=commands.DEADLINE_S) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n")
        received = b""
        while more := slow.recv(65_536):
            received += more
    assert received.startswith(b"HTTP/1.1 408 ")


@COMPONENTS
def test_a_connection_over_the_limit_of_its_address_is_closed(
    start: commands.Start, upstream: Make, component: str
) -> None:
    behind = upstream(answer_whole)
    address = node(start, component, behind.address, "--connections-per-address-max 1")
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port))) as first:
        first.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert first.recv(12) == b"HTTP/1.1 200"
        with socket.create_connection((host, int(port)), timeout=commands.DEADLINE_S) as second:
            assert second.recv(1) == b""
