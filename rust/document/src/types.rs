//! The document's types; their comments are the schema's descriptions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::about::{About, Place};
use crate::pools::{Pool, TwemproxyStats};
use crate::tcp::Tcp;
use crate::texts::{Address, HostField, Name, Network, SocketPath};
use crate::tls::{Program, Redirect, Tls};

/// Everything a data-plane process does, version 1. It holds paths, never secrets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Data-plane document, version 1")]
pub struct Document {
    /// The version of this format; 1.
    #[schemars(range(min = 1, max = 1))]
    pub schema: u32,
    /// The writer's reign: with `generation` it orders documents, and it comes first. 0 to 2^53 - 1.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_u64))]
    pub epoch: u64,
    /// The document's number in its epoch, 0 to 2^53 - 1. The same pair with other content is refused.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_u64))]
    pub generation: u64,
    /// Threads that serve, 1 to 64.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 64))]
    pub threads: u32,
    /// Where clients connect.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub listeners: Vec<Listener>,
    /// The status door on TCP, GET only; null for none.
    #[serde(default)]
    pub status: Option<Status>,
    /// The admin door on a UNIX socket of mode 0600; null for none.
    #[serde(default)]
    pub admin: Option<Admin>,
    /// Processes that serve shards.
    #[serde(default)]
    #[schemars(length(max = 65536))]
    pub nodes: Vec<Node>,
    /// How requests are spread over shards.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub routes: Vec<Route>,
    /// What is kept of an origin's answers.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub caches: Vec<Cache>,
    /// Connections that are passed on as they are, whatever they carry, each to one of several backends.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub tcp: Vec<Tcp>,
    /// Programs that requests are passed on to, as they are.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub programs: Vec<Program>,
    /// Listeners without TLS that send everybody to one with it.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub redirects: Vec<Redirect>,
    /// Servers of memcache or Redis, each list of them as one.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub pools: Vec<Pool>,
    /// The pools' figures as twemproxy shows them; null for nowhere.
    #[serde(default)]
    pub twemproxy_stats: Option<TwemproxyStats>,
    /// What bounds every connection and request.
    #[serde(default)]
    pub limits: Limits,
    /// A line in the log for some of the requests; null for none.
    #[serde(default)]
    pub access_log: Option<AccessLog>,
    /// What the process was started as; shown by its doors at /version, without any effect. Null for none.
    #[serde(default)]
    pub about: Option<About>,
    /// Where its parts were written, which messages name in place of the document's own paths. Empty where nobody wrote another file.
    #[serde(default)]
    #[schemars(length(max = 65536))]
    pub places: Vec<Place>,
}

/// A line of JSON in the log for some of the requests, `event` being `request`. It has `listener`, `client`, `method`, `host`,
/// `target` (its first 2 KiB), `status`, `duration_ms` until the answer's end, `body_bytes` of the answer, and `is_whole`, false
/// where it was cut; of a route `upstream`, who was asked last, and `hops`, how many were; of a cache `cache`, `hit` or why the
/// origin was asked, in the words of `Cache-Status`; and `shed`, the limit that left no room for it. What is not so is left out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessLog {
    /// One request in so many has a line, chosen by chance; 1 for every one, at most a million.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub one_in: u32,
}

/// A door for clients.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// The listener's name, unique among listeners; an inherited socket carries the same name.
    pub name: Name,
    /// Where to listen; port 0 takes any free port.
    pub address: Address,
    /// The name of the route, cache, program, redirect or pool that answers, or of the balancer in `tcp` that passes connections on.
    pub serves: Name,
    /// Peers whose x-alongside-key and forwarded fields are believed; nobody's by default.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub inner: Vec<Network>,
    /// TLS; null for plain connections.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Peers that begin each connection with a header of the PROXY protocol, which says who the client is; where there are
    /// any, connections of others and those without a header are closed. None by default.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub proxies: Vec<Network>,
}

/// The status door: /healthz, /readyz, /metrics, /version.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// Where to listen; port 0 takes any free port.
    pub address: Address,
}

