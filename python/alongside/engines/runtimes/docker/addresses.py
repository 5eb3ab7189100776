"""Give pods their addresses, out of a part of a project's network where the engine gives none.

So a pod keeps its address over all containers that hold it, one after the other.
"""

from __future__ import annotations

import ipaddress
from collections import deque
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.dockerd import answers

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX_MAX = 22
"""Of a network that is divided; a smaller one is the engine's alone."""
_RETRY_AFTER_S = 1.0


class Addresses:
    """The upper half of a network."""

    def __init__(self, network: ipaddress.IPv4Network, gateway: str) -> None:
        """Take the whole network, and this machine's address on it."""
        self.gateway = gateway
        self._network = network
        lower, upper = network.subnets()
        self._lower = lower
        self._fresh: Iterator[int] = iter(range(int(upper[0]), int(upper[-1])))
        self._returned: deque[str] = deque()
        self._doubtful: deque[str] = deque()
        """Somebody had them, and may have left."""

    @property
    def config(self) -> dict[str, str]:
        """What an engine is told, so that it gives addresses of the lower half alone."""
        return {
            "Subnet": str(self._network),
            "IPRange": str(self._lower),
            "Gateway": self.gateway,
        }

    def take(self) -> str:
        """Return an address that nobody has; those that were used last come again last.

        One that somebody had is given only where there is no other.

        Raises:
            errors.TemporaryError: all are used.
        """
        number = next(self._fresh, None)
        if number is not None:
            return str(ipaddress.IPv4Address(number))
        for again in (self._returned, self._doubtful):
            if again:
                return again.popleft()
        raise errors.TemporaryError(
            f"all addresses for pods in {self._network} are used; give the engine larger networks "
            "by `default-address-pools`",
            retry_after_s=_RETRY_AFTER_S,
        )

    def give_back(self, address: str) -> None:
        """Let another pod have an address."""
        self._returned.append(address)

    def set_aside(self, address: str) -> None:
        """Keep an address that somebody has until all others are used."""
        self._doubtful.append(address)


def of(network: answers.Json) -> Addresses | None:
    """Return the addresses for pods of a network; None where it is too small, or not IPv4.

    Args:
        network: as the engine tells of it.
    """
    for config in answers.records(answers.record(network, "IPAM").get("Config")):
        gateway = answers.text(config, "Gateway")
        try:
            found = ipaddress.ip_network(answers.text(config, "Subnet"))
        except ValueError:
            continue
        if gateway and found.version == 4 and found.prefixlen <= PREFIX_MAX:
            return Addresses(found, gateway)
    return None


def is_divided(network: answers.Json, wanted: Addresses) -> bool:
    """Return whether the engine gives addresses of the lower half alone."""
    told = answers.records(answers.record(network, "IPAM").get("Config"))
    return any(wanted.config.items() <= config.items() for config in told)
