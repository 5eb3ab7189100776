"""An origin whose every connection runs a function of the test.

In:    a function that talks to one connection, or one that answers one request.
Out:   the requests as they were understood, how many connections came, and how each ended.
Not:   recording bytes (origin.py does).
Next:  wire.py reads both ends alike.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self

from tests.e2e import wire

Talk = Callable[["Peer"], None]
Answer = Callable[[wire.Message], bytes]


class Peer(wire.Wire):
    """A connection that the data plane opened."""

    def __init__(self, connection: socket.socket, upstream: Upstream, index: int) -> None:
        super().__init__(connection, timeout_s=60)
        self.upstream = upstream
        self.index = index

    def next(self) -> wire.Message | None:
        """Return the next request and remember it; None at the end."""
        message = self.request()
        if message is not None:
            self.upstream.requests.append(message)
        return message


class Upstream:
    """A server on a free loopback port; a thread for each connection."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.requests: list[wire.Message] = []
        self.connections = 0
        self.ended = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    @classmethod
    def answering(cls, answer: Answer) -> Self:
        """Return a server that answers each request by a function."""

        def talk(peer: Peer) -> None:
            while (request := peer.next()) is not None:
                peer.send(answer(request))

        return cls(talk)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # A thread in accept() keeps the socket alive; shutting it down wakes the thread.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def targets(self) -> list[str]:
        """Return the targets of the requests so far."""
        return [request.target for request in self.requests]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(connection)
                index = self.connections
            threading.Thread(target=self._serve, args=(connection, index), daemon=True).start()

    def _serve(self, connection: socket.socket, index: int) -> None:
        with contextlib.suppress(OSError, wire.CutError), connection:
            self.talk(Peer(connection, self, index))
        with self._lock:
            self._open.discard(connection)
            self.ended += 1
