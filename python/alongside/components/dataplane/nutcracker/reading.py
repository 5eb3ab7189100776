"""Read a `nutcracker.yaml` into pools: every directive as written, or its default.

Source:
    conf_commands and conf_validate_pool of twemproxy 0.5.0; `reuseport` is of its later versions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast, get_args

from alongside import document
from alongside.base import errors, nearest, units
from alongside.components.dataplane.nutcracker import addresses, faults, syntax

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

POOLS_MAX = 1024
SERVERS_MAX = 4096
"""In one pool."""
PASSWORD_BYTES_MAX = 4096
DATABASE_MAX = 2**31 - 1

Distribution = Literal["ketama", "modula", "random"]
DISTRIBUTIONS: tuple[Distribution, ...] = get_args(Distribution)
HASHES: tuple[document.KeyHash, ...] = get_args(document.KeyHash)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A pool as its user wrote it. Numbers are not yet brought into the ranges that we have."""

    name: str
    line: int
    lines: Mapping[str, int] = field(repr=False)
    """The line of each directive that stands in the file."""
    listen: addresses.Listen
    servers: tuple[addresses.Server, ...]
    """In the file's order."""
    hash: document.KeyHash = "fnv1a_64"
    hash_tag: str | None = None
    distribution: Distribution = "ketama"
    timeout: int = 0
    """In milliseconds; 0 for none."""
    backlog: int = 512
    client_connections: int = 0
    """0 for no limit."""
    redis: bool = False
    redis_auth: str | None = field(default=None, repr=False)
    redis_db: int = 0
    tcpkeepalive: bool | None = None
    reuseport: bool = False
    preconnect: bool = False
    auto_eject_hosts: bool = False
    server_connections: int = 1
    server_retry_timeout: int = 30_000
    """In milliseconds."""
    server_failure_limit: int = 2

    def line_of(self, directive: str) -> int:
        """Return the line of a directive, or the pool's where it is not written."""
        return self.lines.get(directive, self.line)


def pools(content: bytes, *, file: str) -> tuple[Pool, ...]:
    """Return the pools of a file, in its order; at least one.

    Args:
        content: the whole file.
        file: its name, which stands before every mistake.

    Raises:
        errors.UsageError: every mistake, each with its line and a remedy.
    """
    found = faults.Faults(file)
    sections = syntax.sections(content, found)
    if len(sections) > POOLS_MAX:
        found.add(1, f"more than {POOLS_MAX} pools", "split it over several ambassadors")
    read = [_Reader(section, found).pool() for section in sections[:POOLS_MAX]]
    whole = [pool for pool in read if pool is not None]
    _check_unique(whole, sections, found)
    found.raise_any()
    return tuple(whole)


def _check_unique(whole: list[Pool], sections: list[syntax.Section], found: faults.Faults) -> None:
    names: dict[str, int] = {}
    for section in sections:
        name, line = section.name.text, section.name.line
        if name in names:
            what = f"{name}: there is one in line {names[name]} already"
            found.add(line, what, "give each pool a name of its own")
        names.setdefault(name, line)
    places: dict[addresses.Listen, Pool] = {}
    for pool in whole:
        other = places.setdefault(pool.listen, pool)
        if other is not pool and other.name != pool.name:
            what = f"{pool.name}.listen: {other.name} listens there already"
            found.add(pool.line_of("listen"), what, "choose another port or path")


