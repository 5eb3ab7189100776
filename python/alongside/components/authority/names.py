"""Read the names that a certificate is for: hosts and addresses."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from alongside.base import errors, units

if TYPE_CHECKING:
    from collections.abc import Iterable

USUAL = ("localhost", "127.0.0.1", "::1")
"""What every certificate is for, besides what is asked for."""
NAMES_MAX = 100
HOST_BYTES_MAX = 253

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def read(texts: Iterable[str]) -> tuple[str, ...]:
    """Return hosts and addresses as certificates hold them, the usual ones last, none twice.

    Raises:
        errors.UsageError: every text that is neither, with what to write instead.
    """
    problems: list[str] = []
    found: list[str] = []
    for text in texts:
        try:
            found.append(_one(text))
        except errors.UsageError as error:
            problems += error.problems
    if len(found) > NAMES_MAX:
        problems.append(f"{len(found)} names are too many; write at most {NAMES_MAX}")
    if problems:
        raise errors.UsageError(*problems)
    return tuple(dict.fromkeys([*found, *USUAL]))


def address(name: str) -> Address | None:
    """Return the address that a name is; None where it is a host's."""
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def folder_of(name: str) -> str:
    """Return how a certificate is called that is for a name first: `*.example` as `_.example`."""
    return name.replace("*", "_").replace(":", "-").strip("-") or "address"


def check_folder(name: str) -> None:
    """Do nothing where a certificate may be called so.

    Raises:
        errors.UsageError: it may not.
    """
    if not _FOLDER.fullmatch(name):
        raise errors.UsageError(
            f"{units.shown(name)} is no name of a certificate; write at most 100 letters, digits, "
            "_, . or -, beginning with a letter or digit"
        )


def _one(text: str) -> str:
    plain = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    found = address(plain)
    if found is not None:
        if "%" in plain:
            raise errors.UsageError(f"{units.shown(text)} has a zone; leave it out")
        return str(found)
    host = text.lower()
    labels = host.removeprefix("*.").split(".")
    if len(host) <= HOST_BYTES_MAX and all(_LABEL.fullmatch(label) for label in labels):
        if all(part.isdigit() for part in labels):
            raise errors.UsageError(f"{units.shown(text)} is no address; check its numbers")
        return host
    raise errors.UsageError(f"{units.shown(text)} is no host's name; {_remedy(text)}")


def _remedy(text: str) -> str:
    if "://" in text or "/" in text:
        authority = (text.partition("://")[2] or text).partition("/")[0]
        return f"write the host alone, {units.shown(authority.partition(':')[0])}"
    host, colon, port = text.rpartition(":")
    if colon and port.isdigit():
        return f"write it without the port, {units.shown(host)}"
    if not text.isascii():
        try:
            return f"write it as DNS has it, {text.encode('idna').decode()}"
        except UnicodeError:
            pass
    if text.endswith(".") and text.strip("."):
        return f"write it without the last dot, {units.shown(text.rstrip('.'))}"
    return "write for example shop.localhost, *.shop.localhost or 192.168.0.7"
