"""The contract of `alongside route`: a router that spreads HTTP requests over nodes by a key."""

from __future__ import annotations

from alongside.contract import promise
from alongside.contract.catalogue import dataplane, doors

PROBING_GROUP = "Probing"

_PROBING = (
    promise.Parameter(
        name="probe",
        kind=promise.Kind.CHOICE,
        description="how nodes are looked at: tcp (they take a connection, which a frozen process "
        "does too), http (they answer a GET), or cache (they are ours: they say how warm they are, "
        "forget what a method changed, and errors that they pass on from their origin are not held "
        "against them)",
        example="cache",
        default="tcp",
        choices=("tcp", "http", "cache"),
        group=PROBING_GROUP,
    ),
    promise.Parameter(
        name="probe_path",
        kind=promise.Kind.TEXT,
        description="what an http probe asks for; a status below 400 is good",
        example="/healthz",
        default="/",
        minimum="1",
        maximum="1024",
        group=PROBING_GROUP,
    ),
    promise.Parameter(
        name="probe_interval",
        kind=promise.Kind.DURATION,
        description="time between two looks at a node; one that cannot be used is looked at four "
        "times as often",
        example="500ms",
        default="1s",
        minimum="10ms",
        maximum="1h",
        group=PROBING_GROUP,
    ),
    promise.Parameter(
        name="probe_timeout",
        kind=promise.Kind.DURATION,
        description="time for a node to answer a look; the second failed one in a row leaves it",
        example="500ms",
        default="1s",
        minimum="10ms",
        maximum="1h",
        group=PROBING_GROUP,
    ),
)

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
        name="replica",
        kind=promise.Kind.REPLICA,
        description="one more node, named ID, that serves the shard SHARD of a --node",
        example="a/a-2=127.0.0.1:9011",
        unset="each shard has one node",
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
    promise.Parameter(
        name="origin",
        kind=promise.Kind.URL,
        description="the server behind the nodes: methods that change something go there at once, "
        "and everything else while no node can be used",
        example="http://127.0.0.1:8000",
        unset="only nodes answer",
        choices=("http",),
    ),
    promise.Parameter(
        name="fallback",
        kind=promise.Kind.CHOICE,
        description="where a request goes of whose shard no node can be used: to the origin if "
        "there is one, to the shard that follows and then the origin, or nowhere (503)",
        example="origin",
        default="origin",
        choices=("origin", "next-shard", "error"),
    ),
    promise.Parameter(
        name="buffer",
        kind=promise.Kind.SIZE,
        description="length up to which answers are held whole, so that a node's death is not "
        "noticed; longer ones go on from elsewhere where the origin gave a strong ETag",
        example="64Ki",
        default="64Ki",
        minimum="0B",
        maximum="16Mi",
    ),
    promise.Parameter(
        name="retry_percent",
        kind=promise.Kind.INTEGER,
        description="most requests that are tried again elsewhere, in percent of all; ten a second "
        "always may be",
        example="20",
        default="20",
        minimum="0",
        maximum="100",
    ),
    dataplane.INNER,
    dataplane.STATUS,
    dataplane.ADMIN,
    promise.PARAMETERS_FILE,
    dataplane.THREADS,
    dataplane.ACCESS_LOG,
    *_PROBING,
    *dataplane.LIMITS,
)

_METRICS = (
    promise.Metric(
        "alongside_route_requests_total",
        "counter",
        ("route", "shard"),
        "requests placed, by shard",
    ),
    promise.Metric(
        "alongside_route_retries_total",
        "counter",
        ("route", "reason"),
        "requests tried again elsewhere: `connect_failed`, `closed`, `left`; `cut` for the rest of "
        "a long answer",
    ),
    promise.Metric(
        "alongside_route_retries_refused_total",
        "counter",
        ("route",),
        "requests not tried again, because too many were",
    ),
    promise.Metric(
        "alongside_route_fallbacks_total",
        "counter",
        ("route", "to"),
        "requests for which no node of their shard could be used: to `origin`, `next_shard`, "
        "`error`",
    ),
    promise.Metric(
        "alongside_route_resumed_total",
        "counter",
        ("route",),
        "answers that broke off and went on from elsewhere",
    ),
    promise.Metric(
        "alongside_route_node_left_total",
        "counter",
        ("route", "node", "reason"),
        "how often a node was left: `unreachable`, `probe_failed`, `errors`, `slow`",
    ),
    promise.Metric(
        "alongside_route_node_share_ratio",
        "gauge",
        ("route", "node"),
        "the part of its requests that a node gets; 0 while it is left",
    ),
    promise.Metric(
        "alongside_route_node_warmth_ratio",
        "gauge",
        ("route", "node"),
        "how warm a node says it is; 1 where it says nothing",
    ),
    promise.Metric(
        "alongside_route_node_in_flight",
        "gauge",
        ("route", "node"),
        "requests that a node is answering",
    ),
    promise.Metric(
        "alongside_route_node_waiting",
        "gauge",
        ("route", "node"),
        "requests that wait for one of these to end",
    ),
    promise.Metric(
        "alongside_route_node_owed_orders",
        "gauge",
        ("route", "node"),
        "orders to forget that a node has yet to take, at most 4096; one more, and it is to "
        "forget everything",
    ),
    promise.Metric(
        "alongside_route_node_owed_bytes",
        "gauge",
        ("route", "node"),
        "what these take, at most 1Mi",
    ),
)

