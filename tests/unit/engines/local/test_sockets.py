"""Sockets are shared between plans, and a refused plan binds nothing."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator

import pytest
from tests import ports

from alongside.base import errors
from alongside.engines.local import sockets, yielding
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


def reaches(listener: sockets.Bound, host: str, port: int) -> bool:
    """Return whether a new connection comes out of a listener."""
    with socket.create_connection((host, port)) as client:
        listener.socket.settimeout(5)
        peer, address = listener.socket.accept()
        peer.close()
        return bool(address == client.getsockname())


def drained(listener: socket.socket) -> list[tuple[str, int]]:
    """Accept and close all connections that wait; return where they came from."""
    came = []
    listener.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            peer, address = listener.accept()
            peer.close()
            came.append(address)
    return came


def close(opened: Iterable[socket.socket]) -> None:
    for one in opened:
        one.close()


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
    port = ports.free_port()
    first = sockets.Sockets().prepare(plan(old, a=port))
    kept = first.held["a"]
    second = first.prepare(plan(new, **{name: port}))
    first.release(second)
    assert second.addresses() == {name: f"{new}:{port}"}
    assert reaches(kept, LOOPBACK, port)
    left = second.leave("a")
    assert reaches(second.held[name], LOOPBACK, port)
    assert (second.coming, left) == ({}, [kept.socket])
    close(left)
    second.release()


@pytest.mark.parametrize(("old", "new"), [(LOOPBACK, EVERYWHERE), (EVERYWHERE, LOOPBACK)])
def test_an_address_is_open_at_each_moment_of_a_move(
    old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = ports.free_port()
    first = sockets.Sockets().prepare(plan(old, a=port))
    second = first.prepare(plan(new, a=port))
    first.release(second)
    clients: list[socket.socket] = []

    def watch(_: object, event: str, called: object) -> None:
        if event == "c_call" and isinstance(getattr(called, "__self__", None), socket.socket):
            sys.setprofile(None)
            clients.append(socket.create_connection((LOOPBACK, port)))
            sys.setprofile(watch)

    sys.setprofile(watch)  # a client before each call that may change a socket
    try:
        left = second.leave("a")
    finally:
        sys.setprofile(None)
    assert len(clients) > 5
    came = {*drained(left[0]), *drained(second.held["a"].socket)}
    assert came == {client.getsockname() for client in clients}
    close([*left, *clients])
    second.release()


def test_who_waits_in_an_old_listener_is_still_accepted_and_nobody_new_comes_to_it() -> None:
    port = ports.free_port()
    first = sockets.Sockets().prepare(plan(a=port))
    second = first.prepare(plan(EVERYWHERE, a=port))
    first.release(second)
    with socket.create_connection((LOOPBACK, port)) as early:
        [left] = second.leave("a")
        with socket.create_connection((LOOPBACK, port)) as late:
            assert yielding.waiting(left) == 1
            assert drained(left) == [early.getsockname()]
            assert yielding.waiting(left) == 0
            assert drained(second.held["a"].socket) == [late.getsockname()]
    close([left])
    second.release()


class Ticks:
    """A clock that goes on when someone sleeps; it may do something at a moment."""

    def __init__(self, at_s: float = math.inf, act: Callable[[], object] = dict) -> None:
        self.now_s = 0.0
        self._at_s, self._act = at_s, act

    def monotonic_s(self) -> float:
        """Return the seconds slept."""
        return self.now_s

    def wall_s(self) -> float:
        """Return the same."""
        return self.now_s

    async def sleep(self, duration_s: float) -> None:
        """Go on, and act where the moment has come."""
        if self.now_s < self._at_s <= self.now_s + duration_s:
            self._act()
        self.now_s += duration_s


def test_an_old_listener_is_closed_when_nobody_waits_in_it_any_more() -> None:
    listener = sockets.bind(shape.Socket("http", LOOPBACK, 0))
    with socket.create_connection(listener.getsockname()):
        ticks = Ticks(0.5, lambda: drained(listener))
        asyncio.run(yielding.see_off(listener, ticks))
    quiet_s = 0.5 + yielding.DRY_QUIET_S
    assert ticks.now_s == pytest.approx(quiet_s, abs=0.01)
    assert listener.fileno() == -1


def test_an_old_listener_whose_process_is_frozen_is_closed_in_a_second() -> None:
    listener = sockets.bind(shape.Socket("http", LOOPBACK, 0))
    with socket.create_connection(listener.getsockname()):
        ticks = Ticks()
        asyncio.run(yielding.see_off(listener, ticks))
    assert ticks.now_s == pytest.approx(yielding.DRY_S_MAX, abs=0.01)
    assert listener.fileno() == -1


def test_an_address_is_shared_with_nobody_after_a_move() -> None:
    port = ports.free_port()
    first = sockets.Sockets().prepare(plan(a=port))
    second = first.prepare(plan(EVERYWHERE, a=port))
    first.release(second)
    close(second.leave("a"))
    for host in (LOOPBACK, EVERYWHERE):
        with pytest.raises(errors.AddressTakenError):
            sockets.Sockets().prepare(plan(host, b=port))
    second.release()


def test_a_move_that_is_taken_back_changes_nothing() -> None:
    port = ports.free_port()
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
@pytest.mark.parametrize("shares", [False, True])
def test_a_move_that_fails_loses_nobody(asked: int, *, shares: bool) -> None:
    first = sockets.Sockets().prepare(plan(a=ports.free_port() if asked else 0))
    kept = first.held["a"]
    port = kept.place[1]
    second = first.prepare(plan(EVERYWHERE, a=port))
    first.release(second)
    with socket.socket() as stranger, socket.create_connection((LOOPBACK, port)) as early:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shares)
        stranger.bind(("127.0.0.2", port))
        stranger.listen()
        with pytest.raises(errors.AddressTakenError, match="choose another port"):
            second.leave("a")
        assert drained(kept.socket) == [early.getsockname()]
    assert reaches(kept, LOOPBACK, port)
    assert second.addresses() == {"a": f"{EVERYWHERE}:{port}"}
    second.release()


def test_what_a_process_of_ours_has_is_awaited() -> None:
    port, other = ports.free_port(), ports.free_port()
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
    port = ports.free_port()
    first = sockets.Sockets().prepare(plan(a=port))
    with listening("127.0.0.2", port), pytest.raises(errors.AddressTakenError):
        first.prepare(plan(EVERYWHERE, a=port), lambda: {os.getpid()})
    assert reaches(first.held["a"], LOOPBACK, port)
    first.release()


def test_only_what_all_holders_leave_is_not_taken() -> None:
    port = ports.free_port()
    wanted = plan(a=port, b=ports.free_port())
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
    for chosen in (0, ports.free_port()):
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
    port = ports.free_port()
    held = sockets.Sockets().prepare(sharing("a", "b", port=port))
    moved = held.prepare(sharing("a", "b", host=EVERYWHERE, port=port))
    held.release(moved)
    assert set(moved.coming) == {"a", "b"}
    close(moved.settle("a"))
    assert moved.coming == {}
    assert moved.held["a"].socket is moved.held["b"].socket
    assert reaches(moved.held["a"], LOOPBACK, port)
    moved.release()


@pytest.mark.parametrize("is_closed", [False, True], ids=["still open", "closed by then"])
def test_one_listener_moves_to_two_addresses_within_its_own(*, is_closed: bool) -> None:
    held = sockets.Sockets().prepare(plan(EVERYWHERE, a=0))
    port = held.held["a"].place[1]
    two = shape.Plan(
        (
            shape.Process("b", "router", sockets=(shape.Socket("http", LOOPBACK, port),)),
            shape.Process("c", "router", sockets=(shape.Socket("http", "127.0.0.2", port),)),
        )
    )
    following = held.prepare(two)
    held.release(following)
    first = following.settle("b")
    assert len(first) == 1
    if is_closed:
        close(first)
    assert following.settle("c") == []
    close(first)
    assert reaches(following.held["b"], LOOPBACK, port)
    assert reaches(following.held["c"], "127.0.0.2", port)
    following.release()
