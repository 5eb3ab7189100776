"""Read the text of one value by its kind; a wrong one is answered with what to write instead.

Every reader takes the text and its parameter, returns the value, and raises `UsageError` without
naming the place: `resolve` adds the flag or variable it came from.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from alongside.base import errors, nearest, units
from alongside.contract import promise

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT_BYTES_MAX = 8192
"""Longer values of any kind are refused before they are looked at."""
WEIGHT_MAX = 65_535

_LONG = "bytes long"
_BELLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""What no text holds: all control characters but tabs and the ends of lines."""
_FOREIGN_BOOLEANS = {"1": "true", "0": "false"}

_WHOLE = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?")
_HOST_NAME = re.compile(r"[A-Za-z0-9._-]{1,255}")
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_DOTTED = re.compile(r"[0-9.]+")
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]{2,45})\]")
_NODE_ID = re.compile(r"[!-~]{1,255}")


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A node of a router, given as `ID=HOST:PORT` or `ID=HOST:PORT:WEIGHT`."""

    id: str
    address: str
    weight: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Replica:
    """A further node of a router's shard, given as `SHARD/ID=HOST:PORT`."""

    shard: str
    id: str
    address: str


Value = str | int | float | bool | Node | Replica
"""Durations are float seconds, sizes int bytes, everything else as its kind's name says."""


def read(text: str, parameter: promise.Parameter) -> Value:
    """Return the value that a text means for a parameter, within its range.

    Raises:
        errors.UsageError: the text is not of the kind, or out of range.
    """
    if text == "":
        raise errors.UsageError(f"is empty; write for example {parameter.example}")
    _check_length(text, parameter)
    return _READERS[parameter.kind](text, parameter)


def _check_length(text: str, parameter: promise.Parameter) -> None:
    if len(text.encode("utf-8", "surrogateescape")) > TEXT_BYTES_MAX:
        raise errors.UsageError(
            f"{_told(text)} is longer than {TEXT_BYTES_MAX} bytes; "
            f"write for example {parameter.example}"
        )


def read_foreign(text: str, parameter: promise.Parameter) -> Value:
    """Return the same for a program that is not ours, which reads the text by itself.

    It may have more than we take of a URL, a text and a boolean: users, passwords and paths, line
    breaks, and `1` and `0`. Such a URL is returned as it was given.

    Raises:
        errors.UsageError: the text is not of the kind, or out of range.
    """
    _check_length(text, parameter)
    match parameter.kind:
        case promise.Kind.BOOLEAN:
            return read(_FOREIGN_BOOLEANS.get(text, text), parameter)
        case promise.Kind.TEXT if text and not _BELLS.search(text):
            # What else it holds is the program's affair; how long it is, the contract's.
            _check_range(len(text.encode("utf-8", "surrogateescape")), text, parameter, _LONG)
            return text
        case promise.Kind.URL:
            return _foreign_url(text, parameter)
        case _:
            return read(text, parameter)


def _foreign_url(text: str, parameter: promise.Parameter) -> str:
    scheme, _, host, beyond = _url_parts(text)
    if not text.isprintable() or " " in text:
        raise errors.UsageError(
            f"holds blanks or control characters; write for example {parameter.example}"
        )
    try:
        plain = read(scheme + host, parameter)
    except errors.UsageError:
        if "@" in beyond:
            # What was read as the host may be a name and the first part of a password.
            raise errors.UsageError(
                "is no URL up to its first / ? or #, where its host and port should end; in a "
                "password write them as %2F %3F %23"
            ) from None
        raise
    return str(plain) if text == scheme + host else text


def _url_parts(text: str) -> tuple[str, str, str, str]:
    """Return a URL's scheme with `://`, name and password with `@`, host and port, and the rest."""
    scheme, separator, rest = text.partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    user, at, host = authority.rpartition("@")
    return scheme + separator, user + at, host, rest[len(authority) :]


def shown(value: Value, parameter: promise.Parameter) -> str:
    """Return a value as a user would write it, with its unit; of a URL no name and password."""
    match value:
        case str() if parameter.kind is promise.Kind.URL:
            scheme, user, host, beyond = _url_parts(value)
            return f"{scheme}{'***@' if len(user) > 1 else user}{host}{beyond}"
        case bool():
            return "true" if value else "false"
        case Node():
            weight = "" if value.weight == 1 else f":{value.weight}"
            return f"{value.id}={value.address}{weight}"
        case Replica():
            return f"{value.shard}/{value.id}={value.address}"
        case int() | float():
            return _number_shown(value, parameter)
        case _:
            return value


def _number_shown(value: float, parameter: promise.Parameter) -> str:
    match parameter.kind:
        case promise.Kind.DURATION:
            return units.format_duration(value)
        case promise.Kind.SIZE:
            return units.format_size(int(value))
        case promise.Kind.NUMBER:
            return f"{value:.15f}".rstrip("0").rstrip(".") + parameter.unit
        case _:
            return f"{value}{parameter.unit}"


def _told(text: str) -> str:
    """Return a value as a mistake shows it: a name and password before an `@` are left out."""
    before, _, after = text.rpartition("@")
    return units.shown(f"***@{after}" if before else text)


