//! The engine of HTTP/1.1, and HTTP/2 as connections of it; the router and the program behind a sidecar, which stand on it.
//!
//! In:    accepted connections; a listener's state (service, limits, trusted peers), swapped at any time.
//! Out:   answers: from a service, or from an upstream, streamed both ways; metrics.
//! Not:   storing answers; deciding where shards live; TLS itself, which is `alongside-tls`; frames of HTTP/2, which are a library's.
//! Next:  `alongside-cache` is a service beside [`route`]; `alongside-dataplane` assembles both.

mod access;
pub mod answer;
pub mod body;
pub mod connection;
pub mod course;
mod duplex;
pub mod entry;
pub mod exchange;
pub mod flow;
pub mod forget;
mod forward;
pub mod link;
pub mod listener;
pub mod metrics;
mod pace;
pub mod places;
pub mod probe;
pub mod program;
pub mod redirect;
mod resume;
pub mod route;
mod sealed;
pub mod service;
pub mod standing;
mod tunnel;
mod two;
pub mod view;

pub use exchange::{Broken, Exchange, Notice};
pub use service::{Arrival, Facts, Service, Stream};

/// Closes the connections to programs, shared by many requests of this thread, that none had for `idle_ms`.
pub fn sweep_shared(idle_ms: u64) {
    two::call::sweep(idle_ms);
}
