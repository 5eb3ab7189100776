"""The calls that a data-plane process answers at its doors, with their statuses and fields."""

from __future__ import annotations

from alongside.contract import promise

_BOTH, _ADMIN = "status, admin", "admin"
_PROBLEMS = (
    promise.Field("errors[].path", "string"),
    promise.Field("errors[].message", "string"),
)

ROUTES = (
    promise.Route(
        _BOTH,
        "GET",
        "/healthz",
        "200 while the process works",
        (promise.Answer(200, "it works"),),
    ),
    promise.Route(
        _BOTH,
        "GET",
        "/readyz",
        "200 while it accepts requests or stands by to, 503 while it drains",
        (
            promise.Answer(200, "it accepts requests, or stands by to"),
            promise.Answer(503, "it drains"),
        ),
    ),
    promise.Route(
        _BOTH,
        "GET",
        "/metrics",
        "metrics as Prometheus text",
        (promise.Answer(200, "all metrics"),),
    ),
    promise.Route(
        _BOTH,
        "GET",
        "/version",
        "name, version, build profile and document schema as JSON; `about`: the component, the "
        "digest of its contract, its parameters in force",
        (promise.Answer(200, "what runs"),),
        (
            promise.Field("name", "string"),
            promise.Field("version", "string"),
            promise.Field("schema", "integer"),
            promise.Field("profile", "string"),
            promise.Field("about.component", "string"),
            promise.Field("about.contract", "string"),
            promise.Field("about.values[].name", "string"),
            promise.Field("about.values[].texts[]", "string"),
        ),
    ),
    promise.Route(
        _ADMIN,
        "GET",
        "/snapshot",
        "the document in force, its epoch and generation",
        (promise.Answer(200, "what is in force"),),
        (
            promise.Field("epoch", "integer"),
            promise.Field("generation", "integer"),
            promise.Field("stands_by", "boolean"),
            promise.Field("draining", "boolean"),
            promise.Field("connections", "integer"),
            promise.Field("listeners[].name", "string"),
            promise.Field("listeners[].address", "string"),
            promise.Field("twemproxy_stats", "string or null"),
            promise.Field("document", "object"),
        ),
    ),
    promise.Route(
        _ADMIN,
        "GET",
        "/explain",
        "how a request would be placed: route=NAME&url=URL",
        (
            promise.Answer(200, "where it goes"),
            promise.Answer(400, "the query is wrong"),
            promise.Answer(404, "there is no such route"),
        ),
        (
            promise.Field("route", "string"),
            promise.Field("key", "string"),
            promise.Field("hash", "integer"),
            promise.Field("shard", "string"),
            promise.Field("replicas[].id", "string"),
            promise.Field("replicas[].address", "string"),
            promise.Field("replicas[].share", "number"),
            promise.Field("replicas[].warmth", "number"),
            promise.Field("replicas[].in_flight", "integer"),
            promise.Field("replicas[].waiting", "integer"),
            promise.Field("replicas[].not_used", "string or null"),
            promise.Field("now", "string or null"),
        ),
    ),
    promise.Route(
        _ADMIN,
        "PUT",
        "/document",
        "put another document in force, all or nothing",
        (
            promise.Answer(200, "it is in force"),
            promise.Answer(400, "it is wrong: every mistake by its path; the old one stays"),
            promise.Answer(409, "it is older than the one in force, which stays"),
            promise.Answer(413, "it is longer than 16Mi"),
        ),
        (
            promise.Field("epoch", "integer"),
            promise.Field("generation", "integer"),
            promise.Field("applied", "boolean"),
            *_PROBLEMS,
        ),
    ),
    promise.Route(
        _ADMIN,
        "POST",
        "/purge",
        'drop a cached URL: {"cache": NAME, "url": URL}',
        (
            promise.Answer(200, "it is forgotten"),
            promise.Answer(400, "there is no URL in it, or no such cache"),
            promise.Answer(413, "it is longer than 64Ki"),
        ),
        (promise.Field("purged", "integer"),),
    ),
    promise.Route(
        _ADMIN,
        "POST",
        "/serve",
        "let connections in, after standing by",
        (promise.Answer(200, "they are let in"), promise.Answer(409, "the process is ending")),
        (promise.Field("serving", "boolean"),),
    ),
    promise.Route(
        _ADMIN,
        "POST",
        "/drain",
        "stop accepting, finish what runs, end",
        (promise.Answer(202, "it has begun"),),
        (promise.Field("draining", "boolean"),),
    ),
)
"""What rust/dataplane/src/doors.rs answers."""
