//! The head of an answer: reading what a cache asks, writing it for the client.

use crate::fields;
use crate::framing::Body;
use crate::lines::write_kept;

/// What the request was, as far as it shapes its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The method was HEAD: the answer has no body.
    pub head: bool,
    /// An upgrade was offered: 101 is allowed.
    pub upgrade: bool,
}

/// An answer's head that the guard let through.
#[derive(Clone, Debug)]
pub struct ResponseHead<'h, 'b> {
    /// 100 to 999.
    pub status: u16,
    /// The reason phrase; may be empty.
    pub reason: &'b str,
    /// HTTP/1.1, else 1.0.
    pub is_http11: bool,
    /// All fields as sent, hop-by-hop ones too.
    pub fields: &'h [httparse::Header<'b>],
    /// How the body that follows is delimited: `None` for HEAD, 1xx, 204, 304 whatever the fields say.
    pub body: Body,
    /// Content-Length as said, also where no body follows (HEAD, 304).
    pub content_length: Option<u64>,
    /// The upstream keeps the connection; never with `UntilClose` or after 101.
    pub keep_alive: bool,
    /// Status 101 to the protocol that was asked: the bytes that follow are a tunnel's.
    pub upgrade: bool,
    /// Bytes of the head; the body starts there.
    pub head_bytes: usize,
    /// The head as sent.
    pub(crate) bytes: &'b [u8],
    /// Bit i: field i never goes on as it is.
    pub(crate) dropped: u128,
}

impl<'b> ResponseHead<'_, 'b> {
    /// Return the first value of a field; `name` in any case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'b [u8]> {
        fields::first(self.fields, name)
    }

    /// Return every field with this name, in order.
    pub fn fields_named<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'b [u8]> + 's {
        fields::all(self.fields, name)
    }

    /// Return name and value of every field as sent, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> + '_ {
        self.fields.iter().map(|field| (field.name, field.value))
    }

    /// Return name and value of the end-to-end fields: what `write` writes, and what a cache may keep.
    pub fn end_to_end(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> + '_ {
        let kept = self.fields.iter().enumerate().filter(|(i, _)| self.dropped >> i & 1 == 0);
        kept.map(|(_, field)| (field.name, field.value))
    }

    /// Append status line and end-to-end fields, always as HTTP/1.1.
    ///
    /// Framing, `connection` and the final empty line are the caller's, except for an upgrade,
    /// where `connection: upgrade` and `upgrade` are written here.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.reserve(self.head_bytes + 128);
        out.extend_from_slice(b"HTTP/1.1 ");
        // The guard lets three digits through.
        out.extend_from_slice(&[100, 10, 1].map(|unit| b'0' + (self.status / unit % 10) as u8));
        out.push(b' ');
        out.extend_from_slice(self.reason.as_bytes());
        out.extend_from_slice(b"\r\n");
        write_kept(self.bytes, self.fields, self.dropped, |_| true, out);
        if self.upgrade {
            out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n");
        }
    }
}
