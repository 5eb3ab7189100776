"""Say how a process of the data plane is kept in a plan, whatever its document says."""

from __future__ import annotations

from alongside.plan import shape

DRAIN_MARGIN_S = 5.0
"""What a data-plane process gets beyond its drain timeout, so that it ends by itself."""
PROBE = shape.Probe("admin", period_s=10.0, timeout_s=2.0)
"""Seldom, because the death of a process is told at once without looking."""
HOSTS = {"local": "127.0.0.1", "public": "0.0.0.0"}  # noqa: S104 - a user wrote `public`


def process(
    name: str, role: shape.Role, socket: shape.Socket, *, drain_timeout_ms: int
) -> shape.Process:
    """Return a node or router that listens at a socket of its own, or of its group."""
    grace_s = drain_timeout_ms / 1000 + DRAIN_MARGIN_S
    return shape.Process(name, role, sockets=(socket,), probe=PROBE, grace_s=grace_s)
