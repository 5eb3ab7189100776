"""What `alongside tls` promises of certificates that it gets from an authority (ACME)."""

from __future__ import annotations

from alongside.contract import promise

GROUP = "Certificates from an authority"

PARAMETERS = (
    promise.Parameter(
        name="acme",
        kind=promise.Kind.TEXT,
        description="the directory of an authority (RFC 8555) that a certificate is got from and "
        "renewed by",
        example="https://acme.example/directory",
        unset="all certificates lie in files",
        maximum="2048",
        group=GROUP,
    ),
    promise.Parameter(
        name="acme_domain",
        kind=promise.Kind.TEXT,
        description="host that the certificate is got for",
        example="shop.example",
        unset="acme is not used",
        maximum="255",
        is_repeated=True,
        group=GROUP,
    ),
    promise.Parameter(
        name="acme_challenge",
        kind=promise.Kind.CHOICE,
        description="how the authority is shown that a host is ours: tls-alpn-01 (it reaches "
        "listen at port 443) or http-01 (it reaches redirect at port 80)",
        example="http-01",
        default="tls-alpn-01",
        choices=("tls-alpn-01", "http-01"),
        group=GROUP,
    ),
    promise.Parameter(
        name="acme_contact",
        kind=promise.Kind.TEXT,
        description="whom the authority writes to",
        example="mailto:ops@example.org",
        unset="the authority is told nobody",
        maximum="255",
        is_repeated=True,
        group=GROUP,
    ),
    promise.Parameter(
        name="acme_folder",
        kind=promise.Kind.PATH,
        description="folder that keeps the account, keys and certificates, shared by all replicas",
        example="/var/lib/alongside/acme",
        unset="acme is not used",
        maximum="4096",
        group=GROUP,
    ),
    promise.Parameter(
        name="acme_ca",
        kind=promise.Kind.PATH,
        description="PEM file of the authorities that the directory's own certificate comes from",
        example="/etc/ssl/acme.pem",
        unset="the system's",
        maximum="4096",
        group=GROUP,
    ),
)

METRICS = (
    promise.Metric(
        "alongside_acme_orders_total",
        "counter",
        ("listener", "outcome"),
        "orders for certificates, by what came of them: done, refused, rate_limited, unreachable, "
        "failed",
    ),
    promise.Metric(
        "alongside_acme_next_order_seconds",
        "gauge",
        ("listener",),
        "from now until the next order is due",
    ),
)

FAILURES = (
    promise.Failure(
        "The authority of acme is down, refuses, or reaches nobody at the host",
        "it is asked again after 1min, then twice as long each time up to 1h (a tenth of the "
        "lifetime at most), or as late as it says; what there is stays in use. Certificates are "
        "renewed after two thirds of their lifetime, or when the authority says so",
        "nobody notices, until the certificate expires. Operator: one line in the log for each "
        "reason, with the host; `alongside_acme_orders_total`, "
        "`alongside_tls_certificate_expiry_seconds`",
    ),
    promise.Failure(
        "The authority of acme knows the account no more",
        "a new account is made, and the order goes on",
        "nobody notices. Operator: one line in the log",
    ),
    promise.Failure(
        "Several replicas share acme-folder, or one dies over an order",
        "one orders at a time, and each of them answers the authority; another one orders where "
        "it died, after 1min",
        "nobody notices",
    ),
)
