"""Say what each pod's /etc/hosts holds: the pod itself, its aliases, and the project's names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside.engines.pods import dns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from alongside.engines.pods import runtime
    from alongside.plan import pods

_LOCAL = (
    "127.0.0.1 localhost",
    "::1 localhost ip6-localhost ip6-loopback",
    "fe00::0 ip6-localnet",
    "ff02::1 ip6-allnodes",
    "ff02::2 ip6-allrouters",
)


@dataclass(frozen=True, slots=True)
class Placed:
    """A pod and its address."""

    pod: pods.Pod
    address: str

    @property
    def hostname(self) -> str:
        """The name that the pod gives itself."""
        return dns.hostname(self.pod)


def hosts(
    placed: Placed,
    others: Iterable[Placed],
    services: Sequence[runtime.Served],
    addresses: Mapping[str, str],
) -> str:
    """Return the content of a pod's /etc/hosts.

    Args:
        placed: whose it is.
        others: all pods of the project, this one or not.
        services: all Services of the project.
        addresses: of those that are not headless, by name.
    """
    standing = list(others)
    lines = [*_LOCAL, f"{placed.address} {' '.join((*dns.of_pod(placed.pod), placed.hostname))}"]
    lines += [f"{address} {' '.join(known)}" for address, known in placed.pod.aliases]
    for one in sorted(standing, key=lambda one: one.pod.name):
        if one.pod.subdomain and one.pod.name != placed.pod.name:
            lines.append(f"{one.address} {' '.join(dns.of_pod(one.pod))}")
    for served in services:
        name = served.service.name
        found = _headless(served, standing) if served.service.is_headless else [addresses[name]]
        lines += [f"{address} {' '.join(dns.of_service(name))}" for address in found]
    return "\n".join(lines) + "\n"


def hosts_of_machine(
    placed: Placed, content: str, services: Sequence[runtime.Served], addresses: Mapping[str, str]
) -> str:
    """Return /etc/hosts of a pod on the host's network: the host's, aliases, what is published.

    Args:
        placed: whose it is.
        content: of the host's own.
        services: all Services of the project.
        addresses: where they are published: NAME:PORT to HOST:PORT.
    """
    lines = [content.rstrip("\n")]
    lines += [f"{address} {' '.join(known)}" for address, known in placed.pod.aliases]
    for served in services:
        name = served.service.name
        at = {addresses.get(f"{name}:{port.number}", "") for port in served.service.ports}
        same = {f"127.0.0.1:{port.number}" for port in served.service.ports}
        if at and at == same:
            lines.append(f"127.0.0.1 {' '.join(dns.of_service(name))}")
    return "\n".join(lines) + "\n"


def _headless(served: runtime.Served, standing: Sequence[Placed]) -> list[str]:
    """Return the addresses of a headless Service's pods: the ready ones where it has ports."""
    if served.service.ports:
        found = (one.rpartition(":")[0].strip("[]") for port in served.backends for one in port)
    else:
        found = (one.address for one in standing if one.pod.subdomain == served.service.name)
    return list(dict.fromkeys(found))
