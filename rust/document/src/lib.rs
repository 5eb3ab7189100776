//! Say what the data plane is told: types, checks, schema, order.
//!
//! In:    the bytes of a JSON document.
//! Out:   a checked `Document`, or every problem with its path; the JSON Schema; which of two documents is newer.
//! Not:   reading files, applying anything, secrets (a document holds paths only).
//! Next:  `alongside-dataplane` compiles it to a snapshot; `schema/dataplane.v1.json` is generated from it.

mod order;
mod problem;
mod schema;
mod texts;
mod types;

pub use order::{Succession, succeeds};
pub use problem::Problem;
pub use schema::schema;
pub use texts::{Address, HostField, Name, Network, SocketPath, TextError};
pub use types::{
    Admin, Cache, CompatibleWith, Document, Function, Limits, Listener, Node, Origin, Route, Shard, Status,
};

/// The most bytes a document may have: 16 MiB.
pub const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Read and check a document.
///
/// # Errors
/// Every problem found, at least one, in the order of the document.
pub fn parse(bytes: &[u8]) -> Result<Document, Vec<Problem>> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(vec![Problem::new(
            "",
            format!("the document has {} bytes", bytes.len()),
            format!("at most {DOCUMENT_BYTES_MAX} are read"),
        )]);
    }
    serde_json::from_slice(bytes)
        .map_err(|error| vec![Problem::new("", error.to_string(), "write it as the schema says")])
}
