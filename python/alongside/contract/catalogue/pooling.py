"""What a process that serves pools counts, answers at its doors, and does when something fails."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from alongside.contract import promise
from alongside.contract.catalogue import dataplane, doors

if TYPE_CHECKING:
    from collections.abc import Iterator

_POOL = ("pool",)
_SERVER = ("pool", "server")
_PREFIX = "alongside_ambassador"


def _counter(name: str, description: str, labels: tuple[str, ...] = _POOL) -> promise.Metric:
    return promise.Metric(f"{_PREFIX}_{name}_total", "counter", labels, description)


def _gauge(name: str, description: str, labels: tuple[str, ...] = _POOL) -> promise.Metric:
    return promise.Metric(f"{_PREFIX}_{name}", "gauge", labels, description)


OWN_METRICS = (
    _counter("client_connections", "connections of clients that were let in"),
    _gauge("open_clients", "connections of clients that are open now"),
    _counter(
        "rejected_connections",
        "connections of clients that found no room, by limit",
        ("pool", "limit"),
    ),
    _counter("commands", "commands of clients"),
    _gauge("waiting", "commands that wait for answers now"),
    _counter("answered_here", "commands that needed no server"),
    _counter("refused", "commands that were not known, malformed or not allowed"),
    _counter("limited", "commands that were refused, or clients closed, at a limit"),
    _counter("unsent", "commands, or parts of them, that no server got"),
    _counter("fragments", "parts that commands with several keys were made into"),
    _counter(
        "keys_lost",
        "keys of a command with several that count as missing since their server failed",
    ),
    _counter("ejections", "times that a server was left out of its pool"),
    _counter("requests", "commands, or parts of them, that were sent to a server", _SERVER),
    _counter("request_bytes", "bytes of what was sent to a server", _SERVER),
    _counter("responses", "answers of a server", _SERVER),
    _counter("response_bytes", "bytes of a server's answers", _SERVER),
    promise.Metric(
        f"{_PREFIX}_response_seconds",
        "histogram",
        ("pool", "server", "class"),
        "how long a server took to answer, by what the command does",
    ),
    _counter("failed", "commands that failed since their server did", _SERVER),
    _counter("timed_out", "commands whose answers came too late or never", _SERVER),
    _counter(
        "moved_away",
        "reads that went to another server since theirs could not be connected to",
        _SERVER,
    ),
    _counter("joined", "gets that a server was told in the line of another", _SERVER),
    _counter("probes", "looks whether a server can be used again", _SERVER),
    _counter("probes_failed", "looks after which a server is still not used", _SERVER),
    _counter("server_ends", "connections that a server ended", _SERVER),
    _counter("server_errors", "connections to a server that failed", _SERVER),
    _counter(
        "server_timeouts", "connections to a server that were closed for its silence", _SERVER
    ),
    _gauge("open_connections", "connections open now to a server", _SERVER),
    _gauge("unsent_now", "commands that wait to be sent to a server now", _SERVER),
    _gauge("unanswered_now", "commands that wait for a server's answers now", _SERVER),
    _gauge(
        "server_left",
        "1 while a server gets no commands, by how it stands (`down`, `ejected`), else 0",
        ("pool", "server", "standing"),
    ),
)
METRICS = (
    *(one for one in dataplane.METRICS if not one.name.startswith("alongside_http_")),
    *OWN_METRICS,
)
"""rust/ambassador names the own ones, rust/dataplane the others."""

_OF_SERVER = {
    "name": "string",
    "address": "string",
    "weight": "integer",
    "standing": "string",
    "connections": "integer",
    "commands": "integer",
    "in_flight": "integer",
    "failed": "integer",
    "timed_out": "integer",
}


def _server(path: str) -> tuple[promise.Field, ...]:
    return tuple(promise.Field(f"{path}.{name}", type_) for name, type_ in _OF_SERVER.items())


_EXPLAIN = promise.Route(
    "admin",
    "GET",
    "/explain",
    "where a key is placed: pool=NAME&key=KEY",
    (
        promise.Answer(200, "where it goes"),
        promise.Answer(400, "the query is wrong"),
        promise.Answer(404, "there is no such pool"),
    ),
    (
        promise.Field("pool", "string"),
        promise.Field("key", "string"),
        promise.Field("tagged", "string"),
        promise.Field("hash", "integer"),
        *_server("server"),
        *_server("home"),
        promise.Field("why", "string"),
    ),
)
_SNAPSHOT_FIELDS = (
    promise.Field("pools[].name", "string"),
    promise.Field("pools[].protocol", "string"),
    promise.Field("pools[].clients", "integer"),
    promise.Field("pools[].commands", "integer"),
    promise.Field("pools[].in_flight", "integer"),
    *_server("pools[].servers[]"),
    promise.Field("pools[].top_keys[].key", "string"),
    promise.Field("pools[].top_keys[].commands", "integer"),
)


def _routes() -> Iterator[promise.Route]:
    for one in doors.ROUTES:
        match one.path:
            case "/explain":
                yield _EXPLAIN
            case "/snapshot":
                yield dataclasses.replace(one, fields=(*one.fields, *_SNAPSHOT_FIELDS))
            case "/purge":
                pass
            case _:
                yield one


ROUTES = tuple(_routes())
"""Of the doors that every data plane has, those that mean something to pools."""

FAILURES = (
    promise.Failure(
        "A server dies, or is frozen, with commands under way",
        "its own commands fail with the protocol's error, in their places; a command with several "
        "keys gets the answers of all other servers; no client's connection is closed, no command "
        "behind it is lost",
        "client: `SERVER_ERROR …` or `-ERR …`; in a memcache `get` of several keys its keys are "
        "missing, in `MGET` they are errors in the array (a server's own with 512 bytes of its "
        "text at most). Operator: "
        "`alongside_ambassador_failed_total`, `alongside_ambassador_keys_lost_total`",
    ),
    promise.Failure(
        "A server does not answer within timeout",
        "the command fails, the connection of its client stays; the late answer is passed over",
        "client: an error. Operator: `alongside_ambassador_timed_out_total`",
    ),
    promise.Failure(
        "With auto_eject_hosts, a server fails server_failure_limit times in a row",
        "its keys go to the others, as twemproxy places them then, until it answers a probe; the "
        "first one comes server_retry_timeout later. No client's command is the probe. At least "
        "servers-percent-min of the servers stay",
        "client: misses, no errors. Operator: `alongside_ambassador_ejections_total`, "
        "`alongside_ambassador_server_left`",
    ),
    promise.Failure(
        "Without auto_eject_hosts, a server is down",
        "its keys keep their place and fail at once, until it answers a probe",
        "client: an error for that server's keys alone. Operator: "
        "`alongside_ambassador_server_left`",
    ),
    promise.Failure(
        "The address behind a server's name changes",
        "new connections go to the new address within resolve, and with them what waited for one "
        "to the old; those that are there end when they have their answers; the server keeps its "
        "keys, since its name is what is placed",
        "nobody notices",
    ),
    promise.Failure(
        "A client sends what is malformed, too large, or no command that can be split by its key",
        "it is answered with the protocol's error and the connection stays, unless nobody can know "
        "where the next command begins: behind bytes that are no request, a Redis argument over "
        "value-max, a memcache line longer than keys-max keys can be, the binary protocol. With "
        "compat strict the connection is closed, as twemproxy does. The value of a memcache `set` "
        "or `ms` over value-max takes the key's old one with it, as a memcached does",
        "client: `ERROR`, `CLIENT_ERROR …`, `SERVER_ERROR object too large for cache` or `-ERR …`. "
        "Operator: `alongside_ambassador_refused_total`",
    ),
    promise.Failure(
        "A memcached before 1.6, which knows no meta commands, gets `ms`",
        "it takes the block for commands, so the connection to it is closed and what else was "
        "asked on it fails; other meta commands are errors. Meta commands need memcached 1.6",
        "client: `ERROR`; who asked at the same time: `SERVER_ERROR …`. Operator: "
        "`alongside_ambassador_server_errors_total`",
    ),
    promise.Failure(
        "A client asks more than requests-max or client-requests-max allow, or does not read",
        "its further commands are not read before earlier ones are answered and taken; over "
        "requests-max they get an error",
        "client: waits, or an error. Operator: `alongside_ambassador_limited_total`",
    ),
    promise.Failure(
        "A client asks, or sends, faster than servers answer, quiet commands (noreply) too",
        "with 16Mi of its commands and answers under way it is read no further; none is dropped",
        "client: waits",
    ),
    promise.Failure(
        "A client does not read what one command of many keys brings: 256Mi of answers wait for it",
        "it is closed, and what waited is let go; nobody else notices",
        "client: the connection closes. Operator: `alongside_ambassador_limited_total`",
    ),
    promise.Failure(
        "A Redis server's answer has more than 256Mi, which wait for its end",
        "its command fails, and the rest is passed over as it comes; the server, its connection "
        "and all behind it stay",
        "client: `-ERR The server's answer is too large`. Operator: "
        "`alongside_ambassador_limited_total`",
    ),
    promise.Failure(
        "A Redis client sends one request of more than 256Mi (more only where value-max is); or "
        "more than 10 arguments, or one over 16Ki, before it said who it is",
        "it is answered, and its connection ends; with compat strict without a word",
        "client: `-ERR Protocol error: …`, then the end. Operator: "
        "`alongside_ambassador_refused_total`",
    ),
    promise.Failure(
        "A server refuses our password or database, or has no room for a connection",
        "that is a failure as any: nothing is sent behind a password or database that is not "
        "taken; its keys fail at once, or go to others, until it answers a probe",
        "client: an error for that server's keys. Operator: `alongside_ambassador_server_left`",
    ),
    promise.Failure(
        "More clients connect than connections-max, connections-per-address-max or "
        "client_connections",
        "the connections over the limit are closed at once",
        "client: the connection closes. Operator: "
        "`alongside_ambassador_rejected_connections_total`",
    ),
    promise.Failure(
        "The file changes to one that is wrong",
        "the old one stays in force, whole; the file is looked at again when it changes, and where "
        "what reads it could not run, after 3 s and then less and less often",
        "operator: one line in the log with each mistake's line and remedy, "
        "`alongside_document_refused_total`",
    ),
    promise.Failure(
        "The file gets another server, another address or another pool",
        "it is in force without a connection lost; of a server that stays, connections and "
        "figures stay",
        "client: keys that are placed elsewhere now are misses",
    ),
)
