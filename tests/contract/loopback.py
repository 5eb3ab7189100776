"""Ports of this machine, and what answers there."""

from __future__ import annotations

import socket
import time
import urllib.error
import urllib.request


def free_port() -> int:
    """Return a port of loopback that nobody listened on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


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
