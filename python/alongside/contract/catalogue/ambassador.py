"""The contract of `alongside ambassador`: many servers as one, by the file of twemproxy."""

from __future__ import annotations

from alongside.contract import promise
from alongside.contract.catalogue import dataplane, pooling

CLIENTS_GROUP = "Clients"
SERVERS_GROUP = "Servers"
_OF_DATAPLANE = {one.name: one for one in dataplane.LIMITS}

_FILE = (
    promise.Parameter(
        name="config",
        kind=promise.Kind.PATH,
        description="twemproxy's file: pools, where they listen, their servers; followed",
        example="/etc/nutcracker/nutcracker.yml",
        is_required=True,
        maximum="4096",
    ),
    promise.Parameter(
        name="lint",
        kind=promise.Kind.BOOLEAN,
        description="say what is wrong or odd in the file, a line each, and start nothing",
        example="true",
        unset="it is started",
        aliases=(promise.Alias(name="--check"),),
    ),
    promise.Parameter(
        name="stats_port",
        kind=promise.Kind.PORT,
        description="port where figures are read as twemproxy gives them, a line of JSON",
        example="22222",
        unset="they are not given so; status has more of them",
        minimum="1",
    ),
    promise.Parameter(
        name="stats_address",
        kind=promise.Kind.TEXT,
        description="host of stats-port: an address of this machine",
        example="10.0.0.1",
        default="127.0.0.1",
        maximum="255",
    ),
    promise.Parameter(
        name="compat",
        kind=promise.Kind.CHOICE,
        description="what a command gets that is not known or malformed: an answer, or as with "
        "twemproxy the end of its connection (strict)",
        example="strict",
        default="answer",
        choices=("answer", "strict"),
    ),
    promise.Parameter(
        name="char",
        kind=promise.Kind.CHOICE,
        description="how hashes read bytes from 128 on: signed as twemproxy on x86, unsigned as on "
        "ARM",
        example="unsigned",
        default="signed",
        choices=("signed", "unsigned"),
    ),
    promise.Parameter(
        name="secrets",
        kind=promise.Kind.PATH,
        description="folder, made with mode 0700, in which each redis_auth of the file is handed "
        "to the data plane",
        example="/run/alongside/secrets",
        unset="a folder of this user's: in XDG_RUNTIME_DIR, in /run/alongside, else in /tmp",
        maximum="4096",
    ),
)

_CLIENTS = (
    promise.Parameter(
        name="certificate_path",
        kind=promise.Kind.PATH,
        description="a folder with tls.crt and tls.key, or a PEM file with the chain: clients come "
        "by TLS; followed",
        example="/etc/tls",
        unset="clients come without TLS",
        maximum="4096",
        group=CLIENTS_GROUP,
    ),
    promise.Parameter(
        name="key_path",
        kind=promise.Kind.PATH,
        description="a PEM file with the key of a certificate-path that is a file",
        example="/etc/tls/site.key",
        unset="the key stands in the folder, or in the chain's own file",
        maximum="4096",
        group=CLIENTS_GROUP,
    ),
    promise.Parameter(
        name="client_ca",
        kind=promise.Kind.PATH,
        description="PEM file of the authorities that clients' certificates must come from",
        example="/etc/tls/clients.pem",
        unset="clients need no certificate",
        maximum="4096",
        group=CLIENTS_GROUP,
    ),
    promise.Parameter(
        name="user",
        kind=promise.Kind.TEXT,
        description="Redis: NAME=PATH, a user that clients may be and the file with the password; "
        "followed",
        example="app=/run/secrets/app",
        unset="clients need no password but that of redis_auth",
        maximum="4096",
        is_repeated=True,
        group=CLIENTS_GROUP,
    ),
    promise.Parameter(
        name="may_flush",
        kind=promise.Kind.BOOLEAN,
        description="memcache: let flush_all empty every server of its pool",
        example="true",
        unset="it is refused",
        group=CLIENTS_GROUP,
    ),
)

_SERVERS = (
    promise.Parameter(
        name="servers_percent_min",
        kind=promise.Kind.INTEGER,
        description="least part of a pool's servers that stays, in percent: no further one is "
        "ejected, and its keys fail instead",
        example="50",
        default="0",
        minimum="0",
        maximum="100",
        group=SERVERS_GROUP,
    ),
    promise.Parameter(
        name="resolve",
        kind=promise.Kind.DURATION,
        description="how often names of servers are looked up again",
        example="1s",
        default="5s",
        minimum="100ms",
        maximum="24h",
        group=SERVERS_GROUP,
    ),
    promise.Parameter(
        name="server_ca",
        kind=promise.Kind.PATH,
        description="PEM file of the authorities that servers' certificates must come from: "
        "servers are spoken to by TLS; followed",
        example="/etc/tls/servers.pem",
        unset="servers are spoken to without TLS",
        maximum="4096",
        group=SERVERS_GROUP,
    ),
    promise.Parameter(
        name="server_name",
        kind=promise.Kind.TEXT,
        description="the name that servers' certificates must have",
        example="cache.internal",
        unset="each server's host",
        maximum="255",
        group=SERVERS_GROUP,
    ),
    promise.Parameter(
        name="server_certificate",
        kind=promise.Kind.PATH,
        description="the certificate that servers are shown: a folder with tls.crt and tls.key, or "
        "a PEM file; followed",
        example="/etc/tls/ambassador",
        unset="servers are shown none",
        maximum="4096",
        group=SERVERS_GROUP,
    ),
    promise.Parameter(
        name="server_key",
        kind=promise.Kind.PATH,
        description="a PEM file with the key of the certificate that servers are shown",
        example="/etc/tls/ambassador.key",
        unset="the key stands in the folder, or in the chain's own file",
        maximum="4096",
        group=SERVERS_GROUP,
    ),
    promise.Parameter(
        name="server_user",
        kind=promise.Kind.TEXT,
        description="Redis: NAME=PATH, as whom servers are told we come and the file with the "
        "password; followed",
        example="proxy=/run/secrets/proxy",
        unset="redis_auth of the file, or nobody",
        maximum="4096",
        group=SERVERS_GROUP,
    ),
)


