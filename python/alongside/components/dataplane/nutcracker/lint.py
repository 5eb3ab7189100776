"""Say what is odd in a file that is right: traps of twemproxy's rules, and what has no effect.

Source:
    twemproxy's rules as docs/decisions/0012-twemproxy-placement.md has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside import native
from alongside.components.dataplane.nutcracker import ranges

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alongside.components.dataplane.nutcracker import reading

POINTS = 160
"""The points of a server's share on a ring."""
SIGNED_HASHES = frozenset({"one_at_a_time", "fnv1_64", "fnv1a_64", "fnv1_32", "fnv1a_32", "hsieh"})
"""Those that read a byte as a C `char`, which is signed on some processors."""

_SHOWN_MAX = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """What is odd, where, and what to do about it."""

    line: int
    what: str
    remedy: str
    is_quiet: bool = False
    """Whether it is of most files, and told only to who asks."""

    def text(self, file: str) -> str:
        """Return it as one line."""
        return f"{file}:{self.line}: {self.what}; {self.remedy}"


def findings(pools: Sequence[reading.Pool], *, is_signed: bool) -> list[Finding]:
    """Return what is odd in the pools of a file, by line.

    Args:
        pools: all of the file.
        is_signed: whether keys are placed as where a `char` is signed, as nobody said otherwise.
    """
    found = [one for pool in pools for look in _LOOKS for one in look(pool)]
    if is_signed:
        found += [one for pool in pools for one in _signs(pool)]
    return sorted(found, key=lambda one: one.line)


def _hash(pool: reading.Pool) -> Iterator[Finding]:
    if pool.hash == "crc32" and pool.distribution == "ketama" and len(pool.servers) > 1:
        yield Finding(
            pool.line_of("hash"),
            f"{pool.name}.hash: crc32 has 15 bits, which are all before the ring's first point: "
            "every key is on one server",
            "write crc32a, or distribution: modula; either moves the keys",
        )


def _order(pool: reading.Pool) -> Iterator[Finding]:
    names = [server.name for server in pool.servers]
    placed = sorted(names, key=lambda name: (len(name), name.encode()))
    if pool.distribution == "modula" and names != placed:
        yield Finding(
            pool.line_of("distribution"),
            f"{pool.name}.distribution: modula counts the servers by the length of their names, "
            f"then by name ({_some(placed)}), not as they stand here",
            "write them in that order, and name a new one so that it comes last; or take ketama",
        )


def _points(pool: reading.Pool) -> Iterator[Finding]:
    if pool.distribution != "ketama" or len(pool.servers) < 2:
        return
    servers = [(server.name, server.weight) for server in pool.servers]
    placed = native.TwemproxyPlacement(servers, "ketama", pool.hash, pool.hash_tag)
    points = placed.points()
    for server, count in zip(pool.servers, points, strict=True):
        if count == 0:
            yield Finding(
                server.line,
                f"{pool.name}.servers: {server.name} has so small a weight that it gets no point "
                "of the ring, and no key",
                "write a greater weight, or leave it out",
            )
    weights = {server.weight for server in pool.servers}
    if len(weights) == 1 and points[0] < POINTS:
        count = len(points)
        yield Finding(
            pool.line_of("servers"),
            f"{pool.name}.servers: by a rounding of twemproxy's {count} servers of one weight get "
            f"{points[0]} points each, not {POINTS}: more keys than need be move when one comes "
            "or goes",
            f"go from {count - 1} to {count + 1} in one step when you grow",
        )


def _signs(pool: reading.Pool) -> Iterator[Finding]:
    if pool.hash in SIGNED_HASHES and pool.distribution != "random" and len(pool.servers) > 1:
        yield Finding(
            pool.line_of("hash"),
            f"{pool.name}.hash: where twemproxy places a key that is not ASCII by {pool.hash} "
            "depends on the processor: x86 counts bytes from 128 as negative, ARM does not",
            "keys are placed as on x86, whatever this processor is; where twemproxy ran on ARM, "
            "give --char unsigned",
            is_quiet=True,
        )


def _clients(pool: reading.Pool) -> Iterator[Finding]:
    if pool.client_connections:
        taken = ranges.OF_DIRECTIVES["client_connections"].nearest(pool.client_connections)
        yield Finding(
            pool.line_of("client_connections"),
            f"{pool.name}.client_connections: twemproxy reads it and takes no notice; here it "
            "holds",
            f"see that {taken} connections are enough, or leave it out",
        )


def _ejection(pool: reading.Pool) -> Iterator[Finding]:
    # One connection and a limit of one is what somebody meant who wrote it.
    count = pool.server_connections
    if pool.auto_eject_hosts and 1 < count >= pool.server_failure_limit:
        yield Finding(
            pool.line_of("server_connections"),
            f"{pool.name}.server_connections: {pool.server_connections} connections close at once "
            f"when the network fails for a moment; {pool.server_failure_limit} are enough to eject",
            f"write server_failure_limit: {pool.server_connections + 1} or more",
        )


def _timeout(pool: reading.Pool) -> Iterator[Finding]:
    if pool.timeout == 0:
        yield Finding(
            pool.line_of("timeout"),
            f"{pool.name}.timeout: there is none, so who asks a server that hangs waits for ever",
            "write one in milliseconds, such as timeout: 400",
        )


def _effects(pool: reading.Pool) -> Iterator[Finding]:
    """Find what has no effect, or another than it says."""
    if pool.distribution == "random" and any(server.weight != 1 for server in pool.servers):
        yield Finding(
            pool.line_of("distribution"),
            f"{pool.name}.distribution: random takes no notice of weights",
            "write 1 for each, or take ketama or modula",
        )
    if pool.redis_db and not pool.redis:
        yield Finding(
            pool.line_of("redis_db"),
            f"{pool.name}.redis_db: has no effect without redis: true",
            "leave it out",
        )
    for directive, range_ in ranges.OF_DIRECTIVES.items():
        number = getattr(pool, directive)
        taken = range_.nearest(number)
        if taken != number and not (directive in ranges.ZERO_IS_NONE and number == 0):
            yield Finding(
                pool.line_of(directive),
                f"{pool.name}.{directive}: {number} is out of range, {taken} is taken",
                f"write {range_.least} to {range_.most}{range_.unit}",
            )


_LOOKS = (_hash, _order, _points, _clients, _ejection, _timeout, _effects)


def _some(names: list[str]) -> str:
    more = ", …" if len(names) > _SHOWN_MAX else ""
    return ", ".join(names[:_SHOWN_MAX]) + more


def of_stats(host: str, place: str) -> str:
    """Return the line for an address of figures that everybody reaches; empty where it is fine."""
    if host not in {"0.0.0.0", "::", "[::]"}:  # noqa: S104 - compared with, not listened on
        return ""
    return (
        f"{place}: {host} lets everybody read the figures, names of servers among them; "
        "write 127.0.0.1, or an address that only your collector reaches"
    )
