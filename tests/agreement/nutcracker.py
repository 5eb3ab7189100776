"""Run the packaged twemproxy over fake servers, and ask it where it sends keys."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests import ports

if TYPE_CHECKING:
    from tests.agreement import backends

COMMAND = "/usr/sbin/nutcracker"
"""By its path: a program of ours has the same name."""
DEADLINE_S = 30.0
BATCH = 2000


@dataclass(frozen=True, slots=True)
class Server:
    """One line of `servers`: the index of the fake server behind it, a weight, perhaps a name."""

    index: int
    weight: int = 1
    name: str = ""

    def line(self, addresses: Sequence[str]) -> str:
        """Return the line."""
        return f"   - {addresses[self.index]}:{self.weight} {self.name}".rstrip()

    def known_as(self, addresses: Sequence[str]) -> str:
        """Return what stands on the ring: of a nameless path the colon before the weight too."""
        address = addresses[self.index]
        return self.name or (f"{address}:" if address.startswith("/") else address)


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool of the file; it listens on a UNIX socket of its name."""

    name: str
    hash: str
    distribution: str
    servers: Sequence[Server]
    tag: str | None = None
    ejects: bool = False

    def section(self, folder: Path, addresses: Sequence[str]) -> str:
        """Return its part of `nutcracker.yaml`; who is ejected stays away as long as we look."""
        lines = [
            f"{self.name}:",
            f"  listen: {folder / self.name} 0600",
            f"  hash: {self.hash}",
            f"  distribution: {self.distribution}",
            *([f'  hash_tag: "{self.tag}"'] if self.tag else []),
            f"  auto_eject_hosts: {str(self.ejects).lower()}",
            "  server_failure_limit: 1",
            "  server_retry_timeout: 3600000",
            "  preconnect: true",
            "  servers:",
            *(server.line(addresses) for server in self.servers),
        ]
        return "\n".join(lines) + "\n"


class Nutcracker:
    """A running twemproxy, with the fake servers that tell where it went."""

    def __init__(self, folder: Path, servers: backends.Backends) -> None:
        self._folder = folder
        self.servers = servers

    def ask(self, pool: str, requests: Sequence[bytes], answer: bytes) -> list[tuple[int, bytes]]:
        """Return what the servers saw, as (index of the fake server, line), in no order.

        Args:
            pool: its name.
            requests: whole requests.
            answer: what every one of them must be answered with.
        """
        self.servers.take()
        with self.connected(pool) as link:
            for start in range(0, len(requests), BATCH):
                batch = requests[start : start + BATCH]
                link.sendall(b"".join(batch))
                expected = answer * len(batch)
                received = read(link, len(expected))
                if received != expected:
                    raise ValueError(f"not the answers of fake servers: {received[:200]!r}")
        return self.servers.take()

    def chosen(self, pool: Pool, keys: Sequence[bytes]) -> list[int]:
        """Return the place in the pool's list of the server that was asked for each key.

        Args:
            pool: one of the file.
            keys: all different.
        """
        place = {server.index: place for place, server in enumerate(pool.servers)}
        seen = self.ask(pool.name, [b"get %b\r\n" % key for key in keys], b"END\r\n")
        found = {line[4:]: place[index] for index, line in seen}
        if len(seen) != len(keys):
            raise ValueError(f"{len(keys)} keys were asked for, and {len(seen)} seen")
        return [found[key] for key in keys]

    def one(self, pool: str, request: bytes) -> bytes:
        """Return the first bytes of the answer to one request."""
        with self.connected(pool) as link:
            link.sendall(request)
            return link.recv(1 << 16)

    @contextlib.contextmanager
    def connected(self, pool: str) -> Iterator[socket.socket]:
        """Connect to a pool."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(DEADLINE_S)
            link.connect(str(self._folder / pool))
            yield link


def read(link: socket.socket, count: int) -> bytes:
    """Return so many bytes, fewer if the other side closes."""
    pieces: list[bytes] = []
    while count > 0 and (piece := link.recv(1 << 16)):
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


@contextlib.contextmanager
def running(
    folder: Path, servers: backends.Backends, pools: Sequence[Pool]
) -> Iterator[Nutcracker]:
    """Run one twemproxy with all the pools, until the block ends.

    Args:
        folder: an empty one with a short path, for its files and sockets.
        servers: those that the pools' servers are indexes of.
        pools: named differently.
    """
    file = folder / "nutcracker.yml"
    file.write_text("".join(pool.section(folder, servers.addresses) for pool in pools))
    stats = ["-a", "127.0.0.1", "-s", str(ports.free_port())]
    files = ["-c", str(file), "-p", str(folder / "pid"), "-o", str(folder / "log")]
    process = subprocess.Popen([COMMAND, *stats, *files], stdin=subprocess.DEVNULL)
    try:
        live = Nutcracker(folder, servers)
        wait_until_it_listens(process, live, pools[-1].name, folder / "log")
        yield live
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def wait_until_it_listens(
    process: subprocess.Popen[bytes], live: Nutcracker, pool: str, log: Path
) -> None:
    """Return when a pool takes a connection; raise with twemproxy's words if it ends or is late."""
    deadline = time.monotonic() + DEADLINE_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), live.connected(pool):
            return
        time.sleep(0.02)
    raise RuntimeError(f"nutcracker does not listen: {log.read_text()[-2000:]}")
