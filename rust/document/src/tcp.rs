//! The document's part for connections that are passed on as they are; the comments are the schema's descriptions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::texts::{Address, Name};

/// A balancer of TCP connections, each of which goes whole to one of its backends. Of two that are drawn it is the one with
/// fewer connections open. An open connection stays where it is, whatever a later document says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    /// The balancer's name, unique among all that listeners serve.
    pub name: Name,
    /// Where connections go; where there is none, each is reset at once.
    #[serde(default)]
    #[schemars(length(max = 4096))]
    pub backends: Vec<Backend>,
    /// Backends that one connection is tried at, at most, 1 to 16; then it is reset.
    #[serde(default = "attempts_max")]
    #[schemars(range(min = 1, max = 16))]
    pub attempts_max: u32,
    /// How long connecting to a backend may take, in milliseconds, 1 to an hour.
    #[serde(default = "connect_timeout_ms")]
    #[schemars(range(min = 1, max = 3_600_000))]
    pub connect_timeout_ms: u64,
    /// How long a backend is left that could not be connected to, in milliseconds, 10 to an hour. It is looked at again when that
    /// is over and a connection comes, and left for twice as long each time it fails.
    #[serde(default = "left_ms")]
    #[schemars(range(min = 10, max = 3_600_000))]
    pub left_ms: u64,
    /// The longest that a backend is left before it is looked at again, in milliseconds, 10 to an hour; `left_ms` where that is more.
    #[serde(default = "left_ms_max")]
    #[schemars(range(min = 10, max = 3_600_000))]
    pub left_ms_max: u64,
    /// How long both sides may be silent, in milliseconds, 1 to a week; null for as long as they like.
    #[serde(default)]
    #[schemars(range(min = 1, max = 604_800_000))]
    pub idle_timeout_ms: Option<u64>,
    /// After how much silence the kernel asks each side whether it is still there, in milliseconds, 1,000 to a day, in whole seconds; null
    /// for never.
    #[serde(default = "keepalive_ms")]
    #[schemars(range(min = 1_000, max = 86_400_000))]
    pub keepalive_ms: Option<u64>,
}

/// Where a balancer's connections go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// The backend's stable id, unique in its balancer; never its address.
    pub id: Name,
    /// Where it is reached; the port is not 0.
    #[schemars(extend("format" = "peer-address"))]
    pub address: Address,
}

const fn attempts_max() -> u32 {
    5
}

const fn connect_timeout_ms() -> u64 {
    2_000
}

const fn left_ms() -> u64 {
    250
}

const fn left_ms_max() -> u64 {
    10_000
}

// Serde's defaults have the field's type.
#[allow(clippy::unnecessary_wraps)]
const fn keepalive_ms() -> Option<u64> {
    Some(60_000)
}
