//! Memcache's text protocol: framing of requests and replies, the meta commands with it.
//!
//! What passes the reader of requests is answered by a server exactly once: whatever a server could read otherwise
//! than we do is refused here, so that no client's bytes shift the order of another's answers.
//!
//! Source: memcached's `doc/protocol.txt`, and memcached 1.6.18 itself where that is silent.

mod fault;
mod meta;
mod reply;
mod request;
mod verb;
mod words;

pub use crate::incremental::{Parsed, Progress};
pub use fault::{Fault, Reason};
pub use meta::{Hides, KEY_ROOM_BYTES, KeyRoom, decoded_key};
pub use reply::{Expect, Outcome, Piece, Reply, Stray, Value, piece, reply, value_of};
pub use request::{Request, Spot, request, request_with};
pub use verb::{Kind, Verb};
pub use words::Words;

/// The longest key that memcached takes.
pub const KEY_BYTES_MAX: usize = 250;

/// What a request may be at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a key as sent; memcached takes [`KEY_BYTES_MAX`].
    pub key_bytes_max: usize,
    /// Bytes of a request's line with its end; a longer one ends the connection.
    pub line_bytes_max: usize,
    /// Bytes of a value; the block of a longer one is passed over.
    pub value_bytes_max: u64,
    /// Keys of one request.
    pub keys_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            key_bytes_max: KEY_BYTES_MAX,
            line_bytes_max: 4 * 1024 * 1024,
            value_bytes_max: 16 * 1024 * 1024,
            keys_max: 16 * 1024,
        }
    }
}
