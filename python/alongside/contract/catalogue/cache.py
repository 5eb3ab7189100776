"""The contract of `alongside cache`: a bounded HTTP cache in memory in front of an origin."""

from __future__ import annotations

from alongside.contract import promise
from alongside.contract.catalogue import dataplane, doors

_PARAMETERS = (
    promise.Parameter(
        name="listen",
        kind=promise.Kind.ADDRESS,
        description="address where clients come in; port 0 lets the system choose one",
        example="127.0.0.1:9001",
        is_required=True,
        minimum="0",
    ),
    promise.Parameter(
        name="origin",
        kind=promise.Kind.URL,
        description="the server that is asked for what is not in the cache",
        example="http://127.0.0.1:8000",
        is_required=True,
        choices=("http",),
    ),
    promise.Parameter(
        name="memory",
        kind=promise.Kind.SIZE,
        description="memory for stored answers, their keys and bookkeeping counted",
        example="256Mi",
        default="256Mi",
        minimum="1Mi",
    ),
    promise.Parameter(
        name="object_max",
        kind=promise.Kind.SIZE,
        description="longest answer that is stored; longer ones are passed through",
        example="8Mi",
        unset="an eighth of memory",
        minimum="1B",
    ),
    promise.Parameter(
        name="id",
        kind=promise.Kind.TEXT,
        description="own node ID, where the cache is one of several replicas",
        example="photos-0-a",
        unset="the cache stands alone",
        minimum="1",
        maximum="255",
    ),
    promise.Parameter(
        name="sibling",
        kind=promise.Kind.NODE,
        description="another replica; each has to count the others as inner",
        example="photos-0-b=127.0.0.1:9002",
        unset="no other replica is asked",
        is_repeated=True,
    ),
    promise.Parameter(
        name="warm_bandwidth",
        kind=promise.Kind.SIZE,
        description="what an empty replica may take from a sibling in a second",
        example="32Mi",
        default="32Mi",
        minimum="1Ki",
        maximum="1024Gi",
    ),
    dataplane.INNER,
    dataplane.STATUS,
    dataplane.ADMIN,
    promise.PARAMETERS_FILE,
    dataplane.THREADS,
    dataplane.ACCESS_LOG,
    *dataplane.LIMITS,
)

_METRICS = (
    promise.Metric(
        "alongside_cache_requests_total",
        "counter",
        ("cache", "outcome"),
        "clients' requests by what the store had for them: `hit`, `uri-miss`, … as in "
        "`Cache-Status`; what siblings ask is not counted",
    ),
    promise.Metric(
        "alongside_cache_collapsed_total",
        "counter",
        ("cache",),
        "requests that were answered with another client's answer",
    ),
    promise.Metric(
        "alongside_cache_waiting",
        "gauge",
        ("cache",),
        "requests that wait now for another client's answer",
    ),
    promise.Metric(
        "alongside_cache_origin_requests_total",
        "counter",
        ("cache",),
        "requests sent to the origin",
    ),
    promise.Metric(
        "alongside_cache_unstored_total",
        "counter",
        ("cache", "reason"),
        "answers that were not stored, by reason",
    ),
    promise.Metric(
        "alongside_cache_evicted_total",
        "counter",
        ("cache",),
        "keys evicted to make room",
    ),
    promise.Metric(
        "alongside_cache_bytes",
        "gauge",
        ("cache",),
        "memory of what is stored, metadata counted",
    ),
    promise.Metric(
        "alongside_cache_bytes_max",
        "gauge",
        ("cache",),
        "memory that may be stored",
    ),
    promise.Metric(
        "alongside_cache_inflight_bytes",
        "gauge",
        ("cache",),
        "memory of answers that are on their way",
    ),
    promise.Metric(
        "alongside_cache_objects",
        "gauge",
        ("cache",),
        "keys stored",
    ),
    promise.Metric(
        "alongside_cache_sibling_requests_total",
        "counter",
        ("cache", "outcome"),
        "misses that siblings were asked for: `hit`, `fetched`, `miss`, `unreachable`, "
        "`timed_out`, `refused`, `other_origin` for a sibling whose origin is another "
        "one or spelt otherwise, and `outdated` for what was made before a purge",
    ),
    promise.Metric(
        "alongside_cache_sibling_purges_total",
        "counter",
        ("cache", "outcome"),
        "attempts to tell a sibling what to forget: `told`, `failed`, and `all` where it had "
        "to forget everything",
    ),
    promise.Metric(
        "alongside_cache_sibling_owed_orders",
        "gauge",
        ("cache",),
        "purges that siblings have yet to take, at most 1024 for each; one more, and it is to "
        "forget everything",
    ),
    promise.Metric(
        "alongside_cache_sibling_owed_bytes",
        "gauge",
        ("cache",),
        "what these take, at most 256Ki for each",
    ),
    promise.Metric(
        "alongside_cache_warmth",
        "gauge",
        ("cache",),
        "how far the warm-up from siblings is, 0 to 100; 100 where none is needed",
    ),
    promise.Metric(
        "alongside_cache_warmed_bytes_total",
        "counter",
        ("cache",),
        "bytes that came from siblings while it warmed up",
    ),
    promise.Metric(
        "alongside_cache_warmed_objects_total",
        "counter",
        ("cache",),
        "answers that were stored of them",
    ),
)

