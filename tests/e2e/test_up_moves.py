"""Addresses that a project itself has are no reason to refuse its next file."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import itertools
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from tests import ports
from tests.e2e import fleets

pytestmark = [fleets.NEEDS_DATA_PLANE, pytest.mark.timeout(180)]
WORKERS = 3
MOVES = 4
MOVES_OF_SOAK = 300


@pytest.fixture
def fleet() -> Iterator[fleets.Fleet]:
    with fleets.project() as made:
        yield made


def write(fleet: fleets.Fleet, more: str) -> None:
    """Bring up the good file with more fields of its cache."""
    path = fleet.write(shards=2)
    path.write_text(path.read_text().replace("shards: 2", f"shards: 2\n  {more}"))
    fleet.up(path)


def is_refused(host: str, port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((host, port)) == errno.ECONNREFUSED


@contextlib.contextmanager
def load(address: str) -> Iterator[list[tuple[float, str]]]:
    """Ask on new connections all the time; give what failed, and when."""
    is_over = threading.Event()
    failed: list[tuple[float, str]] = []
    counts = [0] * WORKERS

    def ask(worker: int) -> None:
        while not is_over.is_set():
            try:
                status, body = fleets.get(address, "/kept")
                if (status, body) != (200, b"/kept"):
                    failed.append((time.monotonic(), f"{status} {body[:80]!r}"))
            except OSError as error:
                failed.append((time.monotonic(), repr(error)))
            counts[worker] += 1

    workers = [threading.Thread(target=ask, args=(at,)) for at in range(WORKERS)]
    for worker in workers:
        worker.start()
    try:
        yield failed
        before = sum(counts)
        fleets.until("more load", lambda: sum(counts) > before + 20)
    finally:
        is_over.set()
        for worker in workers:
            worker.join()


def check_moves(fleet: fleets.Fleet, count: int) -> None:
    """Move a listener between overlapping addresses, and lose no request."""
    port = ports.free_port()
    write(fleet, f"port: {port}")
    nodes = {name: pid for name, pid in fleet.pids().items() if name != "photos-router-0"}
    for expose in itertools.islice(itertools.cycle(("public", "local")), count):
        assert is_refused("127.0.0.2", port) is (expose == "public")
        with load(f"127.0.0.1:{port}") as failed:
            write(fleet, f"port: {port}\n  expose: {expose}")
        assert failed == []
        assert is_refused("127.0.0.2", port) is (expose == "local")
        assert fleet.status()["ready"] is True
    assert {name: fleet.pids()[name] for name in nodes} == nodes


def test_a_listener_becomes_public_and_local_again_and_no_request_fails(
    fleet: fleets.Fleet,
) -> None:
    check_moves(fleet, MOVES)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_no_request_fails_in_hundreds_of_moves(fleet: fleets.Fleet) -> None:
    check_moves(fleet, MOVES_OF_SOAK)


def test_a_cache_and_its_origin_change_their_ports_with_each_other(fleet: fleets.Fleet) -> None:
    first = fleet.port
    other = dataclasses.replace(fleet, port=ports.free_port())
    write(fleet, f"port: {other.port}")
    assert fleets.get(f"127.0.0.1:{other.port}", "/a") == (200, b"/a")
    write(other, f"port: {first}")
    assert fleet.address() == f"127.0.0.1:{first}"
    assert fleets.get(f"127.0.0.1:{first}", "/b") == (200, b"/b")
    assert fleet.status()["warnings"] == []
