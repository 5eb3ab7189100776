"""See who listens on a TCP port of this machine, as far as /proc lets us."""

from __future__ import annotations

import contextlib
import ipaddress
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_PROC = Path("/proc")
_LISTEN_STATE = "0A"
_WORD_DIGITS = 8
"""Of the hexadecimal words in which /proc shows an address, each in the machine's byte order."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket; `inode` is how /proc and `fstat` name it, `user` who opened it."""

    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    port: int
    inode: int
    user: int = 0


def overlapping(host: str, port: int) -> frozenset[int]:
    """Return the inodes of the listeners that keep an IPv4 address from being bound."""
    wanted = ipaddress.IPv4Address(host)
    found = [one for one in _all() if one.port == port]
    exact = [
        one.inode
        for one in found
        if isinstance(one.address, ipaddress.IPv4Address)
        and (one.address == wanted or one.address.is_unspecified or wanted.is_unspecified)
    ]
    if exact:
        return frozenset(exact)
    # One for all of IPv6 may be for IPv4 as well; only where nothing else does it explain it.
    return frozenset(one.inode for one in found if one.address.is_unspecified)


def of(pids: Collection[int]) -> list[Listener]:
    """Return the listening sockets that are open in any of these processes."""
    held: set[str] = set()
    for pid in pids:
        held |= _open_files(_PROC / str(pid))
    return [one for one in _all() if f"socket:[{one.inode}]" in held] if held else []


def held() -> list[tuple[Listener, frozenset[int]]]:
    """Return every listening socket with the processes that hold it, as far as we may see them."""
    everyone = list(_all())
    holders = _holders([one.inode for one in everyone])
    return [(one, frozenset(holders.get(one.inode, ()))) for one in everyone]


def addresses() -> frozenset[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Return the addresses at which someone of this machine listens."""
    return frozenset(one.address for one in _all())


def are_of(inodes: Collection[int], pids: Collection[int]) -> bool:
    """Return whether sockets, at least one, are open in these processes and in no other."""
    if not inodes:
        return False
    holders = _holders(inodes)
    return set(holders) == set(inodes) and all(
        holding.issubset(pids) for holding in holders.values()
    )


def holder(port: int) -> str | None:
    """Return `NAME (pid N)` of a process that listens on a port, as far as we may see it."""
    inodes = {one.inode for one in _all() if one.port == port}
    pids = sorted(pid for holding in _holders(inodes).values() for pid in holding)
    for pid in pids:
        with contextlib.suppress(OSError):
            return f"{(_PROC / str(pid) / 'comm').read_text().strip()} (pid {pid})"
    return None


def _holders(inodes: Collection[int]) -> dict[int, set[int]]:
    """Return the processes that hold each socket; one that nobody visible holds is left out."""
    links = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[int, set[int]] = {}
    if not links:
        return found
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            for link in links.keys() & _open_files(folder):
                found.setdefault(links[link], set()).add(int(folder.name))
    return found


def _open_files(process: Path) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):  # it ended, or belongs to another user
        for link in list((process / "fd").iterdir()):
            with contextlib.suppress(OSError):  # closed meanwhile
                found.add(link.readlink().name)
    return found


def _all() -> Iterator[Listener]:
    for table in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            if columns[3] == _LISTEN_STATE:
                digits, _, port = columns[1].rpartition(":")
                yield Listener(
                    _address(digits), int(port, 16), int(columns[9]), user=int(columns[7])
                )


def _address(digits: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    starts = range(0, len(digits), _WORD_DIGITS)
    words = [int(digits[at : at + _WORD_DIGITS], 16) for at in starts]
    packed = b"".join(word.to_bytes(_WORD_DIGITS // 2, sys.byteorder) for word in words)
    address = ipaddress.ip_address(packed)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