def _count(name: str, default: str, most: str, description: str) -> promise.Parameter:
    return promise.Parameter(
        name=name,
        kind=promise.Kind.INTEGER,
        description=description,
        example=default,
        default=default,
        minimum="1",
        maximum=most,
        group=dataplane.LIMITS_GROUP,
    )


_LIMITS = (
    promise.Parameter(
        name="value_max",
        kind=promise.Kind.SIZE,
        description="largest value of a key",
        example="1Mi",
        default="64Mi",
        minimum="1B",
        maximum="1Gi",
        group=dataplane.LIMITS_GROUP,
    ),
    _count("keys_max", "65536", "1048576", "most keys of one command"),
    _count("client_requests_max", "256", "65536", "commands that a client may wait for at once"),
    _count(
        "requests_max",
        "262144",
        "16777216",
        "commands of one thread that a pool's clients may wait for at once",
    ),
    *(
        _OF_DATAPLANE[name]
        for name in (
            "connections_max",
            "connections_per_address_max",
            "connect_timeout",
            "drain_timeout",
        )
    ),
)

_PORTS = (
    promise.Port("pools", "config", "memcache's text and meta commands, RESP2 or RESP3", "clients"),
    promise.Port(
        "stats", "stats_port", "one line of JSON, then the end", "figures, if asked for", 22222
    ),
    *dataplane.PORTS[1:],
)

CONTRACT = promise.Contract(
    component="ambassador",
    summary="Let many memcache or Redis servers be one, by twemproxy's file",
    promise=(
        "It reads the `nutcracker.yaml` of twemproxy as it is, and places every key where "
        "twemproxy does: all twelve hashes, ketama, modula, random, hash tags, weights and names, "
        "byte for byte. Clients see one server; each command goes to the server of its key, one "
        "with several keys to all of theirs, and answers come in the order of the commands, "
        "exactly one for each. A client of Redis that asks for RESP3 (`HELLO 3`) gets it where its "
        "servers speak it, beside those of RESP2.\n\n"
        "A server that fails takes its own keys with it and nothing else: no client's connection, "
        "no other server's answer. It is used again when it has answered a probe. The file is "
        "followed by its content, also where a symlink is swapped as Kubernetes does it: a right "
        "one is in force without a connection lost, a wrong one changes nothing. What the log "
        "lines say is not part of the promise.\n\n"
        "Where twemproxy takes what means nothing, it is refused or brought into range: a name or "
        "a pool that is not 1 to 255 visible ASCII characters, a weight over 65535, a server "
        "without a host, a mode that is not octal are refused; times over an hour, more than 64 "
        "connections to a server, more than 1000 failures and more than 1048576 clients of a pool "
        "are taken as that much. `backlog` and `reuseport` have no effect. `client_connections`, "
        "which twemproxy forgets, bounds the pool's clients, beside `connections-max`, which "
        "bounds those of all and leaves room for them where it is not given."
    ),
    parameters=(
        *_FILE,
        dataplane.STATUS,
        dataplane.ADMIN,
        promise.PARAMETERS_FILE,
        dataplane.THREADS,
        *_CLIENTS,
        *_SERVERS,
        *_LIMITS,
    ),
    examples=(
        "alongside ambassador --config nutcracker.yaml --stats-port 6222",
        "alongside ambassador --config nutcracker.yaml --lint",
        "nutcracker -c /etc/config/nutcracker.yaml -v 7 -s 6222",
    ),
    ports=_PORTS,
    routes=pooling.ROUTES,
    files=(
        promise.File("`config`", "reads", "twemproxy's file; followed"),
        promise.File(
            "`certificate-path`, `key-path`, `client-ca`, `server-ca`, `server-certificate`, "
            "`server-key`, `user`, `server-user`",
            "reads",
            "certificates, keys and passwords; followed",
        ),
        promise.File(
            "`secrets`",
            "makes, writes",
            "each redis_auth of the file; what was written stays when the process has ended",
            mode="0600",
            publication="rename",
        ),
        dataplane.ADMIN_FILE,
    ),
    signals=(*dataplane.SIGNALS, promise.Signal("SIGHUP", "reads the file again")),
    exits=dataplane.EXITS,
    metrics=pooling.METRICS,
    failures=(
        *pooling.FAILURES,
        promise.Failure(
            "The file is wrong at the start: an unknown directive, one twice, a bad value",
            "nothing is started",
            "a line on stderr for every mistake, with the file's line, the remedy and the nearest "
            "known name; exit code 2",
        ),
        dataplane.LOG_FAILURE,
        *dataplane.START_FAILURES,
    ),
)
