"""Turn the values of `ambassador`, and the file that they name, into a data plane's document."""

from __future__ import annotations

import dataclasses
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alongside import document
from alongside.base import errors, files, units
from alongside.components.dataplane import documents, tls_files
from alongside.components.dataplane.nutcracker import (
    addresses,
    lint,
    ranges,
    reading,
    secrets,
    syntax,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from alongside.contract import values as contract_values

CERTIFICATE = "default"
"""What the certificate for clients is called in metrics."""
DEFAULT_USER = "default"
"""Who gives a password and no name."""

_FUNCTIONS: dict[reading.Distribution, document.PoolFunction] = {
    "ketama": "ketama",
    "modula": "modulo",
    "random": "random",
}
_DIRECTIVES = {
    "name": "",
    "placement.hash": "hash",
    "placement.hash_tag": "hash_tag",
    "placement.function": "distribution",
    "socket": "listen",
    "timeout_ms": "timeout",
    "retry_ms": "server_retry_timeout",
    "connections": "server_connections",
    "database": "redis_db",
    "ejection.failures": "server_failure_limit",
    "servers": "servers",
}
"""The directive that a field of a pool came from; empty for its name."""
_CONNECTIONS_MAX = 1_048_576
_AROUND_VALUE_BYTES = 2**20
"""What may wait of a server's answers beside one value: its line, and what was read behind it."""
_VALUES_WAITING = 4
"""The largest values that may wait for one client; as many as by the defaults."""
_PARAMETERS = {
    "pools.users": "user",
    "pools.server_user": "server_user",
    "pools.server_tls": "server_ca",
    "pools.server_tls.name": "server_name",
    "pools.server_tls.certificate": "server_certificate",
    "pools.server_tls.key": "server_key",
    "pools.resolve_ms": "resolve",
    "pools.may_flush": "may_flush",
    "pools.connect_timeout_ms": "connect_timeout",
    "pools.ejection.servers_percent_min": "servers_percent_min",
    "pools.limits.value_bytes_max": "value_max",
    "pools.limits.keys_max": "keys_max",
    "pools.limits.client_requests_max": "client_requests_max",
    "pools.limits.requests_max": "requests_max",
    "listeners.tls.certificates": "certificate_path",
    "listeners.tls.certificates.key": "key_path",
    "listeners.tls.clients.authorities": "client_ca",
    "twemproxy_stats": "stats_port",
}


_OWN_PATHS = ("status", "admin", "threads", "twemproxy_stats")
_LISTENER_FILES = (
    ".tls.certificates",
    ".tls.certificates[0].key",
    ".tls.clients.authorities",
)
_POOL_PATHS = (
    ".socket",
    ".server_tls",
    ".server_tls.certificate",
    ".server_tls.key",
    ".users",
    ".server_user",
)
"""Of listeners and pools: sockets and files, which are looked at while all runs."""


@dataclass(frozen=True, slots=True)
class Made:
    """A document, what it came from, and what has to be done before it is served."""

    document: document.Document
    pools: tuple[reading.Pool, ...]
    """In the document's order, as are the servers of each."""
    file: str
    secrets: tuple[secrets.Secret, ...]
    """Passwords that the document names by their files."""
    odd: tuple[lint.Finding, ...]
    """What `lint` says of the file."""
    stats_odd: str
    """What it says of where figures are read; empty where that is fine."""

    def told(self, *, is_whole: bool) -> list[str]:
        """Return what is odd, a line each; where not all is asked for, without what is of most."""
        found = [one.text(self.file) for one in self.odd if is_whole or not one.is_quiet]
        return [*found, self.stats_odd] if self.stats_odd else found

    def place(self, path: str, values: contract_values.Values) -> str | None:
        """Return where a place in the document came from: a line of the file, or a flag.

        None where it came from no single one.
        """
        found = re.match(r"(pools|listeners)\[([0-9]+)\]\.?(.*)", path)
        plain = re.sub(r"\[[0-9]+\]", "", path)
        flags = [name for name in _PARAMETERS if plain == name or plain.startswith(f"{name}.")]
        if flags:
            return values.place(_PARAMETERS[max(flags, key=len)])
        if found is None:
            name = documents.parameter_of(path)
            return None if name is None else values.place(name)
        pools = self.pools if found[1] == "pools" else _listening(self.pools)
        pool = pools[int(found[2])]
        line = pool.line_of("listen") if found[1] == "listeners" else _line(pool, found[3])
        return f"{self.file}:{line}"


def _line(pool: reading.Pool, rest: str) -> int:
    server = re.match(r"servers\[([0-9]+)\]", rest)
    if server is not None:
        return pool.servers[int(server[1])].line
    known = [name for name in _DIRECTIVES if rest == name or rest.startswith(f"{name}.")]
    return pool.line_of(_DIRECTIVES[max(known, key=len)]) if known else pool.line


def of_ambassador(
    values: contract_values.Values, *, generation: int, secrets_folder: Callable[[], Path]
) -> Made:
    """Return the document of one ambassador: a pool for each of the file, each where it listens.

    Args:
        values: of the contract of `ambassador`.
        generation: the document's number; greater than that of any before it.
        secrets_folder: tells where passwords of the file are handed over, where it has any.

    Raises:
        errors.UsageError: the file is wrong, or values that do not go together; all mistakes.
    """
    return _Making(values, secrets_folder).whole(generation)


def _listening(pools: tuple[reading.Pool, ...]) -> tuple[reading.Pool, ...]:
    """Return the pools that have a listener: a UNIX socket is a part of its pool."""
    return tuple(pool for pool in pools if pool.listen.address is not None)


class _Making:
    """A document on its way from values and a file, and every mistake that was found."""

    def __init__(self, values: contract_values.Values, secrets_folder: Callable[[], Path]) -> None:
        self._values = values
        self._folder = secrets_folder
        self._problems: list[str] = []
        self._secrets: list[secrets.Secret] = []
        self._file = values.text("config")

    def whole(self, generation: int) -> Made:
        """Return what is made; raise UsageError with all mistakes."""
        values = self._values
        pools = self._pools()
        tls = self._tls()
        server_tls = self._server_tls()
        self._check_lone(pools)
        made = tuple(self._pool(pool, server_tls) for pool in pools)
        served = documents.Served(pools=made, twemproxy_stats=self._stats())
        listeners = tuple(
            document.Listener(
                name=pool.name, address=pool.listen.address or "", serves=pool.name, tls=tls
            )
            for pool in _listening(pools)
        )
        if self._problems:
            raise errors.UsageError(*self._problems)
        whole = documents.around(values, listeners, served, generation=generation)
        if values.source("connections_max") == "default":
            whole = _roomy(whole)
        is_signed = self._is_signed()
        odd = tuple(lint.findings(pools, is_signed=is_signed))
        found = Made(whole, pools, self._file, tuple(self._secrets), odd, self._stats_odd())
        return dataclasses.replace(found, document=_placed(found, values))

    def _is_signed(self) -> bool:
        return self._values.text("char") == "signed"

    def _pools(self) -> tuple[reading.Pool, ...]:
        try:
            content = files.read_bounded(Path(self._file), bytes_max=syntax.FILE_BYTES_MAX)
        except errors.UsageError as error:
            self._problems.append(f"{self._values.place('config')}: {error}")
            return ()
        try:
            return reading.pools(content, file=self._file)
        except errors.UsageError as error:
            self._problems.extend(error.problems)
            return ()

    def _pool(self, pool: reading.Pool, server_tls: document.ServerTls | None) -> document.Pool:
        values = self._values
        users, server_user = self._users(pool)
        timeout_ms = _limit("timeout", pool.timeout)
        connect_ms = round(values.duration_s("connect_timeout") * 1000)
        return document.Pool(
            name=pool.name,
            protocol="redis" if pool.redis else "memcache",
            placement=document.PoolPlacement(
                function=_FUNCTIONS[pool.distribution],
                hash=pool.hash,
                hash_tag=pool.hash_tag,
                is_signed=self._is_signed(),
            ),
            servers=tuple(
                document.Server(name=one.name, address=one.target, weight=one.weight)
                for one in pool.servers
            ),
            socket=_socket(pool),
            connections=_ranged("server_connections", pool.server_connections),
            preconnect=pool.preconnect,
            timeout_ms=timeout_ms,
            connect_timeout_ms=min(connect_ms, timeout_ms or connect_ms),
            retry_ms=_ranged("server_retry_timeout", pool.server_retry_timeout),
            ejection=self._ejection(pool),
            resolve_ms=round(values.duration_s("resolve") * 1000),
            keepalive_ms=None if pool.tcpkeepalive is False else document.Pool.keepalive_ms,
            server_tls=server_tls,
            users=users,
            server_user=server_user,
            database=pool.redis_db if pool.redis else 0,
            may_flush=values.is_on("may_flush") and not pool.redis,
            is_strict=values.text("compat") == "strict",
            limits=_limits(values, pool),
        )

    def _ejection(self, pool: reading.Pool) -> document.Ejection | None:
        if not pool.auto_eject_hosts:
            return None
        return document.Ejection(
            failures=_ranged("server_failure_limit", pool.server_failure_limit),
            servers_percent_min=self._values.integer("servers_percent_min"),
        )

    def _users(self, pool: reading.Pool) -> tuple[tuple[document.User, ...], document.User | None]:
        """Return who clients may be, and as whom servers are told we come."""
        if not pool.redis:
            return (), None
        users = self._named("user")
        known = self._named("server_user")
        server_user = next(iter(known.items()), None)
        if pool.redis_auth is not None:
            path = self._secret(pool.name, pool.redis_auth)
            if users.setdefault(DEFAULT_USER, path) != path:
                self._blame("user", f"{DEFAULT_USER} has a redis_auth in the file; keep one")
            server_user = server_user or (DEFAULT_USER, path)
        return (
            tuple(document.User(name=name, password=path) for name, path in users.items()),
            server_user and document.User(name=server_user[0], password=server_user[1]),
        )

    def _secret(self, pool: str, password: str) -> str:
        # The data plane leaves out one line break at the end; a password may end with another.
        secret = secrets.Secret(self._folder(), os.path.abspath(self._file), pool, password + "\n")
        self._secrets.append(secret)
        return str(secret.path)

    def _named(self, parameter: str) -> dict[str, str]:
        """Return the files of `NAME=PATH` by name, made absolute; each is looked at."""
        found: dict[str, str] = {}
        for text in self._values.texts(parameter):
            name, equals, path = text.partition("=")
            if not equals or not name or not path:
                self._blame(parameter, f"{units.shown(text)} is not NAME=PATH; write both")
            elif name in found:
                self._blame(parameter, f"{units.shown(name)} is given twice; write it once")
            else:
                found[name] = os.path.abspath(path)
                self._look(parameter, tls_files.problem_of_file(found[name]))
        return found

    def _tls(self) -> document.Tls | None:
        values = self._values
        if not values.is_set("certificate_path"):
            return None
        path, key = self._path("certificate_path"), self._path("key_path")
        self._look("certificate_path", tls_files.problem_of_pair(path or "", key))
        clients = None
        if authorities := self._path("client_ca"):
            clients = document.Clients(mode="required", authorities=authorities)
        certificate = document.Certificate(name=CERTIFICATE, path=path or "", key=key)
        return document.Tls(certificates=(certificate,), default=CERTIFICATE, clients=clients)

    def _server_tls(self) -> document.ServerTls | None:
        values = self._values
        if not values.is_set("server_ca"):
            return None
        certificate, key = self._path("server_certificate"), self._path("server_key")
        if certificate is not None:
            self._look("server_certificate", tls_files.problem_of_pair(certificate, key))
        return document.ServerTls(
            authorities=self._path("server_ca") or "",
            name=values.text("server_name") if values.is_set("server_name") else None,
            certificate=certificate,
            key=key,
        )

    def _check_lone(self, pools: tuple[reading.Pool, ...]) -> None:
        """Note parameters that mean nothing without another, or for no pool."""
        for name, is_redis in _OF_PROTOCOL.items():
            if self._values.is_set(name) and pools and all(p.redis != is_redis for p in pools):
                what = "Redis" if is_redis else "memcache"
                self._blame(name, f"there is no pool of {what} in {self._file}; leave it out")
        for name, needed in _NEEDED.items():
            if self._values.is_set(name) and not self._values.is_set(needed):
                parameter = self._values.contract.parameter(needed)
                self._blame(
                    name,
                    f"has no effect without {parameter.flag}; write {parameter.flag} "
                    f"{parameter.example}",
                )

    def _stats(self) -> document.TwemproxyStats | None:
        values = self._values
        if not values.is_set("stats_port"):
            return None
        host = values.text("stats_address")
        if not addresses.is_host(host):
            self._blame(
                "stats_address",
                f"{units.shown(host)} is no address; write one of this machine, such as 127.0.0.1",
            )
            return None
        bracketed = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return document.TwemproxyStats(address=f"{bracketed}:{values.integer('stats_port')}")

    def _stats_odd(self) -> str:
        values = self._values
        if not values.is_set("stats_port"):
            return ""
        return lint.of_stats(values.text("stats_address"), values.place("stats_address"))

    def _path(self, name: str) -> str | None:
        """Return a file's absolute path where it is set; it is looked whether it can be read."""
        if not self._values.is_set(name):
            return None
        path = os.path.abspath(self._values.text(name))
        if name not in _PAIRS:
            self._look(name, tls_files.problem_of_file(path))
        return path

    def _look(self, name: str, problem: str) -> None:
        if problem:
            self._blame(name, problem)

    def _blame(self, name: str, problem: str) -> None:
        line = f"{self._values.place(name)}: {problem}"
        if line not in self._problems:
            self._problems.append(line)


_PAIRS = {"certificate_path", "server_certificate"}
"""They may be folders, and are looked at with their keys."""
_OF_PROTOCOL = {"user": True, "server_user": True, "may_flush": False}
_NEEDED = {
    "key_path": "certificate_path",
    "client_ca": "certificate_path",
    "server_name": "server_ca",
    "server_certificate": "server_ca",
    "server_key": "server_certificate",
}


def _limits(values: contract_values.Values, pool: reading.Pool) -> document.PoolLimits:
    """Return what bounds a pool: what may be written can be read again, too."""
    value_bytes_max = values.size_bytes("value_max")
    usual = document.PoolLimits()
    return document.PoolLimits(
        clients_max=_limit("client_connections", pool.client_connections),
        value_bytes_max=value_bytes_max,
        keys_max=values.integer("keys_max"),
        client_requests_max=values.integer("client_requests_max"),
        requests_max=values.integer("requests_max"),
        server_bytes_max=max(usual.server_bytes_max, value_bytes_max + _AROUND_VALUE_BYTES),
        answers_bytes_max=max(usual.answers_bytes_max, value_bytes_max * _VALUES_WAITING),
    )


def _limit(directive: str, number: int) -> int | None:
    """Return a number of a directive of which 0 is none."""
    return _ranged(directive, number) if number else None


def _ranged(directive: str, number: int) -> int:
    return ranges.OF_DIRECTIVES[directive].nearest(number)


def _socket(pool: reading.Pool) -> document.ClientSocket | None:
    path, mode = pool.listen.path, pool.listen.mode
    if path is None:
        return None
    return document.ClientSocket(path=path, mode=_usual_mode() if mode is None else mode)


def _usual_mode() -> int:
    """Return the mode that a socket has where nobody gives it one, as with twemproxy."""
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o777 & ~umask


def _roomy(made: document.Document) -> document.Document:
    """Return a document whose process lets in as many clients as its pools' bounds do together."""
    bounds = [pool.limits.clients_max or 0 for pool in made.pools]
    # Pools without a bound have all that is usual for themselves.
    most = sum(bounds) if all(bounds) else made.limits.connections_max + sum(bounds)
    most = min(max(most, made.limits.connections_max), _CONNECTIONS_MAX)
    limits = document.Limits.from_json(made.limits.to_json() | {"connections_max": most})
    return document.Document.from_json(made.to_json() | {"limits": limits.to_json()})


def _placed(made: Made, values: contract_values.Values) -> document.Document:
    """Return the document with the places of what only the process that serves it can refuse."""
    paths = list(_OWN_PATHS)
    for index in range(len(made.document.listeners)):
        paths += [f"listeners[{index}]{rest}" for rest in ("", *_LISTENER_FILES)]
    for index in range(len(made.pools)):
        paths += [f"pools[{index}]{rest}" for rest in _POOL_PATHS]
    written = ((path, made.place(path, values)) for path in paths)
    places = [document.Place(path=path, written=text) for path, text in written if text is not None]
    content = made.document.to_json() | {"places": [place.to_json() for place in places]}
    return document.Document.from_json(content)
