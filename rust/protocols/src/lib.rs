//! HTTP/1 framing and the guard over it, the PROXY header before it; framing of memcache and Redis.
//!
//! In:    bytes as a peer sent them, limits, and what was asked.
//! Out:   heads, body pieces and refusals; bytes written anew for the next hop; requests and replies of caches, uncopied.
//! Not:   sockets, clocks, caching, placement; bodies are never held.
//! Next:  `http` drives it on connections; `tests/guard/inputs.toml` is the table it must hold. `ambassador` drives
//!        `memcache` and `resp`; `resp/commands.rs` is the table of Redis' commands.

pub mod bytes;
pub mod chunked;
pub mod fields;
mod framing;
pub mod guard;
mod heads;
pub mod incremental;
mod lines;
pub mod memcache;
pub mod proxy;
mod refusal;
mod request;
pub mod resp;
mod response;
mod target;

use std::mem::MaybeUninit;

pub use framing::{Body, write_decimal, write_framing};
pub use refusal::{Reason, Refusal};
pub use request::{Forward, Peer, RequestHead};
pub use response::{Asked, ResponseHead};

/// The most fields a head may have, and so the size of [`Scratch`]; `Limits::fields_max` is clamped to it.
pub const FIELDS_MAX: usize = 128;

/// Room for the fields of one head; make it with [`scratch`] on the stack (4 KiB, not initialised).
pub type Scratch<'b> = [MaybeUninit<httparse::Header<'b>>; FIELDS_MAX];

/// Return empty room for the fields of one head.
#[must_use]
pub fn scratch<'b>() -> Scratch<'b> {
    [const { MaybeUninit::uninit() }; FIELDS_MAX]
}

/// What a head may be at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a head with its request or status line and the final empty line.
    pub head_bytes_max: usize,
    /// Fields of a head; at most [`FIELDS_MAX`].
    pub fields_max: usize,
    /// Bytes of a request's target as sent.
    pub target_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { head_bytes_max: 32 * 1024, fields_max: 100, target_bytes_max: 8 * 1024 }
    }
}
