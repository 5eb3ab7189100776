//! Requests that cannot be read.

/// Why a request cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The number of arguments is none, or more than the limit.
    Count,
    /// The length of an argument is none, or more than the limit.
    Length,
    /// Something else stands where an argument must begin.
    NoBulk(u8),
    /// An argument does not end where its length says.
    End,
    /// An inline command longer than the limit.
    InlineTooLong,
    /// An inline command whose quotes do not match.
    Quotes,
    /// HTTP: a page made a browser send its commands to us.
    Http,
}

/// Bytes that are no request. Nobody can know where the next one begins: answer, and close the connection, as Redis does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Why.
    pub reason: Reason,
}

impl Fault {
    /// Append the error that answers it.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"-ERR Protocol error: ");
        out.extend_from_slice(match self.reason {
            Reason::Count => b"invalid multibulk length",
            Reason::Length => b"invalid bulk length",
            Reason::NoBulk(_) => b"expected '$', got '",
            Reason::End => b"expected CRLF behind an argument",
            Reason::InlineTooLong => b"too big inline request",
            Reason::Quotes => b"unbalanced quotes in request",
            Reason::Http => b"this is not an HTTP server",
        });
        if let Reason::NoBulk(byte) = self.reason {
            // A control byte would break the error's line.
            out.extend_from_slice(&[if byte.is_ascii_graphic() { byte } else { b'?' }, b'\'']);
        }
        out.extend_from_slice(b"\r\n");
    }
}
