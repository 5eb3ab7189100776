"""Sockets are shared between plans, and a refused plan binds nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from alongside.base import errors
from alongside.engines.local import sockets
from alongside.plan import shape

LOOPBACK, EVERYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104 - closed at the test's end
LISTEN = """
import socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print(flush=True)
sys.stdin.read()
"""


def plan(host: str = LOOPBACK, **ports: int) -> shape.Plan:
    return shape.Plan(
        tuple(
            shape.Process(name, "router", sockets=(shape.Socket("http", host, port),))
            for name, port in ports.items()
        )
    )


@contextlib.contextmanager
def taken() -> Iterator[int]:
    with socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        yield owner.getsockname()[1]


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[int]:
    """Give the pid of another process that listens there."""
    words = [sys.executable, "-c", LISTEN, host, str(port)]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


def free_port() -> int:
    """Return a free port that no client is given, on none of this machine's addresses."""
    ports = list(range(20_000, 32_000))
    random.shuffle(ports)
    for port in ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((EVERYWHERE, port))
            return port
    raise AssertionError("no port is free")


def reaches(listener: sockets.Bound, host: str, port: int) -> bool:
    """Return whether a new connection comes out of a listener."""
    with socket.create_connection((host, port)) as client:
        listener.socket.settimeout(5)
        peer, address = listener.socket.accept()
        peer.close()
        return bool(address == client.getsockname())


def test_an_equal_socket_is_kept_and_another_is_closed() -> None:
    first = sockets.Sockets().prepare(plan(a=0, b=0))
    before = first.addresses()
    second = first.prepare(plan(a=0, c=0))
    first.release(second)
    assert second.address("a") == before["a"]
    host, _, port = before["b"].rpartition(":")
    with socket.socket() as client:
        assert client.connect_ex((host, int(port))) == errno.ECONNREFUSED
    second.release()


def test_a_renamed_process_inherits_its_port() -> None:
    with taken() as port:
        pass
    first = sockets.Sockets().prepare(plan(old=port))
    second = first.prepare(plan(new=port))
    first.release(second)
    assert second.address("new") == f"127.0.0.1:{port}"
    second.release()


def test_a_taken_port_names_its_owner_and_leaves_the_rest() -> None:
    held = sockets.Sockets().prepare(plan(a=0))
    with taken() as port, pytest.raises(errors.AddressTakenError) as caught:
        held.prepare(plan(a=0, b=port))
    assert f"(pid {os.getpid()}); choose another port" in str(caught.value)
    assert held.address("a") is not None
    held.release()


def test_a_port_that_was_chosen_can_be_asked_for() -> None:
    first = sockets.Sockets().prepare(plan(a=0))
    port = first.held["a"].place[1]
    second = first.prepare(plan(b=port))
    first.release(second)
    assert reaches(second.held["b"], LOOPBACK, port)
    second.release()


@pytest.mark.parametrize(("old", "new"), [(LOOPBACK, EVERYWHERE), (EVERYWHERE, LOOPBACK)])
@pytest.mark.parametrize("name", ["a", "b"])
def test_a_listener_moves_when_its_process_leaves(old: str, new: str, name: str) -> None:
    port = free_port()
    first = sockets.Sockets().prepare(plan(old, a=port))
    kept = first.held["a"]
    second = first.prepare(plan(new, **{name: port}))
    first.release(second)
    assert second.addresses() == {name: f"{new}:{port}"}
    assert reaches(kept, LOOPBACK, port)
    second.leave("a")
    assert reaches(second.held[name], LOOPBACK, port)
    assert (second.coming, kept.socket.fileno()) == ({}, -1)
    second.release()


def test_a_move_that_is_taken_back_changes_nothing() -> None:
    port = free_port()
    first = sockets.Sockets().prepare(plan(a=port))
    kept = first.held["a"].socket
    second = first.prepare(plan(EVERYWHERE, a=port))
    first.release(second)
    third = second.prepare(plan(a=port))
    second.release(third)
    assert (third.held["a"].socket, third.coming) == (kept, {})
    assert reaches(third.held["a"], LOOPBACK, port)
    third.release()


