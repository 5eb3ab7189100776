"""What `route`, `cache` and `tls` promise alike, because the same binary keeps it."""

from __future__ import annotations

from alongside.contract import promise

LIMITS_GROUP = "Limits"

STATUS = promise.Parameter(
    name="status",
    kind=promise.Kind.ADDRESS,
    description="address of the status door: /healthz, /readyz, /metrics, /version",
    example="127.0.0.1:9090",
    unset="no status door",
    minimum="0",
)
ADMIN = promise.Parameter(
    name="admin",
    kind=promise.Kind.PATH,
    description="UNIX socket of the admin door, made with mode 0600",
    example="/run/alongside/admin.sock",
    unset="no admin door",
    maximum="107",
)
INNER = promise.Parameter(
    name="inner",
    kind=promise.Kind.CIDR,
    description="network whose clients' x-alongside-key and forwarded fields are believed",
    example="10.0.0.0/8",
    unset="nobody is believed; those fields are stripped",
    is_repeated=True,
)
THREADS = promise.Parameter(
    name="threads",
    kind=promise.Kind.INTEGER,
    description="worker threads",
    example="2",
    default="1",
    minimum="1",
    maximum="64",
)


def _size(name: str, default: str, least: str, most: str, description: str) -> promise.Parameter:
    return promise.Parameter(
        name=name,
        kind=promise.Kind.SIZE,
        description=description,
        example=default,
        default=default,
        minimum=least,
        maximum=most,
        group=LIMITS_GROUP,
    )


def _duration(
    name: str, default: str, description: str, *, least: str = "1ms", most: str = "24h"
) -> promise.Parameter:
    return promise.Parameter(
        name=name,
        kind=promise.Kind.DURATION,
        description=description,
        example=default,
        default=default,
        minimum=least,
        maximum=most,
        group=LIMITS_GROUP,
    )


def _count(
    name: str, default: str, most: str, description: str, *, least: str = "1"
) -> promise.Parameter:
    return promise.Parameter(
        name=name,
        kind=promise.Kind.INTEGER,
        description=description,
        example=default,
        default=default,
        minimum=least,
        maximum=most,
        group=LIMITS_GROUP,
    )


LIMITS = (
    _size("head_max", "32Ki", "1Ki", "1Mi", "longest head of a request or answer, in all"),
    _count("fields_max", "100", "128", "most header fields of a request or answer"),
    _size("target_max", "8Ki", "64B", "64Ki", "longest request target"),
    promise.Parameter(
        name="body_max",
        kind=promise.Kind.SIZE,
        description="longest body of a request",
        example="10Mi",
        unset="no limit; bodies are streamed, never held whole",
        group=LIMITS_GROUP,
    ),
    _duration("head_timeout", "10s", "time for a client to send a whole head"),
    _duration("body_timeout", "30s", "window in which a body, either way, must move body-min"),
    _size("body_min", "1Ki", "0B", "1Gi", "least bytes of a body in each body-timeout"),
    _duration("idle_timeout", "1m", "time a kept connection may wait for its next request"),
    _count("requests_per_connection_max", "10000", "4294967295", "requests of one connection"),
    _count("connections_max", "16384", "1048576", "client connections at once"),
    promise.Parameter(
        name="connections_per_address_max",
        kind=promise.Kind.INTEGER,
        description="client connections at once from one address",
        example="64",
        unset="no limit; clients may share an address",
        minimum="1",
        maximum="4294967295",
        group=LIMITS_GROUP,
    ),
    _duration("connect_timeout", "2s", "time to connect to the next hop"),
    _duration("response_timeout", "1m", "time for the next hop to begin its answer"),
    _count(
        "pool_idle_max",
        "256",
        "65536",
        "idle connections kept to each next hop by a thread",
        least="0",
    ),
    _duration("pool_idle_timeout", "30s", "time an idle connection to the next hop is kept"),
    _count("requests_max", "8192", "1048576", "requests at once that the next hops are answering"),
    _count("upstream_requests_max", "4096", "1048576", "the same for each next hop"),
    _count(
        "queue_max",
        "1024",
        "1048576",
        "requests that may wait for one of these to end; more are answered with 503 at once",
        least="0",
    ),
    _duration(
        "queue_timeout", "1s", "time a request may wait so; then it is answered with 503", least="0"
    ),
    _duration("tunnel_timeout", "1h", "time an upgraded connection may stay silent", most="168h"),
    _duration(
        "drain_timeout",
        "10s",
        "time that answers and tunnels get to end after SIGTERM; what is longer is cut",
        least="0",
    ),
)
"""The limits of the data plane; `components.dataplane` turns each into its document field."""

ACCESS_LOG = promise.Parameter(
    name="access_log_one_in",
    kind=promise.Kind.INTEGER,
    description="one request in so many has a line in the log, chosen by chance; 1 for every one",
    example="100",
    unset="no access log",
    minimum="1",
    maximum="1000000",
)

PORTS = (
    promise.Port("web", "listen", "HTTP/1.1", "where clients come in", number=8080),
    promise.Port("status", "status", "HTTP/1.1, GET only", "the status door, if asked for", 9090),
    promise.Port("admin", "admin", "HTTP/1.1 on a UNIX socket", "the admin door, if asked for"),
)
ADMIN_FILE = promise.File(
    "`admin`", "makes, removes", "the UNIX socket of the admin door", mode="0600"
)
SIGNALS = (
    promise.Signal(
        "SIGTERM, SIGINT", "drains: accepts no more, finishes requests within drain-timeout"
    ),
    promise.Signal("SIGTERM or SIGINT again", "ends at once"),
)
EXITS = (
    promise.Exit(0, "ended when told to"),
    promise.Exit(1, "failed: the data plane is missing or broke"),
    promise.Exit(2, "wrong usage: every mistake is listed on stderr, nothing was started"),
    promise.Exit(3, "an address to listen on is taken"),
)

