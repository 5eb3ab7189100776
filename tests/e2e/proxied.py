"""Servers of memcache or Redis behind one of two proxies: ours, or the packaged twemproxy.

In:    which of the two; servers by name.
Out:   the address that clients are given; what a program of theirs printed.
Not:   the clients (test_ambassador_clients.py, test_ambassador_programs.py).
Next:  a difference between the two is ours to explain: docs/ambassador.md.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests import ports
from tests.agreement import nutcracker
from tests.e2e import memcaches, plane, wire

OURS = "ours"
THEIRS = "twemproxy"
BOTH = (OURS, pytest.param(THEIRS, marks=pytest.mark.needs("nutcracker")))
PROGRAM_S = 120.0
"""Time that a program has: it is told how much to do, and a machine may be busy."""

_STARTS: dict[str, Callable[[], memcaches.Server]] = {
    "memcache": lambda: memcaches.memcached("-I", "32m", "-m", "256"),
    "redis": memcaches.redis,
}


@contextlib.contextmanager
def serving(proxy: str, protocol: str, *, count: int = 3, **pool: object) -> Iterator[wire.Address]:
    """Run servers behind a proxy; yield its address.

    Args:
        proxy: `OURS` or `THEIRS`.
        protocol: `memcache` or `redis`.
        count: of servers, 1 to 3.
        **pool: more fields of our pool.
    """
    with contextlib.ExitStack() as stack:
        starts = _STARTS[protocol]
        servers = {name: stack.enter_context(starts()) for name in memcaches.NAMES[:count]}
        if proxy == OURS:
            contents = memcaches.document(memcaches.places(servers), protocol=protocol)
            listed = contents["pools"]
            assert isinstance(listed, list)
            listed[0] |= pool
            yield stack.enter_context(plane.running(contents)).address
        else:
            yield stack.enter_context(twemproxy(protocol, memcaches.places(servers)))


@contextlib.contextmanager
def twemproxy(protocol: str, servers: dict[str, str]) -> Iterator[wire.Address]:
    """Run the packaged twemproxy before servers; yield its address."""
    port = ports.free_port()
    lines = [
        "main:",
        f"  listen: 127.0.0.1:{port}",
        "  hash: fnv1a_64",
        "  distribution: ketama",
        f"  redis: {str(protocol == 'redis').lower()}",
        "  servers:",
        *(f"   - {address}:1 {name}" for name, address in servers.items()),
    ]
    with tempfile.TemporaryDirectory(prefix="twemproxy") as name:
        folder = Path(name)
        file = folder / "nutcracker.yml"
        file.write_text("\n".join(lines) + "\n")
        stats = ["-a", "127.0.0.1", "-s", str(ports.free_port())]
        files = ["-c", str(file), "-o", str(folder / "log")]
        with memcaches.Server([nutcracker.COMMAND, *stats, *files], f"127.0.0.1:{port}"):
            yield "127.0.0.1", port


def run(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program to its end, whatever its exit code; its stdout and stderr are one."""
    found = shutil.which(words[0])
    assert found, f"{words[0]} is nowhere"
    return subprocess.run(
        [found, *words[1:]],
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PROGRAM_S,
        check=False,
    )


def said(*words: str, given: str = "") -> str:
    """Return what a program printed that must end well."""
    ran = run(*words, given=given)
    assert ran.returncode == 0, f"{words}: {ran.returncode}: {ran.stdout}"
    return ran.stdout
