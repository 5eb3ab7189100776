//! Many servers of memcache or Redis as one: each command goes to the server of its key.
//!
//! In:    clients' connections, and the pools of a document.
//! Out:   answers in the order of the commands; figures for doors and metrics.
//! Not:   accepting connections, deciding about the fleet; keeping any value.
//! Next:  `core` decides, without a socket or a clock; `reactor` moves its bytes, a turn at a time.

pub mod core;
pub mod counters;
mod listener;
mod metrics;
pub mod reactor;
pub mod stats;

pub use listener::{Listener, State};
pub use metrics::Metrics;
pub use reactor::Engine;
