//! Keep responses of an origin in memory and answer from them.
//!
//! In:    responses that policy lets us keep; a number of bytes; the time as an argument.
//! Out:   stored objects, by url, shard key and the request fields they vary with; purges; counts.
//! Not:   deciding what may be kept (policy); sockets and framing (transport, http).
//! Next:  docs/decisions/0002-cache-store.md says why the store is as it is.

mod budget;
pub mod entry;
mod index;
pub mod key;
pub mod object;
pub mod store;

pub use budget::{InflightBudget, Reservation};
