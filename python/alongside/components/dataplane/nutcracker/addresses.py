"""Read where a pool listens and where its servers are, as twemproxy reads it: from the right.

Source:
    conf_set_listen and conf_add_server of twemproxy 0.5.0, tried with the packaged program.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from dataclasses import dataclass

from alongside.base import errors, units

MEMCACHE_PORT = 11211
"""A server's name does without it, as libmemcached has it."""
PORT_MAX = 65_535
WEIGHT_MAX = 65_535
SOCKET_PATH_BYTES_MAX = 107
MODE_MAX = 0o777

_DIGITS = re.compile(r"[0-9]{1,20}")
_MODE = re.compile(r"[0-7]{1,4}")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,255}")
_IPV6 = re.compile(r"[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")
_NAME = re.compile(r"[!-~]{1,255}")

_LISTEN = "write HOST:PORT, such as 127.0.0.1:11211, or the path of a socket, such as /run/cache"
_SERVER = "write HOST:PORT:WEIGHT or /PATH:WEIGHT, and a name behind a blank if it shall have one"


@dataclass(frozen=True, slots=True)
class Listen:
    """Where clients connect: an address, or a UNIX socket."""

    address: str | None
    """`HOST:PORT`, an IPv6 host in brackets."""
    path: str | None
    mode: int | None
    """Of the socket; None where the file does not say."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server: its name, of which the ring is made, its target and its weight."""

    line: int
    name: str
    target: str
    """`HOST:PORT`, an IPv6 host in brackets, or `unix:` and a path."""
    weight: int


def listen(text: str) -> Listen:
    """Return what a `listen:` says.

    Raises:
        errors.UsageError: what is wrong with it, and the remedy.
    """
    if text.startswith("/"):
        return _socket(text)
    host, colon, port = text.rpartition(":")
    if not colon:
        remedy = f"write 127.0.0.1:{text}" if _DIGITS.fullmatch(text) else _LISTEN
        raise errors.UsageError(f"{units.shown(text)} is no HOST:PORT; {remedy}")
    if not host:
        raise errors.UsageError(
            f"{units.shown(text)} has no host; write 127.0.0.1{text} for this machine alone or "
            f"0.0.0.0{text} for everyone"  # noqa: S104 - told, not listened on
        )
    return Listen(f"{_host(host, text, _LISTEN)}:{_port(port, text)}", None, None)


def _socket(text: str) -> Listen:
    path, blank, mode = text.rpartition(" ")
    if not blank:
        path, mode = text, ""
    _check_path(path)
    if not mode:
        return Listen(None, path, None)
    if not _MODE.fullmatch(mode) or int(mode, 8) > MODE_MAX:
        raise errors.UsageError(
            f"{units.shown(mode)} is no mode of a file; write it in octal, such as 0660"
        )
    # twemproxy leaves the mode alone where it is 0.
    return Listen(None, path, int(mode, 8) or None)


def server(text: str, line: int) -> Server:
    """Return what a line of `servers:` says.

    Raises:
        errors.UsageError: what is wrong with it, and the remedy.
    """
    where, blank, name = text.rpartition(" ")
    if not blank:
        where, name = text, ""
    elif not name:
        raise errors.UsageError(f"{units.shown(text)} ends with a blank; leave that out")
    place, colon, weight = where.rpartition(":")
    if not colon:
        raise errors.UsageError(f"{units.shown(text)} has no weight; {_SERVER}")
    number = _weight(weight, text)
    if text.startswith("/"):
        _check_path(place)
        # The colon belongs to the name that twemproxy gives it.
        return Server(line, _name(name or f"{place}:"), f"unix:{place}", number)
    host, colon, port = place.rpartition(":")
    if not colon:
        hint = f"write {where}:1" if _DIGITS.fullmatch(weight) else _SERVER
        raise errors.UsageError(f"{units.shown(text)} has no port, or no weight; {hint}")
    if not host:
        raise errors.UsageError(f"{units.shown(text)} has no host; write 127.0.0.1{text}")
    at = _port(port, text)
    target = f"{_host(host, text, _SERVER)}:{at}"
    usual = host if at == MEMCACHE_PORT else f"{host}:{port}"
    return Server(line, _name(name or usual), target, number)


def is_name(text: str) -> bool:
    """Return whether a text may name a pool or a server: 1 to 255 visible ASCII characters."""
    return _NAME.fullmatch(text) is not None


def is_host(text: str) -> bool:
    """Return whether a text may be a host: a name, or an address, in brackets or not."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(bare))
    # What ends with a number is meant as an address.
    return _HOST.fullmatch(text) is not None and not text.rpartition(".")[2].isdigit()


def _name(text: str) -> str:
    if not is_name(text):
        raise errors.UsageError(
            f"{units.shown(text)} is no name; write 1 to 255 visible ASCII characters"
        )
    return text


def _weight(text: str, whole: str) -> int:
    if not _DIGITS.fullmatch(text):
        hint = "write a name without blanks, behind one blank" if " " in whole else _SERVER
        raise errors.UsageError(f"{units.shown(text)} is no weight; {hint}")
    if not 1 <= int(text) <= WEIGHT_MAX:
        raise errors.UsageError(f"the weight {text} is out of range; write 1 to {WEIGHT_MAX}")
    return int(text)


def _port(text: str, whole: str) -> int:
    if not _DIGITS.fullmatch(text) or not 1 <= int(text) <= PORT_MAX:
        raise errors.UsageError(
            f"{units.shown(whole)} has no port from 1 to {PORT_MAX}; write it behind the host"
        )
    return int(text)


def _host(text: str, whole: str, remedy: str) -> str:
    """Return a host as addresses have it: what has colons is an IPv6 address, put in brackets."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if _IPV6.fullmatch(bare):
        return f"[{bare}]"
    if not _HOST.fullmatch(text):
        raise errors.UsageError(f"{units.shown(whole)} has no valid host; {remedy}")
    return text


def _check_path(path: str) -> None:
    if len(path.encode()) > SOCKET_PATH_BYTES_MAX or "\0" in path or len(path) < 2:
        raise errors.UsageError(
            f"{units.shown(path)} is no path of a socket; write one of 2 to "
            f"{SOCKET_PATH_BYTES_MAX} bytes"
        )
