//! Decide what HTTP caching may do with a request and a response.
//!
//! In:    borrowed header fields, a status, the time in milliseconds.
//! Out:   decisions as enums: answer from the store, forward, keep, refresh; which bytes of a body.
//! Not:   storing, sockets, clocks; framing (protocols); `Expires`, heuristics, stale-while-revalidate (yet).
//! Next:  the cache asks here and obeys; docs/decisions/0002-cache-store.md says why.

pub mod caching;
