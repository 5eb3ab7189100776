"""The contract of `alongside tls`: HTTPS to the world, in front of a program that knows none."""

from __future__ import annotations

from alongside.contract import promise
from alongside.contract.catalogue import authority, dataplane, doors

CERTIFICATES_GROUP = "Certificates"
CLIENTS_GROUP = "Clients"

_PROGRAM = (
    promise.Parameter(
        name="proxy_port",
        kind=promise.Kind.TEXT,
        description="where the program listens: a port of 127.0.0.1, or HOST:PORT",
        example="8000",
        unset="proxy-socket says where it listens",
        maximum="300",
        own_variable="PROXY_PORT",
    ),
    promise.Parameter(
        name="proxy_socket",
        kind=promise.Kind.PATH,
        description="the UNIX socket where the program listens, instead of proxy-port",
        example="/run/legacy.sock",
        unset="proxy-port says where it listens",
        maximum="107",
    ),
    promise.Parameter(
        name="proxy_protocol",
        kind=promise.Kind.CHOICE,
        description="what the program speaks: http1, or h2c (HTTP/2 without TLS, as gRPC does)",
        example="h2c",
        default="http1",
        choices=("http1", "h2c"),
    ),
    promise.Parameter(
        name="listen",
        kind=promise.Kind.ADDRESS,
        description="address where clients come in by HTTPS; port 0 lets the system choose one",
        example="127.0.0.1:8443",
        default="0.0.0.0:8443",
        minimum="0",
    ),
    promise.Parameter(
        name="redirect",
        kind=promise.Kind.ADDRESS,
        description="address of a plain listener that sends everybody to https (308)",
        example="0.0.0.0:8080",
        unset="there is no plain listener",
        minimum="0",
    ),
    promise.Parameter(
        name="redirect_port",
        kind=promise.Kind.PORT,
        description="the port that redirect sends to, where it is not the one of listen",
        example="443",
        unset="the port of listen",
        minimum="1",
    ),
    promise.Parameter(
        name="hsts",
        kind=promise.Kind.DURATION,
        description="how long clients shall ask by https alone (Strict-Transport-Security), in "
        "whole seconds",
        example="8760h",
        unset="clients are told nothing",
        minimum="1s",
        maximum="43800h",
    ),
    promise.Parameter(
        name="trusted",
        kind=promise.Kind.CIDR,
        description="network whose clients' forwarded fields are believed",
        example="10.0.0.0/8",
        unset="nobody is believed; those fields are replaced",
        is_repeated=True,
    ),
    promise.Parameter(
        name="proxy_from",
        kind=promise.Kind.CIDR,
        description="network of balancers that begin each connection with a header of the PROXY "
        "protocol, version 1 or 2; all other connections are closed",
        example="10.0.0.0/8",
        unset="nobody sends such headers",
        is_repeated=True,
    ),
)

_CERTIFICATES = (
    promise.Parameter(
        name="certificate_path",
        kind=promise.Kind.PATH,
        description="a folder with tls.crt and tls.key, or a PEM file with the chain; NAME=PATH "
        "for a further one. The one without a name serves who asks for a host that none has; of "
        "two for one host, by keys of different kinds, a client gets the one it can check",
        example="/etc/tls",
        unset="acme gets one",
        maximum="4096",
        is_repeated=True,
        own_variable="CERTIFICATE_PATH",
        group=CERTIFICATES_GROUP,
    ),
    promise.Parameter(
        name="key_path",
        kind=promise.Kind.PATH,
        description="a PEM file with the key of a certificate-path that is a file; NAME=PATH for "
        "a further one",
        example="/etc/tls/site.key",
        unset="the key stands in the folder, or in the chain's own file",
        maximum="4096",
        is_repeated=True,
        group=CERTIFICATES_GROUP,
    ),
    promise.Parameter(
        name="staple",
        kind=promise.Kind.PATH,
        description="a file with an OCSP answer (DER) to staple while it is good; NAME=PATH for a "
        "further certificate's",
        example="/etc/tls/site.ocsp",
        unset="nothing is stapled",
        maximum="4096",
        is_repeated=True,
        group=CERTIFICATES_GROUP,
    ),
    promise.Parameter(
        name="default_certificate",
        kind=promise.Kind.TEXT,
        description="the NAME of the certificate for hosts that none has, and for clients that "
        "name no host",
        example="shop",
        unset="the one without a name; where all have one, unknown hosts are refused",
        maximum="255",
        group=CERTIFICATES_GROUP,
    ),
    promise.Parameter(
        name="tls_min_version",
        kind=promise.Kind.CHOICE,
        description="the oldest version of TLS that is spoken",
        example="1.3",
        default="1.2",
        choices=("1.2", "1.3"),
        own_variable="TLS_MIN_VERSION",
        group=CERTIFICATES_GROUP,
    ),
    promise.Parameter(
        name="ready_expiry",
        kind=promise.Kind.DURATION,
        description="/readyz fails while a certificate expires within this time, in whole seconds",
        example="24h",
        unset="expiry makes no difference to /readyz",
        minimum="0",
        maximum="43800h",
        group=CERTIFICATES_GROUP,
    ),
    promise.Parameter(
        name="session",
        kind=promise.Kind.DURATION,
        description="time in which a session can be resumed, in whole seconds; keys of tickets "
        "are renewed as often; 0 for no resumption",
        example="1h",
        default="12h",
        minimum="0",
        maximum="168h",
        group=CERTIFICATES_GROUP,
    ),
)