METRICS = (
    promise.Metric(
        "alongside_http_requests_total",
        "counter",
        ("listener", "status"),
        "requests answered, by class of status (`2xx`)",
    ),
    promise.Metric(
        "alongside_http_request_duration_seconds",
        "histogram",
        ("listener",),
        "from a request's head to the last byte of its answer",
    ),
    promise.Metric(
        "alongside_http_refused_total",
        "counter",
        ("listener", "reason"),
        "requests that were not let in, by reason (`syntax`, `head_too_large`, …)",
    ),
    promise.Metric(
        "alongside_http_connections_rejected_total",
        "counter",
        ("listener", "reason"),
        "connections over a limit, by limit",
    ),
    promise.Metric(
        "alongside_http_connections", "gauge", ("listener",), "client connections open now"
    ),
    promise.Metric(
        "alongside_http_cut_total",
        "counter",
        ("listener",),
        "answers that ended before they were whole",
    ),
    promise.Metric(
        "alongside_http_upstream_requests_total",
        "counter",
        ("upstream", "outcome"),
        "requests sent on: `answered`, `connect_failed`, `closed`, `timed_out`, `refused`, "
        "`abandoned`, `left`",
    ),
    promise.Metric(
        "alongside_http_upstream_duration_seconds",
        "histogram",
        ("upstream",),
        "from a request's way to a next hop to the head of its answer",
    ),
    promise.Metric(
        "alongside_http_requests_under_way",
        "gauge",
        (),
        "requests that nodes and origins are answering, in the whole process",
    ),
    promise.Metric(
        "alongside_http_requests_waiting",
        "gauge",
        (),
        "requests that wait for one of these to end",
    ),
    promise.Metric(
        "alongside_http_shed_total",
        "counter",
        ("listener", "reason"),
        "requests refused for want of room: `requests_max`, `upstream_requests_max`, "
        "`queue_timeout`",
    ),
    promise.Metric(
        "alongside_http_upstream_retries_total",
        "counter",
        ("upstream",),
        "requests sent again because a kept connection had closed",
    ),
    promise.Metric("alongside_document_epoch", "gauge", (), "epoch of the document in force"),
    promise.Metric(
        "alongside_document_generation", "gauge", (), "generation of the document in force"
    ),
    promise.Metric("alongside_document_applied_total", "counter", (), "documents put in force"),
    promise.Metric("alongside_document_refused_total", "counter", (), "documents refused"),
    promise.Metric("alongside_process_resident_bytes", "gauge", (), "memory in use"),
    promise.Metric(
        "alongside_log_dropped_total", "counter", (), "log lines that nobody read in time"
    ),
    promise.Metric("alongside_build_info", "gauge", ("version",), "always 1"),
)
"""What every data-plane process counts; rust/http and rust/dataplane name them."""

CLIENT_FAILURES = (
    promise.Failure(
        "A request is malformed, ambiguous or smuggles (two lengths, bare line feeds, …)",
        "it is refused with 400 and the connection closed; nothing of it goes on",
        "client: 400 (501 for a coding, 505 for a version it does not know). Operator: "
        "`alongside_http_refused_total` names the reason",
    ),
    promise.Failure(
        "A head, target, field count or body is over its limit",
        "it is refused and the connection closed",
        "client: 431, 414 or 413. Operator: `alongside_http_refused_total` names the reason",
    ),
    promise.Failure(
        "A client sends too slowly, or falls silent in the middle",
        "its connection is ended after head-timeout or body-timeout; other clients do not notice",
        "client: 408 where no answer had begun, else the connection closes",
    ),
    promise.Failure(
        "More clients connect than connections-max or connections-per-address-max",
        "the connections over the limit are closed at once",
        "client: the connection closes. Operator: `alongside_http_connections_rejected_total` "
        "names the limit",
    ),
)
LOG_FAILURE = promise.Failure(
    "Nobody reads stderr",
    "requests go on; up to 1Mi of log lines wait (2Mi where it is not the access log), more are "
    "dropped, which the log says when it is read again",
    "operator: `alongside_log_dropped_total`",
)
LOAD_FAILURE = promise.Failure(
    "More requests come than requests-max or upstream-requests-max allow",
    "up to queue-max of them wait up to queue-timeout; the others are answered at once",
    "client: 503 with `Retry-After`. Operator: `alongside_http_shed_total` names the limit",
)
START_FAILURES = (
    promise.Failure(
        "A flag or variable is misspelt, empty, given twice, without a unit or out of range",
        "nothing is started",
        "one line on stderr for every mistake, each with what to write; exit code 2",
    ),
    promise.Failure(
        "The address to listen on is taken",
        "nothing is started",
        "one line on stderr naming the address; exit code 3",
    ),
    promise.Failure(
        "A document put by the admin door is wrong, or older than the one in force",
        "the old one stays in force, whole; no connection is touched",
        "who put it: 400 with every mistake by its path, or 409",
    ),
    promise.Failure(
        "SIGTERM arrives while requests run",
        "they finish within drain-timeout, tunnels too, then what is left is cut; a kept "
        "connection that is idle has 1s (drain-timeout where that is less) for one more request, "
        "whose answer closes it. A second SIGTERM cuts at once",
        "client: its whole answer, or a cut connection after drain-timeout. Operator: "
        "`connections_cut` in the log's `ended`",
    ),
)
