"""Let a listening socket take over from others whose addresses overlap with its own.

Clients may come in at any moment, and the scheduler may stop us between any two calls, so the
address is never closed: the new socket listens before the old ones are touched. These then hear
of no new client any more, and close when their processes have accepted who waited in them.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alongside.base import clock

DRY_LOOK_S = 0.002
DRY_QUIET_S = 0.3
"""A queue that is empty for that long stays so: who was shaking hands, whom it does not count yet,
has arrived, unless a round trip takes longer."""
DRY_S_MAX = 1.0
"""For processes to accept who waits in an old socket; a frozen one never does."""
_SO_BINDTOIFINDEX = 62
"""As in asm-generic/socket.h; the module `socket` does not name it."""
_NO_INTERFACE = 2**31 - 1
_TCP_INFO_UNACKED = struct.Struct("24xI")
"""Of a listening socket it is the length of the queue of those that were not accepted yet."""


@contextlib.contextmanager
def sharing(new: socket.socket, old: Sequence[socket.socket]) -> Iterator[None]:
    """Let a socket be bound and listen where old ones do, as long as the context lasts.

    Only for that long, so that an address that we have stays taken for another project of the
    same user.
    """
    try:
        for one in (new, *old):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        yield
    finally:
        for one in (new, *old):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)


def turn_away(old: socket.socket) -> None:
    """Let new clients of an old socket's address go to the one that took over.

    It is bound to an interface that does not exist, so that the kernel finds it for no new
    client, while those in its queue can still be accepted. Where that is not allowed (Linux
    before 5.7, without CAP_NET_RAW) it stops listening, and who waits in it is reset.
    """
    try:
        old.setsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX, _NO_INTERFACE)
    except OSError:
        with contextlib.suppress(OSError):
            old.shutdown(socket.SHUT_RD)


def is_turned_away(old: socket.socket) -> bool:
    """Return whether new clients do not come to an open socket any more."""
    if not old.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return True
    try:
        return old.getsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX) == _NO_INTERFACE
    except OSError:  # Linux before 5.7, where it would have stopped listening
        return False


def waiting(old: socket.socket) -> int:
    """Return how many clients wait in a listening socket to be accepted."""
    info = old.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_UNACKED.size)
    return int(_TCP_INFO_UNACKED.unpack(info)[0])


async def see_off(old: socket.socket, clock_: clock.Clock) -> None:
    """Close a socket that turns clients away, when who waited in it was accepted or it is late."""
    began_s = quiet_since_s = clock_.monotonic_s()
    try:
        while (now_s := clock_.monotonic_s()) < began_s + DRY_S_MAX:
            if waiting(old) > 0:
                quiet_since_s = now_s
            elif now_s >= quiet_since_s + DRY_QUIET_S:
                break
            await clock_.sleep(DRY_LOOK_S)
    finally:
        with contextlib.suppress(OSError):
            old.shutdown(socket.SHUT_RD)  # for its processes too
        old.close()
