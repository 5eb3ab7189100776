"""The contract of `alongside route`: a router that spreads HTTP requests over nodes by a key."""

from __future__ import annotations

from alongside.contract import promise
from alongside.contract.catalogue import dataplane

_PARAMETERS = (
    promise.Parameter(
        name="listen",
        kind=promise.Kind.ADDRESS,
        description="address where clients come in; port 0 lets the system choose one",
        example="127.0.0.1:8080",
        is_required=True,
        minimum="0",
    ),
    promise.Parameter(
        name="node",
        kind=promise.Kind.NODE,
        description="a shard named ID and the node that serves it; ID=HOST:PORT, or "
        "ID=HOST:PORT:WEIGHT for more or less than an equal part",
        example="a=127.0.0.1:9001",
        is_required=True,
        is_repeated=True,
    ),
    promise.Parameter(
        name="key",
        kind=promise.Kind.TEXT,
        description="what of a request is hashed: request.uri, request.path, request.ip, "
        'request.headers["x"], request.cookies["x"], request.query["x"], "text", joined by +',
        example="request.uri",
        default="request.uri",
        maximum="4096",
    ),
    promise.Parameter(
        name="function",
        kind=promise.Kind.CHOICE,
        description="how a key finds its shard, each as nginx computes it",
        example="ketama",
        default="ketama",
        choices=("ketama", "modulo"),
    ),
    dataplane.INNER,
    dataplane.STATUS,
    dataplane.ADMIN,
    dataplane.THREADS,
    *dataplane.LIMITS,
)

_METRICS = (
    promise.Metric(
        "alongside_route_requests_total",
        "counter",
        ("route", "shard"),
        "requests placed, by shard",
    ),
)

_FAILURES = (
    promise.Failure(
        "A node refuses connections or does not answer within connect-timeout",
        "the request is answered with an error; its key does not move to another node",
        "client: 502. Operator: `alongside_http_upstream_requests_total`, `connect_failed`",
    ),
    promise.Failure(
        "A node closes a kept connection just as a request goes out on it",
        "the request is sent again once on a new connection where that is safe (GET, HEAD and "
        "the like without a body), and such requests alone go out on kept connections",
        "nobody notices. Operator: `alongside_http_upstream_retries_total`",
    ),
    promise.Failure(
        "A node takes a request and does not begin its answer within response-timeout",
        "the request is answered with an error, the connection to the node is closed",
        "client: 504. Operator: `timed_out`",
    ),
    promise.Failure(
        "A node dies in the middle of an answer",
        "the client's connection is cut, so that a short body is never taken for a whole one",
        "client: a cut connection. Operator: `closed`",
    ),
    promise.Failure(
        "A node sends a malformed or ambiguous answer",
        "nothing of it goes on; the connection to the node is closed",
        "client: 502. Operator: `refused`",
    ),
    promise.Failure(
        "The part of the request that the key names is absent",
        "it counts as empty text, so that all such requests meet at one shard",
        "operator: `alongside explain` shows the key",
    ),
    promise.Failure(
        "A client sends x-alongside-key or forwarded fields from outside inner",
        "they are stripped, and X-Forwarded-For, -Proto and -Host are set anew",
        "nobody: the node sees only what the router vouches for",
    ),
)

CONTRACT = promise.Contract(
    component="route",
    summary="Spread HTTP requests over nodes by a key of each request",
    promise=(
        "Each request goes to the one node whose shard its key falls to, the same in every router "
        "with the same nodes, and the same as nginx with `hash` (`modulo`) or `hash … consistent` "
        "(`ketama`) would choose. With `ketama` a node more or less moves only the keys of that "
        "node, and the order in which nodes are named does not matter; with `modulo` it does.\n\n"
        "The ring holds the ID of a node, never its address: a node may move to another address "
        "and keeps its keys. Bodies are streamed both ways and never held whole. Nothing hostile "
        "or ambiguous is passed on. What the log lines say is not part of the promise."
    ),
    parameters=_PARAMETERS,
    examples=(
        "alongside route --listen 127.0.0.1:8080 \\\n"
        "  --node a=127.0.0.1:9001 --node b=127.0.0.1:9002:2 --key request.uri --function ketama",
        'ROUTE_LISTEN=127.0.0.1:8080 ROUTE_NODE="a=127.0.0.1:9001 b=127.0.0.1:9002" '
        "alongside route",
    ),
    ports=dataplane.PORTS,
    routes=dataplane.ROUTES,
    files=(
        promise.File("`admin`", "makes, removes", "the UNIX socket of the admin door, mode 0600"),
    ),
    signals=dataplane.SIGNALS,
    exits=dataplane.EXITS,
    metrics=(*dataplane.METRICS, *_METRICS),
    failures=(*dataplane.CLIENT_FAILURES, *_FAILURES, *dataplane.START_FAILURES),
)
