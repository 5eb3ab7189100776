"""Bring the numbers of a file into the ranges that the data plane has.

twemproxy takes any number; where a file has one that means nothing more than the nearest that we
have, that one is taken, and `lint` says so.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Range:
    """The range of a directive's number, both ends inclusive."""

    least: int
    most: int
    unit: str = ""

    def nearest(self, number: int) -> int:
        """Return the number, or the end of the range that is nearest."""
        return min(max(number, self.least), self.most)


HOUR_MS = 3_600_000

OF_DIRECTIVES = {
    "timeout": Range(1, HOUR_MS, " ms"),
    "server_connections": Range(1, 64),
    "server_retry_timeout": Range(10, HOUR_MS, " ms"),
    "server_failure_limit": Range(1, 1000),
    "client_connections": Range(1, 1_048_576),
}
"""By directive."""

ZERO_IS_NONE = frozenset({"timeout", "client_connections"})
"""Directives of which 0 is none, and stays so."""