/// The admin door: the status door's paths, snapshot, explain, documents, purges, drain.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// The socket's path.
    pub path: SocketPath,
}

/// A process that serves shards.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// The node's stable id, unique among nodes; never its address.
    pub id: Name,
    /// Where it is reached; the port is not 0.
    #[schemars(extend("format" = "peer-address"))]
    pub address: Address,
}

/// How requests are spread over shards.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The route's name, unique among all that listeners serve.
    pub name: Name,
    /// What of a request is hashed: request.uri, request.path, request.ip, request.headers["x"],
    /// request.cookies["x"], request.query["x"] and "literal texts", joined by +.
    #[schemars(length(min = 1, max = 4096), extend("format" = "key"))]
    pub key: String,
    /// How a key's hash chooses a shard.
    pub function: Function,
    /// The program whose placement is computed.
    #[serde(default)]
    pub compatible_with: CompatibleWith,
    /// The shards, at least one.
    #[schemars(length(min = 1, max = 65536))]
    pub shards: Vec<Shard>,
    /// Where requests go that no node should answer: methods that change something, and all of a shard's requests while
    /// none of its replicas can be used; null where only nodes answer.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// How it is found out which nodes can be used.
    #[serde(default)]
    pub health: Health,
    /// When a request that failed is tried again, and where.
    #[serde(default)]
    pub retries: Retries,
    /// Answers to repeatable requests are held whole up to so many bytes before the first byte goes out, so that a node's
    /// death is not noticed; 0 to 16 MiB. Longer ones go on from a sibling by Range.
    #[serde(default = "buffer_bytes")]
    #[schemars(range(max = 16_777_216))]
    pub buffer_bytes: u64,
}

/// How it is found out which nodes of a route can be used.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// How a node is looked at.
    pub probe: Probe,
    /// What `http` probes ask for; any status below 400 is good. At most 1024 bytes.
    #[schemars(length(min = 1, max = 1024), extend("format" = "path"))]
    pub path: String,
    /// Between two looks at a node, in milliseconds, 10 to an hour; a node that cannot be used is looked at four times as often.
    #[schemars(range(min = 10, max = 3_600_000))]
    pub interval_ms: u64,
    /// How long a look may take, in milliseconds, 10 to an hour.
    #[schemars(range(min = 10, max = 3_600_000))]
    pub timeout_ms: u64,
    /// Failed looks in a row after which a node is left, 1 to 100. A failed connection is enough by itself.
    #[schemars(range(min = 1, max = 100))]
    pub failures: u32,
    /// Good looks in a row after which it is used again, 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub successes: u32,
    /// Answers of 500 and above in a row after which a node is left, at least 1; null where they are not the node's fault.
    #[schemars(range(min = 1))]
    pub errors_max: Option<u32>,
    /// A node is left whose answers take so many times as long as those of its shard's other replicas, 2 to 1000; null for never.
    #[schemars(range(min = 2, max = 1000))]
    pub slow_times: Option<u32>,
    /// The most of a shard's replicas that are left for errors or slowness, in percent, 0 to 100. One always stays.
    #[schemars(range(max = 100))]
    pub ejected_percent_max: u32,
    /// How long a node that was left for errors or slowness stays left at least, in milliseconds, 10 to an hour.
    #[schemars(range(min = 10, max = 3_600_000))]
    pub ejection_ms: u64,
    /// How long a node that came back is given fewer requests than its siblings, in milliseconds, 0 to an hour.
    #[schemars(range(max = 3_600_000))]
    pub slow_start_ms: u64,
}

impl Default for Health {
    fn default() -> Health {
        Health {
            probe: Probe::Tcp,
            path: "/".to_owned(),
            interval_ms: 1_000,
            timeout_ms: 1_000,
            failures: 2,
            successes: 1,
            errors_max: Some(5),
            slow_times: Some(10),
            ejected_percent_max: 50,
            ejection_ms: 5_000,
            slow_start_ms: 10_000,
        }
    }
}