def address(text: str, *, port_minimum: int = 1) -> str:
    """Return a `HOST:PORT` as given: a name, an IPv4 address, or an IPv6 one in brackets.

    Raises:
        errors.UsageError: what is wrong with it and what to write instead.
    """
    host, colon, port = text.rpartition(":")
    if not colon or (_WHOLE.fullmatch(text) and not host):
        remedy = f"127.0.0.1:{text}" if _WHOLE.fullmatch(text) else f"{text}:8080"
        raise errors.UsageError(f"{_told(text)} is not HOST:PORT; write {_told(remedy)}")
    if not _WHOLE.fullmatch(port) or not port_minimum <= int(port) <= 65_535:
        raise errors.UsageError(
            f"{_told(text)} has no valid port; write a number from {port_minimum} to 65535"
        )
    if host == "":
        raise errors.UsageError(
            f"{_told(text)} has no host; write 127.0.0.1:{port} for this machine alone "
            f"or 0.0.0.0:{port} for everyone"
        )
    _check_host(text, host, port)
    return text


def _check_host(text: str, host: str, port: str) -> None:
    bracketed = _BRACKETED.fullmatch(host)
    if ":" in host and not bracketed:
        raise errors.UsageError(
            f"{_told(text)} is not HOST:PORT; an IPv6 address stands in brackets, "
            f"{_told(f'[{host}]:{port}')}"
        )
    if bracketed:
        is_host = _network(bracketed[1], strict=True) is not None and ":" in host
    elif _DOTTED.fullmatch(host):
        is_host = _IPV4.fullmatch(host) is not None
    else:
        is_host = _HOST_NAME.fullmatch(host) is not None
    if not is_host:
        raise errors.UsageError(
            f"{_told(text)} has no valid host; write a name or an address, "
            "such as 127.0.0.1:8080 or [::1]:8080"
        )


def _network(text: str, *, strict: bool) -> str | None:
    # Late, because most commands name IPv4 addresses alone.
    import ipaddress  # noqa: PLC0415

    try:
        return str(ipaddress.ip_network(text, strict=strict))
    except ValueError:
        return None


def _text(text: str, parameter: promise.Parameter) -> Value:
    if not text.isprintable():
        raise errors.UsageError(f"{_told(text)} holds control characters; leave them out")
    _check_range(len(text.encode()), text, parameter, _LONG)
    return text


def _integer(text: str, parameter: promise.Parameter) -> Value:
    if not _WHOLE.fullmatch(text):
        raise errors.UsageError(
            f"{_told(text)} is not a whole number; write for example {parameter.example}"
        )
    _check_range(int(text), text, parameter)
    return int(text)


def _number(text: str, parameter: promise.Parameter) -> Value:
    if not _NUMBER.fullmatch(text):
        raise errors.UsageError(
            f"{_told(text)} is not a number; write for example {parameter.example}"
        )
    _check_range(float(text), text, parameter)
    return float(text)


def _boolean(text: str, _: promise.Parameter) -> Value:
    if text not in {"true", "false"}:
        raise errors.UsageError(f"{_told(text)} is neither true nor false; write one of them")
    return text == "true"


def _duration(text: str, parameter: promise.Parameter) -> Value:
    zero_allowed = parameter.minimum in {"0", "0s", "0ms"}
    text = _with_unit(text, parameter)
    duration_s = units.parse_duration_s(text, zero_allowed=zero_allowed)
    if abs(duration_s * 1000 - round(duration_s * 1000)) > 1e-6:
        raise errors.UsageError(f"{_told(text)} is finer than 1ms; write whole milliseconds")
    _check_range(duration_s, text, parameter)
    return duration_s


def _size(text: str, parameter: promise.Parameter) -> Value:
    text = _with_unit(text, parameter)
    size_bytes = units.parse_size_bytes(text)
    _check_range(size_bytes, text, parameter)
    return size_bytes


def _with_unit(text: str, parameter: promise.Parameter) -> str:
    """Return a bare number with the unit that it has under this name, if it has one."""
    return text + parameter.unit if parameter.unit and _NUMBER.fullmatch(text) else text


def _address(text: str, parameter: promise.Parameter) -> Value:
    return address(text, port_minimum=int(parameter.minimum or "1"))


def _port(text: str, parameter: promise.Parameter) -> Value:
    least = int(parameter.minimum or "1")
    if not _WHOLE.fullmatch(text) or not least <= int(text) <= 65_535:
        raise errors.UsageError(
            f"{_told(text)} is not a port; write a number from {least} to 65535"
        )
    return int(text)


def _url(text: str, parameter: promise.Parameter) -> Value:
    if "@" in text:  # asked first: what stands before it may be a password, and is never shown
        raise errors.UsageError(f"holds a user name; leave it out, write {parameter.example}")
    schemes = parameter.choices or ("http", "https")
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in schemes:
        allowed = " or ".join(f"{scheme}://" for scheme in schemes)
        raise errors.UsageError(
            f"{_told(text)} does not begin with {allowed}; write {parameter.example}"
        )
    authority, _, path = rest.partition("/")
    if path or "?" in authority or "#" in authority:
        raise errors.UsageError(
            f"{_told(text)} has a path; write only the host and port, such as {parameter.example}"
        )
    has_port = ":" in authority.rpartition("]")[2]
    usual_port = "443" if scheme == "https" else "80"
    return f"{scheme}://{address(authority if has_port else f'{authority}:{usual_port}')}"


