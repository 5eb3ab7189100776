"""Ports of this machine, and what answers there."""

from __future__ import annotations

import contextlib
import functools
import random
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

FIRST = 20_000
"""Below it are the ports that programs have by custom."""
_CLIENTS = Path("/proc/sys/net/ipv4/ip_local_port_range")


@functools.cache
def _untaken() -> Iterator[int]:
    """Return those that no client is given, by chance, each once in this process."""
    ports = list(range(FIRST, max(int(_CLIENTS.read_text().split()[0]), FIRST + 1_000)))
    random.shuffle(ports)
    return iter(ports)


def free_port() -> int:
    """Return a port that nobody has just now on any address, and that no client is given."""
    for port in _untaken():
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            return port
    raise AssertionError("no port is free")


def free_ports(count: int) -> list[int]:
    """Return as many of them."""
    return [free_port() for _ in range(count)]


def get(url: str, *, within_s: float = 10.0) -> bytes:
    """Return the body of a URL, asking again while nobody listens there yet.

    Raises:
        TimeoutError: nobody listened in time.
    """
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=within_s) as answer:  # noqa: S310 - http
                body: bytes = answer.read()
                return body
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise
        time.sleep(0.02)
    raise TimeoutError(f"{url}: nobody listens after {within_s} s")
