//! Requests that go to no server, and what answers them.

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No such command, or not with so many words; an empty line too.
    Unknown,
    /// A key, a number or a byte that cannot stand where it stands.
    Line,
    /// Words behind the key of `delete` that it does not take.
    Usage,
    /// A time that is no number.
    Time,
    /// A number to add that is none.
    Delta,
    /// A block that does not end where its length says.
    Chunk,
    /// A value longer than the limit.
    TooLarge,
    /// More keys than the limit.
    TooManyKeys,
    /// A meta command's flag that is no letter.
    Flag,
    /// A meta command's flag that was there already.
    FlagAgain,
    /// More flags than memcached reads.
    TooManyFlags,
    /// A key in base64 that is none.
    Base64,
    /// A line longer than the limit.
    EndlessLine,
    /// The binary protocol.
    Binary,
}

/// A request that goes to no server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Why.
    pub reason: Reason,
    /// Bytes to pass over from the request's first; some may be still to come. Everything, if the fault is fatal.
    pub skip: u64,
    /// The request said `noreply` and memcached keeps to it in this case: nothing answers it.
    pub is_quiet: bool,
}

impl Fault {
    /// Return the line that answers the request, with its end. Nothing is sent of it if the fault is quiet.
    #[must_use]
    pub const fn answer(&self) -> &'static [u8] {
        match self.reason {
            Reason::Unknown => b"ERROR\r\n",
            Reason::Line => b"CLIENT_ERROR bad command line format\r\n",
            Reason::Usage => b"CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n",
            Reason::Time => b"CLIENT_ERROR invalid exptime argument\r\n",
            Reason::Delta => b"CLIENT_ERROR invalid numeric delta argument\r\n",
            Reason::Chunk => b"CLIENT_ERROR bad data chunk\r\n",
            Reason::TooLarge => b"SERVER_ERROR object too large for cache\r\n",
            Reason::TooManyKeys => b"CLIENT_ERROR too many keys\r\n",
            Reason::Flag => b"CLIENT_ERROR invalid flag\r\n",
            Reason::FlagAgain => b"CLIENT_ERROR duplicate flag\r\n",
            Reason::TooManyFlags => b"CLIENT_ERROR options flags are too long\r\n",
            Reason::Base64 => b"CLIENT_ERROR error decoding key\r\n",
            Reason::EndlessLine => b"CLIENT_ERROR line too long\r\n",
            Reason::Binary => b"CLIENT_ERROR the binary protocol is not spoken here\r\n",
        }
    }

    /// Tell whether nobody can know where the next request begins: answer, and close the connection.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        matches!(self.reason, Reason::EndlessLine | Reason::Binary)
    }
}