class _Reader:
    """Reads one pool; mistakes are noted."""

    def __init__(self, section: syntax.Section, found: faults.Faults) -> None:
        self._section = section
        self._found = found
        self._lines: dict[str, int] = {}
        self._values: dict[str, object] = {}
        self._is_bad = False

    def pool(self) -> Pool | None:
        """Return the pool; None where it has mistakes."""
        name = self._section.name
        if not addresses.is_name(name.text):
            what = f"{units.shown(syntax.shown(name.text))} is no name of a pool"
            self._fault(name.line, what, "write 1 to 255 visible ASCII characters without blanks")
        for entry in self._section.entries:
            self._entry(entry)
        for needed, remedy in _NEEDED.items():
            if needed not in self._lines:
                self._fault(name.line, f"{name.text}.{needed}: is missing", remedy)
        self._check_together()
        if self._is_bad:
            return None
        given = {"name": name.text, "line": name.line, "lines": self._lines, **self._values}
        return Pool(**given)  # type: ignore[arg-type]  # each was read by its directive

    def _entry(self, entry: syntax.Entry) -> None:
        key = entry.key.text
        place = f"{self._section.name.text}.{key}"
        if key in self._lines:
            what = f"{place}: is written twice, first in line {self._lines[key]}"
            self._fault(entry.key.line, what, "keep one of the two")
            return
        if key == syntax.LIST:
            self._lines[key] = entry.key.line
            self._values[key] = self._servers(entry)
            return
        read = _DIRECTIVES.get(key)
        if read is None:
            shown = units.shown(syntax.shown(key))
            what = f"{self._section.name.text}: {shown} is no directive"
            self._fault(entry.key.line, what, _hint(key))
            return
        self._lines[key] = entry.key.line
        try:
            self._values[key] = read(entry.values[0].text)
        except errors.UsageError as error:
            self._told(entry.key.line, place, error)

    def _servers(self, entry: syntax.Entry) -> tuple[addresses.Server, ...]:
        place = f"{self._section.name.text}.{entry.key.text}"
        self._is_bad |= not entry.is_whole
        if not entry.values and entry.is_whole:
            remedy = "write at least one, such as - 127.0.0.1:11211:1"
            self._fault(entry.key.line, f"{place}: there is none", remedy)
        if len(entry.values) > SERVERS_MAX:
            what = f"{place}: more than {SERVERS_MAX}"
            self._fault(entry.key.line, what, "split them into several pools")
            return ()
        read: dict[str, addresses.Server] = {}
        for text in entry.values:
            try:
                one = addresses.server(text.text, text.line)
            except errors.UsageError as error:
                self._told(text.line, place, error)
                continue
            other = read.setdefault(one.name, one)
            if other is not one:
                what = f"{place}: {one.name} is the name of the one in line {other.line} too"
                self._fault(text.line, what, "give it another name, behind a blank")
        return tuple(read.values())

    def _check_together(self) -> None:
        if "redis_auth" in self._lines and not self._values.get("redis", False):
            self._fault(
                self._lines["redis_auth"],
                f"{self._section.name.text}.redis_auth: only Redis has passwords",
                "write redis: true beside it, or leave it out",
            )

    def _told(self, line: int, place: str, error: errors.UsageError) -> None:
        what, _, remedy = str(error).rpartition("; ")
        self._fault(line, f"{place}: {what}", remedy)

    def _fault(self, line: int, what: str, remedy: str) -> None:
        self._is_bad = True
        self._found.add(line, what, remedy)


def _hint(key: str) -> str:
    """Return what to write in place of an unknown directive."""
    known = [*_DIRECTIVES, syntax.LIST]
    word = syntax.shown(key).removesuffix(syntax.MORE)
    if word != key and word in known:
        return f"write a colon and a blank behind {word}"
    near = nearest.nearest(word, known)
    return f"did you mean {near}?" if near else f"leave it out; there are {_KNOWN}"


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 20:
        raise errors.UsageError(f"{units.shown(text)} is no number; write digits alone")
    return int(text)


def _of_connections(text: str) -> int:
    number = _number(text)
    if number == 0:
        raise errors.UsageError("0 leaves no connection; write 1 or more")
    return number


def _database(text: str) -> int:
    number = _number(text)
    if number > DATABASE_MAX:
        raise errors.UsageError(f"{text} is out of range; write 0 to {DATABASE_MAX}")
    return number


def _boolean(text: str) -> bool:
    if text not in {"true", "false"}:
        word = "true" if text.lower() in {"true", "yes", "on", "1"} else "false"
        raise errors.UsageError(f"{units.shown(text)} is neither true nor false; write {word}")
    return text == "true"


def _word(text: str, known: tuple[str, ...], what: str) -> str:
    if text in known:
        return text
    near = nearest.nearest(text, known)
    hint = f"did you mean {near}?" if near else f"write one of {', '.join(known)}"
    raise errors.UsageError(f"{units.shown(text)} is no {what}; {hint}")


def _hash(text: str) -> document.KeyHash:
    return cast("document.KeyHash", _word(text, HASHES, "hash"))


def _distribution(text: str) -> Distribution:
    return cast("Distribution", _word(text, DISTRIBUTIONS, "distribution"))


def _hash_tag(text: str) -> str:
    if len(text) != 2 or not text.isascii():
        raise errors.UsageError(
            f'{units.shown(text)} is no pair of ASCII characters; write two, such as "{{}}"'
        )
    return text


def _password(text: str) -> str:
    # What it says is a secret: it stands in no message.
    if not text:
        raise errors.UsageError("is empty; write the password, or leave redis_auth out")
    if len(text.encode()) > PASSWORD_BYTES_MAX:
        raise errors.UsageError(
            f"is longer than {PASSWORD_BYTES_MAX} bytes; write a shorter password"
        )
    return text


_DIRECTIVES: Mapping[str, Callable[[str], object]] = {
    "listen": addresses.listen,
    "hash": _hash,
    "hash_tag": _hash_tag,
    "distribution": _distribution,
    "timeout": _number,
    "backlog": _number,
    "client_connections": _number,
    "redis": _boolean,
    "redis_auth": _password,
    "redis_db": _database,
    "tcpkeepalive": _boolean,
    "reuseport": _boolean,
    "preconnect": _boolean,
    "auto_eject_hosts": _boolean,
    "server_connections": _of_connections,
    "server_retry_timeout": _number,
    "server_failure_limit": _number,
}
_KNOWN = ", ".join([*_DIRECTIVES, syntax.LIST])
_NEEDED = {
    "listen": "write where clients connect, such as listen: 127.0.0.1:11211",
    syntax.LIST: "write servers: and a line for each, such as - 127.0.0.1:11212:1",
}
