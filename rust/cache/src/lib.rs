//! Keep responses of an origin in memory and answer from them.
//!
//! In:    requests and exchanges of the engine; an origin; a number of bytes.
//! Out:   answers from the store; one request to the origin for all who ask the same; purges; counts.
//! Not:   deciding what may be kept (policy); sockets and framing (transport, http).
//! Next:  docs/decisions/0002-cache-store.md says why the store is as it is.

pub mod answer;
pub mod asker;
mod between;
mod budget;
pub mod circuit;
mod clock;
mod decide;
pub mod entry;
mod fetch;
pub mod flight;
pub mod give;
mod index;
pub mod key;
mod link;
pub mod meeting;
pub mod metrics;
pub mod object;
mod purged;
pub mod purges;
mod receive;
pub mod record;
pub mod reply;
mod ride;
pub mod service;
mod shelf;
mod sibling;
mod sizes;
pub mod store;
pub mod terms;
mod warmup;

pub use budget::{InflightBudget, Reservation};
pub use metrics::Metrics;
pub use service::{Cache, Planned};
