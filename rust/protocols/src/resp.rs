//! Redis' protocol, RESP2 and RESP3: framing of requests and replies, and the table of commands.
//!
//! Source: Redis' protocol specification, and redis-server 7.0 where that is silent.

pub mod commands;
mod fault;
mod inline;
mod newer;
mod number;
mod passing;
mod reply;
mod request;

pub use crate::incremental::{Parsed, Progress};
pub use fault::{Fault, Reason};
pub use inline::Inline;
pub use passing::Passing;
pub use reply::{Elements, Reply, ReplyProgress, Stray, Type, element_bytes, reply, reply_with};
pub use request::{Args, Message, Request, Spot, request, request_with};

/// A version of the protocol: which types replies have. Requests are the same in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Version {
    /// RESP2.
    #[default]
    Two,
    /// RESP3, which has the types of RESP2 too.
    Three,
}

impl Version {
    /// Return its number, as `HELLO` has it.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Version::Two => 2,
            Version::Three => 3,
        }
    }
}

/// What a request or a reply may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one argument or of one bulk string in a reply.
    pub bulk_bytes_max: u64,
    /// Arguments of a request with its command's name, or elements of one array, set or map in a reply, keys and values
    /// each for themselves.
    pub elements_max: usize,
    /// Bytes of an inline command, or of a reply's simple string or error, with the line's end.
    pub line_bytes_max: usize,
    /// Which types a reply may have.
    pub version: Version,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            bulk_bytes_max: 512 * 1024 * 1024,
            elements_max: 1024 * 1024,
            line_bytes_max: 64 * 1024,
            version: Version::Two,
        }
    }
}