/// How a node is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// It takes a connection. The kernel does that for a frozen process too, so that one is not seen.
    Tcp,
    /// It answers a GET.
    Http,
    /// It is one of our caches: it says how warm it is, and forgets what a method changed.
    Cache,
}

/// When a request that failed is tried again, and where.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retries {
    /// Retries in percent of the requests of the last ten seconds, 0 to 100.
    #[schemars(range(max = 100))]
    pub percent: u32,
    /// Retries a second that are allowed however few requests there are, 0 to 1,000,000.
    #[schemars(range(max = 1_000_000))]
    pub per_second_min: u32,
    /// Nodes that one request is sent to at most, 1 to 16; the fallback comes on top.
    #[schemars(range(min = 1, max = 16))]
    pub attempts_max: u32,
    /// Where a request goes when no replica of its shard can be used.
    pub fallback: Fallback,
}

impl Default for Retries {
    fn default() -> Retries {
        Retries { percent: 20, per_second_min: 10, attempts_max: 3, fallback: Fallback::Origin }
    }
}

/// Where a request goes when no replica of its shard can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// To the route's origin, where it has one; else nowhere.
    Origin,
    /// To the shard that follows, then to the origin.
    NextShard,
    /// Nowhere: the client gets a 503.
    Error,
}

/// How a key's hash chooses a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// The hash modulo the sum of weights, in the order of the shards; most keys move when one comes or goes.
    Modulo,
    /// A ring of points made of the shards' names; a shard that comes or goes moves only its own keys.
    Ketama,
}

/// The program whose placement is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CompatibleWith {
    /// nginx: `hash KEY` is modulo, `hash KEY consistent` is ketama.
    #[default]
    Nginx,
}

/// A fraction of a route's keys.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// The shard's name, unique in its route; ketama's ring is made of it.
    pub name: Name,
    /// Its share of the keys relative to others, 1 to 65535; a route's weights sum to at most 65536.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 65535))]
    pub weight: u32,
    /// The ids of the nodes that serve it, the first preferred; at least one.
    #[schemars(length(min = 1, max = 64))]
    pub replicas: Vec<Name>,
}

/// What is kept of an origin's answers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// The cache's name, unique among all that listeners serve.
    pub name: Name,
    /// Whose answers are kept.
    pub origin: Origin,
    /// Memory for what is kept, metadata counted, in bytes; at least 1 MiB.
    #[schemars(range(min = 1_048_576))]
    pub memory_bytes: u64,
    /// The largest answer that is kept, in bytes, at most a quarter of `memory_bytes`; null for an eighth.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub object_bytes_max: Option<u64>,
    /// Which replica of its shard this is; null where it stands alone.
    #[serde(default)]
    pub replica: Option<Replica>,
}

/// Which replica of a shard a cache is, and who the others are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replica {
    /// Its own node id.
    pub id: Name,
    /// The other replicas of the shard, none of which is this one; their listeners count it as inner.
    #[schemars(length(max = 63))]
    pub siblings: Vec<Node>,
    /// What it may take from a sibling while it warms up, in bytes a second, 1 KiB to 1 TiB; null for no warm-up.
    #[serde(default = "warm_bytes_per_s")]
    #[schemars(range(min = 1024, max = 1_099_511_627_776_u64))]
    pub warm_bytes_per_s: Option<u64>,
}

impl Cache {
    /// Return the largest answer that is kept, in bytes, the default filled in.
    #[must_use]
    pub fn object_bytes_max(&self) -> u64 {
        self.object_bytes_max.unwrap_or(self.memory_bytes / 8)
    }
}

/// The program behind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Where it is reached; the port is not 0.
    #[schemars(extend("format" = "peer-address"))]
    pub address: Address,
    /// The Host field it gets; null to pass the client's.
    #[serde(default)]
    pub host: Option<HostField>,
}

