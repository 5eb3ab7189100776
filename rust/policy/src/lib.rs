//! Decide what HTTP caching may do with a request, and where a request or a connection goes.
//!
//! In:    borrowed header fields, a status; what attempts and probes found; numbers in flight; the time in
//!        milliseconds and random numbers, as arguments.
//! Out:   decisions as enums and numbers: answer from the store, forward, keep; use a node or leave it, which of two,
//!        try again or not, how long to wait; what a peer has still to be told; when a drain is over.
//! Not:   storing, sockets, clocks, threads; framing (protocols); `Expires`, heuristics, stale-while-revalidate (yet).
//! Next:  cache and http ask here and obey; docs/decisions/0002-cache-store.md and 0004-replicas.md say why.

pub mod budget;
pub mod caching;
pub mod choice;
pub mod ending;
pub mod health;
pub mod leave;
pub mod origins;
pub mod owed;
pub mod rendezvous;
pub mod tries;
pub mod warming;
