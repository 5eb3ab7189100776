"""Replicas of one cache, each a process, that know each other.

In:    an origin's address; how many; what a cache has besides.
Out:   processes by their ids; where a key's misses meet.
Not:   a router in front of them.
Next:  test_cache_replicas.py and test_cache_warmup.py kill, freeze and start them.
"""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.e2e import plane, wire

MIB = 1 << 20
INNER = ["127.0.0.0/8"]
_MASK = (1 << 64) - 1


class Fleet:
    """Replicas `n0`, `n1`, … of one cache."""

    def __init__(self, documents: Sequence[plane.Json], stack: contextlib.ExitStack) -> None:
        self.documents = list(documents)
        self.nodes: dict[int, plane.Plane] = {}
        self._stack = stack

    def start(self, at: int, inherited: socket.socket | None = None) -> plane.Plane:
        """Start a replica, or start it again."""
        sockets = {"web": inherited} if inherited else None
        document = self.documents[at]
        self.nodes[at] = self._stack.enter_context(plane.running(document, inherited=sockets))
        return self.nodes[at]

    def address(self, at: int) -> wire.Address:
        """Return where a replica takes inner peers, also while it does not run."""
        listeners = self.documents[at]["listeners"]
        assert isinstance(listeners, list)
        host, port = str(listeners[0]["address"]).rsplit(":", 1)
        return host, int(port)

    def ask(self, at: int, target: str, *fields: str, method: str = "GET") -> wire.Message:
        """Ask a replica on a new connection."""
        return wire.fetch(self.address(at), target, *fields, method=method)

    def holds(self, at: int, target: str, *fields: str) -> bool:
        """Return whether a replica could answer from its store."""
        return self.ask(at, target, "Cache-Control: only-if-cached", *fields).status == 200

    def signal(self, at: int, number: signal.Signals) -> None:
        """Send a signal to a replica's process."""
        self.nodes[at].process.send_signal(number)

    def kill(self, at: int) -> None:
        """End a replica at once, and wait until it is gone."""
        self.nodes[at].process.kill()
        self.nodes[at].process.wait()

    @contextlib.contextmanager
    def frozen(self, at: int) -> Iterator[None]:
        """Stop a replica's process until the block ends."""
        self.signal(at, signal.SIGSTOP)
        threads = Path(f"/proc/{self.nodes[at].process.pid}/task")
        try:
            # Until all of them stand still, it may answer on, and ask the origin.
            wire.eventually(lambda: all(map(_is_stopped, threads.iterdir())), "it is frozen")
            yield
        finally:
            self.signal(at, signal.SIGCONT)

    def targets(self, first: int, count: int, *, prefix: str = "/t") -> list[str]:
        """Return targets whose misses meet at one replica."""
        found: list[str] = []
        number = 0
        while len(found) < count:
            target = f"{prefix}{number}"
            number += 1
            if self.order(target)[0] == first:
                found.append(target)
        return found

    def order(self, target: str, *, host: str = "a", shard_key: str = "") -> list[int]:
        """Return the replicas in a key's order, as rust/policy/src/rendezvous.rs has it."""
        url = len(host).to_bytes(4, "little") + f"http://{host}{target}".encode()
        key = _hash(len(url).to_bytes(4, "little") + url + shard_key.encode())
        hashes = [(_mix(key ^ node), node) for node in map(_hash, self._ids())]
        return sorted(range(len(hashes)), key=lambda at: hashes[at], reverse=True)

    def _ids(self) -> list[bytes]:
        return [f"n{at}".encode() for at in range(len(self.documents))]


def _is_stopped(thread: Path) -> bool:
    return (thread / "stat").read_text().rpartition(") ")[2].startswith("T")


def _hash(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & _MASK
    return _mix(value)


def _mix(bits: int) -> int:
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK
    return bits ^ (bits >> 31)


def document(
    origin: str, at: int, ports: Sequence[int], more: Mapping[str, object], **frame: object
) -> plane.Json:
    """Return the document of one replica; listener `web` takes inner peers, `outer` everyone."""
    siblings = [
        {"id": f"n{other}", "address": f"127.0.0.1:{port}"}
        for other, port in enumerate(ports)
        if other != at
    ]
    warm = more.get("warm_bytes_per_s")
    replica = {"id": f"n{at}", "siblings": siblings, "warm_bytes_per_s": warm}
    cache = {
        "name": "main",
        "origin": {"address": origin},
        "memory_bytes": more.get("memory_bytes", 16 * MIB),
        "replica": replica,
    }
    web = {"name": "web", "address": f"127.0.0.1:{ports[at]}", "serves": "main", "inner": INNER}
    outer = {"name": "outer", "address": "127.0.0.1:0", "serves": "main"}
    return {
        **plane.document("cache", origin),
        "caches": [cache],
        "listeners": [web, outer],
        **frame,
    }


@contextlib.contextmanager
def fleet(
    origin: str,
    count: int = 2,
    *,
    started: int | None = None,
    more: Mapping[str, object] | None = None,
    **frame: object,
) -> Iterator[Fleet]:
    """Serve replicas of one cache until the block ends; `started` of them run at first."""
    with contextlib.ExitStack() as stack:
        # Ports are taken before the documents name them, and handed on.
        sockets = [socket.create_server(("127.0.0.1", 0), backlog=4096) for _ in range(count)]
        ports = [int(one.getsockname()[1]) for one in sockets]
        documents = [document(origin, at, ports, more or {}, **frame) for at in range(count)]
        nodes = Fleet(documents, stack)
        for at, held in enumerate(sockets):
            with held:
                if started is None or at < started:
                    nodes.start(at, held)
        yield nodes