_FAILURES = (
    promise.Failure(
        "A node refuses connections or does not answer within connect-timeout",
        "it is left, and comes back by a probe; what can be sent again (no body, an idempotent "
        "method, nothing answered yet) goes to another node of the shard, then where fallback "
        "says. With one node a shard and no origin there is nowhere else, and its key does not "
        "move",
        "client: nothing, or 502 where there is nowhere else. Operator: "
        "`alongside_route_node_left_total`, `alongside_route_retries_total`",
    ),
    promise.Failure(
        "A node freezes: it takes connections and answers nothing",
        "after two failed probes (http or cache; a connection is taken also by a frozen process, "
        "so that tcp does not see it) it is left, and who waited for it is answered by another "
        "node; a node that is only slow is not asked twice",
        "client: an answer that takes up to probe-interval and twice probe-timeout longer (twice "
        "probe-interval and once probe-timeout where the interval is longer). Operator: reason "
        "`probe_failed`",
    ),
    promise.Failure(
        "A node that was left, or was restarted, answers again",
        "the next probe takes it back; while it warms up it gets a smaller part of the requests",
        "nobody notices. Operator: `alongside_route_node_share_ratio`",
    ),
    promise.Failure(
        "All nodes of a shard are gone",
        "its requests go to the origin, to the shard that follows, or nowhere, as fallback says",
        "client: slower answers, or 503. Operator: `alongside_route_fallbacks_total`",
    ),
    promise.Failure(
        "More requests are lost than retry-percent allows to be tried again",
        "the others are answered with an error, so that an overload is not made worse",
        "client: 502 or 504. Operator: `alongside_route_retries_refused_total`",
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
        "an answer up to buffer was held back and is asked for again; a longer one goes on from "
        "another node or the origin if it has a strong ETag and the rest can be had by Range; "
        "else the client's connection is cut, so that a short body is never taken for a whole one",
        "client: its whole answer, or a cut connection. Operator: "
        "`alongside_route_resumed_total`, `alongside_http_cut_total`",
    ),
    promise.Failure(
        "A method that changes something (POST, PUT, DELETE, …) fails on its way",
        "with origin it goes there once, past the nodes, and is never sent again; when it was "
        "accepted, the nodes that may hold the URL are told to forget it (probe cache), for up to "
        "250ms before the client has its answer, and those that did not answer are told again and "
        "not read from before",
        "client: the origin's answer, or 502",
    ),
    promise.Failure(
        "The router is killed while a node has yet to be told what to forget, or another router "
        "can reach that node",
        "a sibling of the node was asked within these 250ms to tell it too, and does so until it "
        "has. The sibling is told again by the router, or another one is, while it does not "
        "answer. With one node a shard there is no sibling, and what it was not told is lost",
        "client of another router: the old page from such a node, until its sibling reaches it: "
        "about a second after it can. Operator: log events `node_behind`, `node_minded`, "
        "`forgets_dropped`",
    ),
    promise.Failure(
        "A node is told to forget and does not understand: it is no cache of ours, or its inner "
        "lacks the router",
        "it does nothing, the log says so once, and it is read from on",
        "client: pages that it stored, until they expire",
    ),
    promise.Failure(
        "The router has no descriptor, memory or port left, or its resolver fails",
        "requests fail or wait, but no node is left for it; the last known addresses of a name are "
        "used for 5m",
        "client: 502. Operator: `alongside_http_upstream_requests_total`, `connect_failed`",
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
        "Each request goes to a node of the shard its key falls to, the same shard in every router "
        "with the same shards, and the same as nginx with `hash` (`modulo`) or `hash … consistent` "
        "(`ketama`) would choose. With `ketama` a shard more or less moves only the keys of that "
        "shard, and the order in which shards are named does not matter; with `modulo` it does. Of "
        "a shard's nodes two are drawn and the one with fewer requests in flight answers.\n\n"
        "The ring holds the name of a shard (the ID of its --node), never an address: a node may "
        "move to another address and keeps its keys. Bodies are streamed both ways; only answers "
        "up to buffer are held whole. Nothing hostile or ambiguous is passed on. "
        "What the log lines say is not part of the promise."
    ),
    parameters=_PARAMETERS,
    examples=(
        "alongside route --listen 127.0.0.1:8080 \\\n"
        "  --node a=127.0.0.1:9001 --node b=127.0.0.1:9002:2 --key request.uri --function ketama",
        "alongside route --listen 127.0.0.1:8080 --node a=127.0.0.1:9001 \\\n"
        "  --replica a/a-2=127.0.0.1:9011 --origin http://127.0.0.1:8000 --probe cache",
        'ROUTE_LISTEN=127.0.0.1:8080 ROUTE_NODE="a=127.0.0.1:9001 b=127.0.0.1:9002" '
        "alongside route",
    ),
    ports=dataplane.PORTS,
    routes=doors.ROUTES,
    files=(dataplane.ADMIN_FILE,),
    signals=dataplane.SIGNALS,
    exits=dataplane.EXITS,
    metrics=(*dataplane.METRICS, *_METRICS),
    failures=(
        *dataplane.CLIENT_FAILURES,
        dataplane.LOAD_FAILURE,
        dataplane.LOG_FAILURE,
        *_FAILURES,
        *dataplane.START_FAILURES,
    ),
)