_CLIENTS = (
    promise.Parameter(
        name="client_certificates",
        kind=promise.Kind.CHOICE,
        description="certificates of clients: off, asked (one that is shown must be good), or "
        "required",
        example="required",
        default="off",
        choices=("off", "asked", "required"),
        group=CLIENTS_GROUP,
    ),
    promise.Parameter(
        name="client_ca",
        kind=promise.Kind.PATH,
        description="PEM file of the authorities that clients' certificates must come from",
        example="/etc/tls/clients.pem",
        unset="client-certificates is off",
        maximum="4096",
        group=CLIENTS_GROUP,
    ),
    promise.Parameter(
        name="client_crl",
        kind=promise.Kind.PATH,
        description="PEM file of lists of revoked certificates",
        example="/etc/tls/clients.crl",
        unset="nothing is revoked",
        maximum="4096",
        group=CLIENTS_GROUP,
    ),
    promise.Parameter(
        name="client_hosts",
        kind=promise.Kind.TEXT,
        description="host that asks for a client's certificate; *.example for every name one "
        "label below",
        example="admin.example",
        unset="every host asks",
        maximum="255",
        is_repeated=True,
        group=CLIENTS_GROUP,
    ),
)

_HANDSHAKE = promise.Parameter(
    name="handshake_timeout",
    kind=promise.Kind.DURATION,
    description="time for a client's handshake",
    example="10s",
    default="10s",
    minimum="1ms",
    maximum="1h",
    group=dataplane.LIMITS_GROUP,
)

_METRICS = (
    promise.Metric(
        "alongside_tls_certificate_expiry_seconds",
        "gauge",
        ("listener", "certificate"),
        "from now until the certificate in use expires",
    ),
    promise.Metric(
        "alongside_tls_certificate_stale",
        "gauge",
        ("listener", "certificate"),
        "1 while the newest files are bad and the ones before are in use",
    ),
    promise.Metric(
        "alongside_tls_reloads_total",
        "counter",
        ("listener", "certificate", "outcome"),
        "changed files that were looked at, by what came of it",
    ),
    promise.Metric(
        "alongside_tls_handshakes_total",
        "counter",
        ("listener", "outcome"),
        "handshakes, by what came of them",
    ),
)

_FAILURES = (
    promise.Failure(
        "A certificate, key, bundle or list is missing, unreadable, empty or expired at the start, "
        "or the key does not match",
        "nothing is started",
        "a line on stderr with the parameter, the path, the reason and the remedy; exit code 2",
    ),
    promise.Failure(
        "New files are bad: truncated, half written, expired, key and certificate do not match",
        "the old pair stays in use; the files are looked at when they change, and every 30s, so "
        "that it recovers by itself. Bundles and lists of revoked certificates likewise",
        "nobody notices. Operator: `alongside_tls_certificate_stale`, one line in the log",
    ),
    promise.Failure(
        "Files are replaced while requests run",
        "new connections get the new pair within 300ms of the rename where the machine has a "
        "moment for it; within 30s where a file system tells of no change, as over a network, and "
        "within 1s where the kernel watches no more. Open ones, tunnels too, go on as they are",
        "nobody notices. Operator: `alongside_tls_reloads_total`",
    ),
    promise.Failure(
        "An OCSP answer is over or not yet good, says that the certificate is revoked, or is not "
        "signed for it (which is seen where the issuer stands in the chain)",
        "the certificate is shown without it, until a good one is there",
        "nobody notices. Operator: one line in the log, `staple_left_out`",
    ),
    promise.Failure(
        "A certificate expires and nobody renews it",
        "it is served on",
        "client: its own warning. Operator: `alongside_tls_certificate_expiry_seconds`; /readyz "
        "with ready-expiry",
    ),
    promise.Failure(
        "A client asks for a host that no certificate has, and there are several and no default",
        "the handshake is refused; a single certificate serves every name, and none",
        "client: alert `unrecognized_name`. Operator: `alongside_tls_handshakes_total`",
    ),
    promise.Failure(
        "A client begins a handshake and does not end it",
        "it is ended after handshake-timeout; where connections run out, such ones go first",
        "client: the connection closes. Operator: `alongside_tls_handshakes_total`",
    ),
    promise.Failure(
        "A client speaks plain HTTP, an old TLS, or no protocol that is offered",
        "the handshake is refused; no part of it reaches the program",
        "client: an alert, or the connection closes. Operator: `alongside_tls_handshakes_total`",
    ),
    promise.Failure(
        "A client shows no certificate where one is required, or a bad or revoked one",
        "the handshake is refused",
        "client: an alert. Operator: `alongside_tls_handshakes_total`",
    ),
    promise.Failure(
        "A request for a host of client-hosts comes on a connection that was opened for another",
        "it is not passed on",
        "client: 421, which makes it connect anew",
    ),
    promise.Failure(
        "A client sends forwarded fields from outside trusted",
        "Forwarded and X-Forwarded-For, -Proto and -Host are replaced; other fields by which "
        "programs are told who a client is (X-Real-IP, Client-IP, Remote-User, SSL-Client-…), and "
        "those that look like one of ours, in any spelling, are stripped",
        "nobody: the program sees only what the sidecar vouches for",
    ),
    promise.Failure(
        "With proxy-from, a connection comes from elsewhere, or without a header of the PROXY "
        "protocol within 2s, or with a bad one",
        "it is closed before TLS",
        "client: the connection closes",
    ),
    promise.Failure(
        "The program refuses connections, or does not take one within connect-timeout",
        "the request is answered with an error; the next one tries anew",
        "client: 502. Operator: `alongside_http_upstream_requests_total`, `connect_failed`",
    ),
    promise.Failure(
        "The program takes a request and does not begin its answer within response-timeout",
        "the request is answered with an error, the connection to the program is closed",
        "client: 504. Operator: `timed_out`",
    ),
    promise.Failure(
        "The program dies in the middle of an answer, or sends a malformed one",
        "nothing that is malformed goes on; the client's connection or stream is cut, so that a "
        "short body is never taken for a whole one",
        "client: 502, or a cut answer. Operator: `refused`, `alongside_http_cut_total`",
    ),
)

