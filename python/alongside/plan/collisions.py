"""Find what cannot share an address where all pods are on this machine's own network."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from alongside.resources import problems

EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared
_ROOM = "add --engine namespaces or docker, where each pod has a network of its own"


@dataclass(frozen=True, slots=True)
class Claim:
    """An address that something has to have for itself."""

    host: str
    port: int
    owner: str
    """The resource, as `Deployment/web`."""
    unit: str
    """The pod or process; its own claims do not collide with each other."""
    place: problems.Problem
    """Where a user wrote the port; without a message."""
    is_pod: bool = False
    is_fixed: bool = False
    """Of this machine whatever runs the pods: a hostPort, a nodePort, one of its own network."""

    def meets(self, other: Claim) -> bool:
        """Return whether one address is in both claims."""
        if self.port != other.port:
            return False
        hosts = {self.host, other.host}
        return len(hosts) == 1 or bool(hosts & EVERYWHERE)


def find(claims: Iterable[Claim]) -> list[problems.Problem]:
    """Return a problem for each claim that meets an earlier one; pods of a workload have one."""
    by_port: defaultdict[int, list[Claim]] = defaultdict(list)
    for claim in claims:
        by_port[claim.port].append(claim)
    found: list[problems.Problem] = []
    for same in by_port.values():
        found += _of_port(same)
    return list(dict.fromkeys(found))


def _of_port(claims: Sequence[Claim]) -> list[problems.Problem]:
    found: list[problems.Problem] = []
    for at, claim in enumerate(claims):
        for other in claims[:at]:
            if claim.unit == other.unit or not claim.meets(other):
                continue
            if claim.owner == other.owner:
                found.append(_of_workload(claim, claims))
            else:
                found.append(_of_two(claim, other))
            break
    return found


def _of_workload(claim: Claim, claims: Sequence[Claim]) -> problems.Problem:
    """Return the one problem of pods that come from one template."""
    units = list(dict.fromkeys(one.unit for one in claims if one.owner == claim.owner))
    more = f" and {len(units) - 2} more" if len(units) > 2 else ""
    remedy = "write replicas: 1" if claim.is_fixed else f"{_ROOM}, or write replicas: 1"
    message = (
        f"port {claim.port} of {_shown(claim.host)} is needed by each of its pods, {units[0]}, "
        f"{units[1]}{more}; {remedy}"
    )
    return replace(claim.place, message=message)


def _of_two(claim: Claim, other: Claim) -> problems.Problem:
    has_room = any(one.is_pod and not one.is_fixed for one in (claim, other))
    has_place = any(one.is_pod or one.is_fixed for one in (claim, other))
    remedy = f", or {_ROOM}" if has_room else ""
    where = f" ({other.place.file}:{other.place.line})" if has_place else ""
    message = (
        f"port {claim.port} of this machine is also used by {other.owner}{where}; "
        f"give one of the two another port{remedy}"
    )
    return replace(claim.place, message=message)


def _shown(host: str) -> str:
    return "this machine" if host in EVERYWHERE else host
