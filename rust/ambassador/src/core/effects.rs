//! What the core wants done to connections.

use std::sync::Arc;

use super::{ClientId, LinkId, Terms};

/// What is to be done, in order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Connect to a server, and say [`super::Core::link_connected`] or [`super::Core::link_closed`]. The core gives up
    /// itself when it takes longer than the pool allows.
    Connect {
        /// The link.
        link: LinkId,
        /// Its pool.
        terms: Arc<Terms>,
        /// The server's index among the pool's.
        server: usize,
    },
    /// Close a link now. The core has forgotten it.
    CloseLink(LinkId),
    /// Close a client's connection now: what was to be written is, or never will be. The core has forgotten it.
    CloseClient(ClientId),
    /// Read no more from a client until it is resumed. What was read already may still be given.
    Pause(ClientId),
    /// Read from a client again.
    Resume(ClientId),
}

/// Why a link is no more, or could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// The server refused the connection.
    Refused,
    /// Connecting, or an answer, took too long.
    TimedOut,
    /// The server's name has no address.
    NotFound,
    /// The server reset the connection.
    Reset,
    /// The server ended the connection.
    Ended,
    /// The server answered with what answers nothing.
    Stray,
    /// The server did not take our name and password, or not our database.
    Unauthorized,
    /// The server does not speak RESP3.
    Version,
    /// The server does not say now whether it speaks RESP3.
    Unready,
    /// TLS failed.
    Tls,
    /// None was needed: too much waits already.
    Full,
    /// The server's answer is larger than what may wait.
    TooLarge,
    /// The server took the block behind a command that it does not know for commands.
    Misread,
    /// This process or machine has too little of something: the server has nothing to do with it.
    Own,
    /// Anything else, also here.
    Other,
}

impl Why {
    /// Return the word of logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Why::Refused => "refused",
            Why::TimedOut => "timed_out",
            Why::NotFound => "not_found",
            Why::Reset => "reset",
            Why::Ended => "ended",
            Why::Stray => "stray",
            Why::Unauthorized => "unauthorized",
            Why::Version => "version",
            Why::Unready => "unready",
            Why::Tls => "tls",
            Why::Full => "full",
            Why::TooLarge => "too_large",
            Why::Misread => "misread",
            Why::Own => "own",
            Why::Other => "other",
        }
    }

    /// Return what clients are told, in twemproxy's words where it has some.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Why::Refused => "Connection refused",
            Why::TimedOut => "Connection timed out",
            Why::NotFound => "Server has no address",
            Why::Reset | Why::Ended => "Connection reset by peer",
            Why::Stray => "Server sent an invalid answer",
            Why::Unauthorized => "Server refused the password or database",
            Why::Version => "Server does not speak RESP3",
            Why::Unready => "Server does not take RESP3 now",
            Why::Tls => "TLS to the server failed",
            Why::Full => "Too many commands wait",
            Why::TooLarge => "The server's answer is too large",
            Why::Misread => "Server does not know a command that came before",
            Why::Own => "No more connections can be made here",
            Why::Other => "Server is not available",
        }
    }
}
