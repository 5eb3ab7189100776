"""Choose addresses: a range for a project that the host does not use, and those of pods in it."""

from __future__ import annotations

import hashlib
import ipaddress
import struct
from dataclasses import dataclass
from pathlib import Path

from alongside.base import errors

ROUTES = Path("/proc/net/route")
_SERVICES_FROM = 128
"""The third number of the first address of Services; below are pods'."""
_PODS = (_SERVICES_FROM - 1) * 256
_SERVICES = (256 - _SERVICES_FROM) * 256 - 1
"""Without the last one, which is everybody's."""


def host_networks(routes: str) -> list[ipaddress.IPv4Network]:
    """Return the networks that the host knows, but for the default route, from /proc/net/route."""
    found = []
    for line in routes.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8 or fields[7] == "00000000":
            continue
        address, mask = (
            ipaddress.IPv4Address(struct.pack("=I", int(fields[at], 16))) for at in (1, 7)
        )
        found.append(ipaddress.IPv4Network(f"{address}/{mask}", strict=False))
    return found


@dataclass(frozen=True, slots=True)
class Range:
    """A project's addresses: 10.X.0.0/16."""

    second: int
    """X."""

    @property
    def bridge(self) -> str:
        """The hub's own address."""
        return f"10.{self.second}.0.1"

    @property
    def gateway(self) -> str:
        """Where the way out begins."""
        return f"10.{self.second}.0.2"

    @property
    def resolver(self) -> str:
        """Who answers questions for names on the way out."""
        return f"10.{self.second}.0.3"

    @property
    def network(self) -> str:
        """All of it."""
        return f"10.{self.second}.0.0/16"

    def pod(self, number: int) -> str:
        """Return the address of a number, from 0; numbers begin again after the last address."""
        at = 256 + number % _PODS
        return f"10.{self.second}.{at // 256}.{at % 256}"

    def service(self, name: str, taken: set[str]) -> str:
        """Return a Service's address, the same each time unless another one has it."""
        digest = hashlib.sha256(name.encode()).digest()
        start = int.from_bytes(digest[:4], "big")
        for step in range(_SERVICES):
            at = _SERVICES_FROM * 256 + (start + step) % _SERVICES
            address = f"10.{self.second}.{at // 256}.{at % 256}"
            if address not in taken:
                return address
        raise errors.PermanentError("a project has too many Services; use several projects")


def choose(project: str, routes: str) -> Range:
    """Return a project's range, the same each time unless the host uses it.

    Raises:
        errors.PermanentError: the host uses all of 10.0.0.0/8.
    """
    start = hashlib.sha256(project.encode()).digest()[0]
    used = host_networks(routes)
    for step in range(256):
        candidate = Range((start + step) % 256)
        network = ipaddress.IPv4Network(candidate.network)
        if not any(network.overlaps(one) for one in used):
            return candidate
    raise errors.PermanentError(
        "the routes of this machine use all of 10.0.0.0/8, where pods get their addresses; "
        "take a route away, or use --engine docker"
    )
