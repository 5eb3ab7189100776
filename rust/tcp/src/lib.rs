//! Pass TCP connections on to one of several backends, whatever they carry.
//!
//! In:    accepted connections; a listener's state (balancer, limits), swapped at any time.
//! Out:   each connection joined to one to a backend, both ways and to each side's end; else reset; counts.
//! Not:   deciding which backend is tried, and how long one is left (policy); any protocol; discovery.
//! Next:  `alongside-dataplane` assembles it beside routes and caches; docs/document.md, `Tcp`, is its configuration.

mod backend;
mod balancer;
mod connection;
mod listener;
mod metrics;

pub use backend::{Backend, View};
pub use balancer::Balancer;
pub use listener::{Listener, State};
pub use metrics::Metrics;
