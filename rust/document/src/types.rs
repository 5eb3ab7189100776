//! The document's types; their comments are the schema's descriptions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::texts::{Address, HostField, Name, Network, SocketPath};

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
    /// What bounds every connection and request.
    #[serde(default)]
    pub limits: Limits,
}

/// A door for clients.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// The listener's name, unique among listeners; an inherited socket carries the same name.
    pub name: Name,
    /// Where to listen; port 0 takes any free port.
    pub address: Address,
    /// The name of the route or cache that answers.
    pub serves: Name,
    /// Peers whose x-alongside-key and forwarded fields are believed; nobody's by default.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub inner: Vec<Network>,
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
    /// The route's name, unique among routes and caches.
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
    /// The cache's name, unique among routes and caches.
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
            tunnel_timeout_ms: 3_600_000,
            drain_timeout_ms: 10_000,
        }
    }
}

const fn one() -> u32 {
    1
}
