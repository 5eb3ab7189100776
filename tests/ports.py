"""Ports of this machine, and what answers there."""

from __future__ import annotations

import contextlib
import random
import socket
import time
import urllib.error
import urllib.request


def free_port() -> int:
    """Return a port that nobody has just now on any address, and that no client is given."""
    ports = list(range(20_000, 32_000))
    random.shuffle(ports)
    for port in ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            return port
    raise AssertionError("no port is free")


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