_READY = promise.Route(
    "status, admin",
    "GET",
    "/readyz",
    "200 while it accepts requests or stands by to, 503 while it drains or a certificate expires "
    "within ready-expiry",
    (
        promise.Answer(200, "it accepts requests, or stands by to"),
        promise.Answer(503, "it drains, or a certificate expires within ready-expiry"),
    ),
)


def _routes() -> tuple[promise.Route, ...]:
    return tuple(_READY if one.path == _READY.path else one for one in doors.ROUTES)


def _ports() -> tuple[promise.Port, ...]:
    _, *others = dataplane.PORTS
    return (
        promise.Port(
            "web",
            "listen",
            "HTTP/1.1 and HTTP/2 over TLS 1.2 and 1.3",
            "where clients come in",
            8443,
        ),
        promise.Port("plain", "redirect", "HTTP/1.1", "sends clients to https, if asked for", 8080),
        *others,
    )


CONTRACT = promise.Contract(
    component="tls",
    summary="Speak HTTPS for a program that knows none of it",
    promise=(
        "The program listens on loopback or a UNIX socket, speaks plain HTTP and stays as it is. "
        "Clients get HTTP/1.1 or HTTP/2 over TLS, as they ask; WebSockets, gRPC and trailers pass. "
        "Nothing hostile or ambiguous is passed on, and forwarded fields say who the client is.\n\n"
        "Files are followed by their content: what is renamed into place, swapped by a symlink as "
        "Kubernetes does it, or written anew is checked whole and then taken, without a restart "
        "and without touching a connection. What the log lines say is not part of the promise."
    ),
    parameters=(
        *_PROGRAM,
        *_CERTIFICATES,
        dataplane.STATUS,
        dataplane.ADMIN,
        promise.PARAMETERS_FILE,
        dataplane.THREADS,
        dataplane.ACCESS_LOG,
        *_CLIENTS,
        *authority.PARAMETERS,
        _HANDSHAKE,
        *dataplane.LIMITS,
    ),
    examples=(
        "alongside tls --proxy-port 8000 --certificate-path /etc/tls",
        "alongside tls --listen 0.0.0.0:443 --redirect 0.0.0.0:80 --hsts 8760h \\\n"
        "  --proxy-port 8000 --certificate-path /etc/tls --certificate-path shop=/etc/shop/tls.pem",
        "PROXY_PORT=8000 CERTIFICATE_PATH=/etc/tls TLS_STATUS=0.0.0.0:9090 alongside tls",
    ),
    ports=_ports(),
    routes=_routes(),
    files=(
        promise.File("`certificate-path`, `key-path`", "reads", "chains and keys; followed"),
        promise.File("`staple`, `client-ca`, `client-crl`", "reads", "followed"),
        promise.File(
            "`acme-folder`",
            "makes, writes",
            "the account, keys and certificates",
            mode="0600",
            publication="rename",
        ),
        dataplane.ADMIN_FILE,
    ),
    signals=dataplane.SIGNALS,
    exits=dataplane.EXITS,
    metrics=(*dataplane.METRICS, *_METRICS, *authority.METRICS),
    failures=(
        *dataplane.CLIENT_FAILURES,
        dataplane.LOAD_FAILURE,
        dataplane.LOG_FAILURE,
        *_FAILURES,
        *authority.FAILURES,
        *dataplane.START_FAILURES,
    ),
)
