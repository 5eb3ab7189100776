"""Open the sockets at which Services answer, also where an older one of theirs is in the way."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alongside.plan import pods

BACKLOG = 4096
_SO_ATTACH_FILTER = 26
_RETURN = 0x06
"""The instruction of a filter that returns how much of a packet is let in."""
_INFO_BYTES, _UNACKED_AT = 104, 24
"""Of `struct tcp_info`: how much is asked for, and where a listener's queue stands in it."""


def host_ports(wanted: Iterable[pods.Pod]) -> frozenset[int]:
    """Return this machine's ports that pods ask for; a Service of such a number yields."""
    ports = (port.host_port for pod in wanted for one in pod.containers for port in one.ports)
    return frozenset(one for one in ports if one is not None)


def own_ports(wanted: Iterable[pods.Pod]) -> frozenset[int]:
    """Return the ports on which pods say that they listen."""
    return frozenset(port.number for pod in wanted for one in pod.containers for port in one.ports)


def listening(host: str, port: int, *, over: Iterable[socket.socket] = ()) -> socket.socket:
    """Return a socket that listens, beside what the same Service has.

    Where a Service moves from one address to all of them, or back, the old socket and the new one
    mean the same port. Both let that be for the moment of binding, so that nobody is refused in
    between; for everybody else the port stays taken.

    Args:
        host: an address of this machine.
        port: 0 for any that is free.
        over: sockets that go when the new one answers.

    Raises:
        OSError: the address cannot be had.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    older = [one for one in over if one.fileno() >= 0]
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if older:
            _share((*older, bound), 1)
        try:
            bound.bind((host, port))
            bound.listen(BACKLOG)
        finally:
            if older:
                _share((*older, bound), 0)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


def _share(sockets: Iterable[socket.socket], value: int) -> None:
    for one in sockets:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, value)


def shut_out(listening_: socket.socket) -> None:
    """Let nobody new in at a socket, whose queue is then emptied by who accepts from it.

    Who comes meanwhile is not answered: its system asks again a second later, and another socket
    has the port then. Only Linux can; elsewhere nothing happens.
    """
    if sys.platform != "linux":
        return
    drop_all = ctypes.create_string_buffer(struct.pack("=HBBI", _RETURN, 0, 0, 0))
    program = struct.pack("@HP", 1, ctypes.addressof(drop_all))
    with contextlib.suppress(OSError):
        listening_.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def waiting(listening_: socket.socket) -> int:
    """Return how many connections wait to be accepted; 0 where that cannot be seen."""
    if sys.platform != "linux":
        return 0
    try:
        told = listening_.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    except OSError:
        return 0
    return int(struct.unpack_from("=I", told, _UNACKED_AT)[0])