_FAILURES = (
    promise.Failure(
        "The origin refuses connections or does not answer within connect-timeout",
        "what is stored and fresh is served; everything else is answered with an error",
        "client: hits as ever, 502 for misses. Operator: "
        "`alongside_http_upstream_requests_total`, `connect_failed`",
    ),
    promise.Failure(
        "The origin takes a request and does not begin its answer within response-timeout",
        "all who wait for that answer get an error; nothing is stored",
        "client: 504",
    ),
    promise.Failure(
        "The origin dies in the middle of an answer, or its body is shorter than it said",
        "all who receive it are cut, so that a short body is never taken for a whole one; "
        "nothing of it is stored",
        "client: a cut connection. The next request asks the origin again",
    ),
    promise.Failure(
        "The origin sends a malformed or ambiguous answer",
        "nothing of it goes on or is stored",
        "client: 502",
    ),
    promise.Failure(
        "Many clients ask at once for what is not stored",
        "the origin is asked once, and its answer streamed to all; where it turns out not to be "
        "sharable, each gets an own request",
        "origin: one request. Client: `Cache-Status` says so. Operator: "
        "`alongside_cache_collapsed_total`",
    ),
    promise.Failure(
        "A client leaves in the middle of an answer that others wait for",
        "the others still get it whole",
        "nobody else notices",
    ),
    promise.Failure(
        "Memory is full",
        "answers of least worth leave; an answer longer than object-max is never stored",
        "client: more misses. Operator: `alongside_cache_evicted_total`",
    ),
    promise.Failure(
        "The process ends or is restarted",
        "the cache is empty again: nothing is kept on disk; where it has siblings, it takes from "
        "them what they have, hottest first, within warm-bandwidth",
        "origin: more requests until the cache is warm. Operator: `alongside_cache_warmth`",
    ),
    promise.Failure(
        "Its memory or object-max is changed by a document",
        "what it holds stays, as much as fits; where its tables alone would fill the new size, or "
        "4Gi are crossed, it starts empty",
        "nobody notices, or more misses for a while",
    ),
    promise.Failure(
        "Several replicas miss the same URL at once",
        "they meet at the first replica of the URL's order, which asks the others for what they "
        "have stored, then the origin once",
        "client: `Cache-Status` names each replica. Operator: "
        "`alongside_cache_sibling_requests_total`",
    ),
    promise.Failure(
        "A sibling is killed or refuses connections",
        "it is skipped at once, and looked at again after 1s, then 2s, up to 30s",
        "client: nothing. Origin: a request of each replica for what the dead one would have "
        "asked. Operator: outcome `unreachable`",
    ),
    promise.Failure(
        "A sibling is frozen: it takes connections and answers nothing",
        "after a second of silence it is asked whether it is there, and left after half a second "
        "more; then the origin is asked without it",
        "client: one answer that takes up to 2s longer; then nothing. Operator: outcome "
        "`timed_out`",
    ),
    promise.Failure(
        "A sibling does not count this replica as inner",
        "its answers are not used, since it strips the key; the origin is asked instead",
        "client: nothing. Operator: outcome `refused`",
    ),
    promise.Failure(
        "A sibling has another origin, as while the origin of all is being changed",
        "neither takes what the other has; each asks its own origin. Capitals and the ways to "
        "write one IP address make no difference; a name and its address do, `localhost` and "
        "`127.0.0.1` too",
        "client: nothing. Origin: a request of each replica. Operator: outcome `other_origin`, "
        "log event `sibling_of_another_origin` once",
    ),
    promise.Failure(
        "A page is changed through one replica (POST, PUT, DELETE, …, answered below 400)",
        "its siblings are told to forget it, again until they answer; after a minute away they "
        "have to forget everything. What a sibling holds from before the change is not taken",
        "client: the old page from an unreachable replica until it knows. Operator: "
        "`alongside_cache_sibling_purges_total`",
    ),
    promise.Failure(
        "A router asks a replica to tell a sibling what the router cannot tell it",
        "the sibling is told by this replica, like of a change through it. A replica that ends "
        "tells its siblings first, for as long as it drains, and takes no more of it. After its "
        "last connection that goes on while somebody takes it, and 3s where nobody does",
        "client: nothing. Operator: `alongside_cache_sibling_purges_total`; log event "
        "`forgets_dropped` for what could not be told",
    ),
    promise.Failure(
        "A sibling dies in the middle of a warm-up, or sends nonsense",
        "what came whole stays, nothing else is stored; the next sibling is asked",
        "operator: log event `warm_up_cut`",
    ),
    promise.Failure(
        "A page is purged while a warm-up brings it",
        "the purge wins: the page is not stored",
        "nobody notices",
    ),
    promise.Failure(
        "Two clients differ by the key of the router but ask for the same URL",
        "their answers are stored apart, also on one node",
        "each sees only the answer to its own key",
    ),
    promise.Failure(
        "A client outside inner sends x-alongside-key, x-alongside-ask or others of ours",
        "the fields are stripped and mean nothing: nobody can name the key of somebody else, "
        "purge, or read what is stored",
        "nobody notices",
    ),
)

CONTRACT = promise.Contract(
    component="cache",
    summary="Keep an origin's answers in memory and serve them while they are fresh",
    promise=(
        "A stored answer is served only where the origin's `Cache-Control` allows it for a shared "
        "cache, for the time it allows, to requests that agree in scheme, host, method, target, "
        "the fields of `Vary` and the key of the router. Answers that are private, not to be "
        "stored, set cookies, or answer an authorised request are passed through. Memory is "
        "bounded by bytes, with keys and bookkeeping counted.\n\n"
        "`Cache-Status` on every answer says whether it was a hit and why not; `Age` says how old "
        "it is. What exactly is evicted first is not part of the promise."
    ),
    parameters=_PARAMETERS,
    examples=(
        "alongside cache --listen 127.0.0.1:9001 --origin http://127.0.0.1:8000 --memory 256Mi",
        "alongside cache --listen 127.0.0.1:9001 --origin http://127.0.0.1:8000 --id a "
        "--sibling b=127.0.0.1:9002 --inner 127.0.0.0/8",
        "CACHE_LISTEN=0.0.0.0:9001 CACHE_ORIGIN=http://photos:8000 CACHE_INNER=10.0.0.0/8 "
        "alongside cache",
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