def _path(text: str, parameter: promise.Parameter) -> Value:
    if "\0" in text:
        raise errors.UsageError(f"{_told(text)} holds a NUL; leave it out")
    _check_range(len(text.encode("utf-8", "surrogateescape")), text, parameter, _LONG)
    return text


def _choice(text: str, parameter: promise.Parameter) -> Value:
    if text in parameter.choices:
        return text
    near = nearest.nearest(text, parameter.choices)
    hint = f"did you mean {near}?" if near else "write one of them"
    raise errors.UsageError(f"{_told(text)} is none of {', '.join(parameter.choices)}; {hint}")


def _cidr(text: str, parameter: promise.Parameter) -> Value:
    plain = re.fullmatch(r"[0-9A-Fa-f:.]{1,45}(/[0-9]{1,3})?", text)
    network = _network(text, strict=False) if plain else None
    if network is None:
        raise errors.UsageError(
            f"{_told(text)} is not a network; write for example {parameter.example}"
        )
    if _network(text, strict=True) is None:
        raise errors.UsageError(
            f"{_told(text)} names an address inside a network; write {network} for the "
            f"network or {text.partition('/')[0]} for the address alone"
        )
    return network


def _node(text: str, parameter: promise.Parameter) -> Value:
    node_id, equals, where = text.rpartition("=")
    if not equals or not node_id:
        raise errors.UsageError(
            f"{_told(text)} is not ID=HOST:PORT; write for example {parameter.example}"
        )
    if not _NODE_ID.fullmatch(node_id):
        raise errors.UsageError(
            f"{_told(node_id)} is no node ID; write 1 to 255 visible ASCII characters"
        )
    weighted = re.fullmatch(r"((?:\[[^\]]*\]|[^:\[\]]*):[0-9]+):([0-9]+)", where)
    if weighted is None:
        return Node(node_id, address(where))
    if len(weighted[2]) > 5 or not 1 <= int(weighted[2]) <= WEIGHT_MAX:
        raise errors.UsageError(f"{_told(text)} has a weight out of range; write 1 to {WEIGHT_MAX}")
    return Node(node_id, address(weighted[1]), int(weighted[2]))


def _replica(text: str, parameter: promise.Parameter) -> Value:
    name, equals, where = text.rpartition("=")
    shard, slash, node_id = name.rpartition("/")
    if not equals or not slash or not shard or not node_id:
        raise errors.UsageError(
            f"{_told(text)} is not SHARD/ID=HOST:PORT; write for example {parameter.example}"
        )
    for part in (shard, node_id):
        if not _NODE_ID.fullmatch(part):
            raise errors.UsageError(
                f"{_told(part)} is no ID; write 1 to 255 visible ASCII characters"
            )
    return Replica(shard, node_id, address(where))


def _check_range(number: float, text: str, parameter: promise.Parameter, of_what: str = "") -> None:
    least = None if parameter.minimum is None else bound(parameter.minimum, parameter.kind)
    most = None if parameter.maximum is None else bound(parameter.maximum, parameter.kind)
    if least is not None and number < least:
        fault = "too short" if of_what else "too small"
    elif most is not None and number > most:
        fault = "too long" if of_what else "too large"
    else:
        return
    raise errors.UsageError(
        f"{_told(text)} is {fault}; write {parameter.bounds} {of_what}".rstrip()
    )


def bound(text: str, kind: promise.Kind) -> float:
    """Return the number that a minimum or maximum of a kind names; of texts their bytes.

    Raises:
        errors.UsageError: it is not in the kind's notation.
    """
    match kind:
        case promise.Kind.DURATION:
            return units.parse_duration_s(text, zero_allowed=True)
        case promise.Kind.SIZE:
            return units.parse_size_bytes(text)
        case promise.Kind.NUMBER if _NUMBER.fullmatch(text):
            return float(text)
        case _ if _WHOLE.fullmatch(text):
            return int(text)
        case _:
            raise errors.UsageError(f"{units.shown(text)} is not a number; write digits alone")


_READERS: dict[promise.Kind, Callable[[str, promise.Parameter], Value]] = {
    promise.Kind.TEXT: _text,
    promise.Kind.INTEGER: _integer,
    promise.Kind.NUMBER: _number,
    promise.Kind.BOOLEAN: _boolean,
    promise.Kind.DURATION: _duration,
    promise.Kind.SIZE: _size,
    promise.Kind.ADDRESS: _address,
    promise.Kind.PORT: _port,
    promise.Kind.URL: _url,
    promise.Kind.PATH: _path,
    promise.Kind.CHOICE: _choice,
    promise.Kind.CIDR: _cidr,
    promise.Kind.NODE: _node,
    promise.Kind.REPLICA: _replica,
}
