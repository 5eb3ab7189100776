//! Say what the data plane is told: types, checks, schema, order.
//!
//! In:    the bytes of a JSON document.
//! Out:   a checked `Document`, or every problem with its path; the JSON Schema; which of two documents is newer.
//! Not:   reading files, applying anything, secrets (a document holds paths only).
//! Next:  `alongside-dataplane` compiles it to a snapshot; `schema/dataplane.v1.json` is generated from it.

mod about;
mod order;
mod pools;
mod problem;
mod reading;
mod relations;
mod schema;
mod shape;
mod tcp;
mod texts;
mod tls;
mod types;

pub use about::{Place, placed};
pub use order::{Succession, succeeds};
pub use pools::{
    ClientSocket, Ejection, KeyHash, Pool, PoolFunction, PoolLimits, PoolPlacedAs, PoolPlacement, PoolProtocol, Server,
    ServerTls, TwemproxyStats, User,
};
pub use problem::Problem;
pub use reading::{DOCUMENT_BYTES_MAX, parse};
pub use schema::schema;
pub use tcp::{Backend, Tcp};
pub use texts::{Address, FilePath, HostField, HostName, Name, Network, SocketPath, Target, TextError, Url};
pub use tls::{Acme, Certificate, Challenge, ClientMode, Clients, Program, Protocol, Redirect, Speaks, Tls, Version};
pub use types::{
    AccessLog, Admin, Cache, CompatibleWith, Document, Fallback, Function, Health, Limits, Listener, Node, Origin,
    Probe, Replica, Retries, Route, Shard, Status,
};
