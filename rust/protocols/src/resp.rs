//! Redis' protocol, RESP2: framing of requests and replies, and the table of commands.
//!
//! Source: Redis' protocol specification, and redis-server 7.0 where that is silent.

pub mod commands;
mod fault;
mod inline;
mod number;
mod passing;
mod reply;
mod request;

pub use crate::incremental::{Parsed, Progress};
pub use fault::{Fault, Reason};
pub use inline::Inline;
pub use passing::Passing;
pub use reply::{Elements, Reply, ReplyProgress, Stray, Type, reply};
pub use request::{Args, Message, Request, request};

/// What a request or a reply may be at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one argument or of one bulk string in a reply.
    pub bulk_bytes_max: u64,
    /// Arguments of a request with its command's name, or elements of one array in a reply.
    pub elements_max: usize,
    /// Bytes of an inline command, or of a reply's simple string or error, with the line's end.
    pub line_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { bulk_bytes_max: 512 * 1024 * 1024, elements_max: 1024 * 1024, line_bytes_max: 64 * 1024 }
    }
}
