"""Sockets are shared between plans, and a refused plan binds nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator

import pytest

from alongside.base import errors
from alongside.engines.local import sockets
from alongside.plan import shape


def plan(**ports: int) -> shape.Plan:
    return shape.Plan(
        tuple(
            shape.Process(name, "router", sockets=(shape.Socket("http", "127.0.0.1", port),))
            for name, port in ports.items()
        )
    )


@contextlib.contextmanager
def taken() -> Iterator[int]:
    with socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        yield owner.getsockname()[1]


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