/// What bounds every connection and request. Times in milliseconds, sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The largest head of a request or an answer, in bytes, 1 KiB to 1 MiB.
    #[schemars(range(min = 1024, max = 1_048_576))]
    pub head_bytes_max: u64,
    /// The most fields of a head, 1 to 128.
    #[schemars(range(min = 1, max = 128))]
    pub fields_max: u32,
    /// The longest request target, in bytes, 64 to 64 KiB.
    #[schemars(range(min = 64, max = 65536))]
    pub target_bytes_max: u64,
    /// The largest request body, in bytes; null for no limit.
    pub body_bytes_max: Option<u64>,
    /// How long a head may take to arrive whole, in milliseconds, 1 to a day.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub head_timeout_ms: u64,
    /// The window in which a body must bring `body_bytes_min`, in milliseconds, 1 to a day.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub body_timeout_ms: u64,
    /// What a body must bring in each window of `body_timeout_ms`, in bytes, either way; 0 to 1 GiB.
    #[schemars(range(max = 1_073_741_824))]
    pub body_bytes_min: u64,
    /// How long a client's connection may rest between requests, in milliseconds, 1 to a day.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub idle_timeout_ms: u64,
    /// Requests after which a client's connection is closed, at least 1.
    #[schemars(range(min = 1))]
    pub requests_per_connection_max: u32,
    /// Client connections at one time, 1 to 1,048,576.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub connections_max: u32,
    /// Client connections at one time from one address, at least 1; null for no limit.
    #[schemars(range(min = 1))]
    pub connections_per_address_max: Option<u32>,
    /// How long a connection to a node or an origin may take, in milliseconds, 1 to a day.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub connect_timeout_ms: u64,
    /// How long a node or an origin may take to its answer's head, in milliseconds, 1 to a day.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub response_timeout_ms: u64,
    /// Idle connections kept to each node or origin by each thread, 0 to 65536.
    #[schemars(range(max = 65536))]
    pub pool_idle_max: u32,
    /// How long an idle connection to a node or an origin is kept, in milliseconds, 1 to a day.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub pool_idle_timeout_ms: u64,
    /// Requests that are being answered by nodes and origins at one time, in the whole process, 1 to 1,048,576.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub requests_max: u32,
    /// The same for each node or origin, 1 to 1,048,576.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub upstream_requests_max: u32,
    /// Requests that may wait for one of these to end, 0 to 1,048,576; more get a 503 at once.
    #[schemars(range(max = 1_048_576))]
    pub queue_max: u32,
    /// How long a request may wait so, in milliseconds, 0 to a day; then it gets a 503.
    #[schemars(range(max = 86_400_000))]
    pub queue_timeout_ms: u64,
    /// How long a tunnel may be silent, in milliseconds, 1 to a week.
    #[schemars(range(min = 1, max = 604_800_000))]
    pub tunnel_timeout_ms: u64,
    /// How long connections may take to end when the process drains, in milliseconds, 0 to a day.
    #[schemars(range(max = 86_400_000))]
    pub drain_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            head_bytes_max: 32 * 1024,
            fields_max: 100,
            target_bytes_max: 8 * 1024,
            body_bytes_max: None,
            head_timeout_ms: 10_000,
            body_timeout_ms: 30_000,
            body_bytes_min: 1024,
            idle_timeout_ms: 60_000,
            requests_per_connection_max: 10_000,
            connections_max: 16_384,
            connections_per_address_max: None,
            connect_timeout_ms: 2_000,
            response_timeout_ms: 60_000,
            pool_idle_max: 256,
            pool_idle_timeout_ms: 30_000,
            requests_max: 8_192,
            upstream_requests_max: 4_096,
            queue_max: 1_024,
            queue_timeout_ms: 1_000,
            tunnel_timeout_ms: 3_600_000,
            drain_timeout_ms: 10_000,
        }
    }
}

const fn one() -> u32 {
    1
}

const fn buffer_bytes() -> u64 {
    64 * 1024
}

// Serde's defaults have the field's type.
#[allow(clippy::unnecessary_wraps)]
const fn warm_bytes_per_s() -> Option<u64> {
    Some(32 * 1024 * 1024)
}