@pytest.mark.parametrize("asked", [0, 1])
def test_a_move_that_fails_leaves_the_old_listening(
    asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sockets.Sockets().prepare(plan(a=free_port() if asked else 0))
    kept = first.held["a"]
    port = kept.place[1]
    second = first.prepare(plan(EVERYWHERE, a=port))
    first.release(second)

    def taken_meanwhile(_: shape.Socket) -> socket.socket:
        raise OSError(errno.EADDRINUSE, "Address already in use")

    with monkeypatch.context() as patch:
        patch.setattr(sockets, "bind", taken_meanwhile)
        with pytest.raises(errors.AddressTakenError):
            second.leave("a")
    assert reaches(kept, LOOPBACK, port)
    assert second.addresses() == {"a": f"{EVERYWHERE}:{port}"}
    second.release()


def test_what_a_process_of_ours_has_is_awaited() -> None:
    port, other = free_port(), free_port()
    first = sockets.Sockets().prepare(plan(a=other))
    with listening(LOOPBACK, port) as pid:
        second = first.prepare(plan(a=port), lambda: {pid})
        assert second.addresses() == {}
        assert f"a waits until 127.0.0.1:{port} is free; " in second.waits()[0]
        assert f"(pid {pid}) has it" in second.waits()[0]
        second.look_again()
        assert second.addresses() == {}
    second.look_again()
    assert (second.addresses(), second.waits()) == ({"a": f"127.0.0.1:{port}"}, [])
    first.release(second)
    second.release()


def test_what_a_stranger_has_beside_ours_is_taken() -> None:
    port = free_port()
    first = sockets.Sockets().prepare(plan(a=port))
    with listening("127.0.0.2", port), pytest.raises(errors.AddressTakenError):
        first.prepare(plan(EVERYWHERE, a=port), lambda: {os.getpid()})
    assert reaches(first.held["a"], LOOPBACK, port)
    first.release()


def test_only_what_all_holders_leave_is_not_taken() -> None:
    port = free_port()
    wanted = plan(a=port, b=free_port())
    with listening(LOOPBACK, port) as pid:
        assert sockets.check(wanted, lambda: {pid}) == []
        assert f"127.0.0.1:{port} is taken by" in sockets.check(wanted, lambda: {1})[0]
    with listening("::", port) as pid:
        assert sockets.check(wanted, lambda: {pid}) == []
    assert sockets.check(wanted, frozenset) == []


def sharing(*names: str, host: str = LOOPBACK, port: int = 0) -> shape.Plan:
    wanted = shape.Socket("http", host, port, "photos")
    return shape.Plan(tuple(shape.Process(name, "router", sockets=(wanted,)) for name in names))


def test_those_that_share_an_address_have_one_socket_that_stays() -> None:
    for chosen in (0, free_port()):
        one = sockets.Sockets().prepare(sharing("a", port=chosen))
        address = one.address("a")
        two = one.prepare(sharing("a", "b", port=chosen))
        one.release(two)
        assert two.held["a"].socket is two.held["b"].socket
        three = two.prepare(sharing("b", port=chosen))
        two.release(three)
        assert three.address("b") == address
        assert reaches(three.held["b"], *three.held["b"].place)
        three.release()


def test_a_taken_address_that_is_shared_is_told_of_once() -> None:
    with taken() as port, pytest.raises(errors.AddressTakenError) as caught:
        sockets.Sockets().prepare(sharing("a", "b", port=port))
    assert len({problem.partition(": ")[2] for problem in caught.value.problems}) == 1


def test_a_shared_socket_that_moves_is_there_for_all_at_once() -> None:
    port = free_port()
    held = sockets.Sockets().prepare(sharing("a", "b", port=port))
    moved = held.prepare(sharing("a", "b", host=EVERYWHERE, port=port))
    held.release(moved)
    assert set(moved.coming) == {"a", "b"}
    moved.settle("a")
    assert moved.coming == {}
    assert moved.held["a"].socket is moved.held["b"].socket
    assert reaches(moved.held["a"], LOOPBACK, port)
    moved.release()
