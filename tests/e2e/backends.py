"""Servers that a balancer passes connections on to, and documents that name them.

In:    what a server does with a connection; which servers a balancer has.
Out:   servers, in this process or in one of their own; documents of one balancer, `main`.
Not:   HTTP; the process that balances (plane.py).
Next:  test_tcp.py, test_tcp_backends.py.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests import ports
from tests.e2e import plane, upstream, wire

# A server of its own, for what ends by a signal: greets with its name, then sends back what comes.
ECHO = """
import socket, sys, threading
def talk(c):
    with c:
        c.sendall(sys.argv[1].encode())
        while data := c.recv(1 << 16):
            c.sendall(data)
s = socket.create_server(("127.0.0.1", 0), backlog=512)
print(s.getsockname()[1], flush=True)
while True:
    threading.Thread(target=talk, args=(s.accept()[0],), daemon=True).start()
"""


def greeting(name: bytes) -> upstream.Talk:
    """Return what says a name of one byte first, and then sends back what comes."""

    def talk(peer: upstream.Peer) -> None:
        peer.send(name)
        echo(peer)

    return talk


def echo(peer: upstream.Peer) -> None:
    """Send back what comes, to the client's end."""
    while peer.fill():
        peer.send(peer.take(len(peer.buffer)))


def document(
    backends: Mapping[str, str],
    *,
    generation: int = 1,
    address: str = "127.0.0.1:0",
    limits: Mapping[str, int] | None = None,
    **terms: object,
) -> plane.Json:
    """Return a document of one balancer with these backends, addresses by id."""
    listed = [{"id": name, "address": place} for name, place in backends.items()]
    return {
        "schema": 1,
        "epoch": 0,
        "generation": generation,
        "listeners": [{"name": "web", "address": address, "serves": "main"}],
        "tcp": [{"name": "main", "backends": listed, **terms}],
        "limits": {"drain_timeout_ms": 2000, **(limits or {})},
    }


@contextlib.contextmanager
def named(*names: str) -> Iterator[dict[str, upstream.Upstream]]:
    """Run servers that greet with their names and send back what comes."""
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(upstream.Upstream(greeting(name.encode()))) for name in names
        }


def places(servers: Mapping[str, upstream.Upstream]) -> dict[str, str]:
    """Return the servers' addresses by their names."""
    return {name: server.address for name, server in servers.items()}


@contextlib.contextmanager
def behind(
    talk: upstream.Talk, **terms: object
) -> Iterator[tuple[wire.Address, upstream.Upstream, plane.Plane]]:
    """Balance over one server that talks so; yield address, server and process."""
    with (
        upstream.Upstream(talk) as server,
        plane.running(document({"a": server.address}, **terms)) as process,  # type: ignore[arg-type]
    ):
        yield process.address, server, process


@contextlib.contextmanager
def processes(names: Sequence[str]) -> Iterator[dict[str, tuple[subprocess.Popen[str], str]]]:
    """Run servers in processes of their own; yield them with their addresses, by name."""
    found: dict[str, tuple[subprocess.Popen[str], str]] = {}
    try:
        for name in names:
            command = [sys.executable, "-ISc", ECHO, name]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            found[name] = (process, f"127.0.0.1:{int(process.stdout.readline())}")
        yield found
    finally:
        for process, _ in found.values():
            process.kill()
            process.communicate()


def resident_peak_bytes(process: plane.Plane) -> int:
    """Return the most that a process held in memory so far."""
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def closed_port() -> str:
    """Return an address of this machine that takes no connections for now."""
    return f"127.0.0.1:{ports.free_port()}"


def is_reset(client: wire.Wire) -> bool:
    """Wait for the end of a connection; return whether it was broken off."""
    try:
        while client.socket.recv(1 << 16):
            pass
    except ConnectionResetError:
        return True
    return False


def is_turned_away(address: wire.Address) -> bool:
    """Connect; return whether the connection is reset, maybe before it is known to be there."""
    try:
        with wire.Wire(address) as client:
            return is_reset(client)
    except ConnectionResetError:
        return True
