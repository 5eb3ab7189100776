"""Find where a program listens: the port that it was given, else its only one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Found:
    """An address, or the candidates among which nobody can choose; neither where there is none."""

    address: str = ""
    candidates: tuple[str, ...] = ()


def chosen(listens: Sequence[str], *, given: int, wanted: int | None = None) -> Found:
    """Return which of a program's addresses is meant.

    Args:
        listens: the addresses HOST:PORT where it listens now.
        given: the port that it was told by `PORT`; who listens there has been told so.
        wanted: the port that the user named; no other one is taken.
    """
    ports = {one: int(one.rpartition(":")[2]) for one in listens}
    if wanted is not None:
        named = [one for one in listens if ports[one] == wanted]
        return Found(_nearest(named)) if named else Found()
    told = [one for one in listens if ports[one] == given]
    if told:
        return Found(_nearest(told))
    if len(set(ports.values())) == 1:  # one port, maybe of IPv4 and of IPv6
        return Found(_nearest(listens))
    return Found(candidates=tuple(sorted(listens)))


def _nearest(addresses: Sequence[str]) -> str:
    """Return an IPv4 address where there is one."""
    return min(addresses, key=lambda one: (one.startswith("["), one))
