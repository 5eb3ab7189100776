//! The head of a request: reading what a key or a cache asks, writing it for the next hop.

use crate::fields;
use crate::framing::{Body, write_framing};
use crate::lines::{write_kept, write_known};
use crate::response::Asked;

/// Who speaks on a client connection, as told to the origin.
#[derive(Clone, Copy, Debug)]
pub struct Peer<'a> {
    /// The address without port, as text.
    pub ip: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
}

/// How a request goes on.
#[derive(Clone, Copy, Debug)]
pub struct Forward<'a> {
    /// The client.
    pub peer: Peer<'a>,
    /// The peer is believed: forwarding fields that came in go on unchanged (ours are written only if none came).
    pub is_inner: bool,
    /// The evaluated key, already escaped, to send as `x-alongside-key`.
    pub key: Option<&'a [u8]>,
    /// The Host to send instead of the client's.
    pub host: Option<&'a [u8]>,
    /// Pass `expect: 100-continue` on if the client sent it.
    pub passes_expect: bool,
    /// Names (lower case) of further fields to leave out, such as conditions and ranges of a cache's own fetch.
    pub without: &'a [&'a str],
}

impl<'a> Forward<'a> {
    /// Return the plain way: an outer peer, no key, the client's Host, no expectation, nothing left out.
    #[must_use]
    pub fn new(peer: Peer<'a>) -> Forward<'a> {
        Forward { peer, is_inner: false, key: None, host: None, passes_expect: false, without: &[] }
    }
}

/// A request's head that the guard let through. Fields may be changed by the holder before `write`.
#[derive(Clone, Debug)]
pub struct RequestHead<'h, 'b> {
    /// The method, as sent; never CONNECT or TRACE.
    pub method: &'b str,
    /// Origin form (`/…`), or `*` with OPTIONS. The authority of an absolute form is in `authority`.
    pub target: &'b [u8],
    /// Host, or the authority of an absolute-form target; empty only in HTTP/1.0.
    pub authority: &'b [u8],
    /// HTTP/1.1, else 1.0.
    pub is_http11: bool,
    /// All fields as sent, hop-by-hop ones too.
    pub fields: &'h [httparse::Header<'b>],
    /// `None`, `Length` or `Chunked`.
    pub body: Body,
    /// The client wants the connection kept.
    pub keep_alive: bool,
    /// `Expect: 100-continue` with HTTP/1.1 and a body.
    pub expects_continue: bool,
    /// `websocket` if an upgrade to it was properly asked, else `None`.
    pub upgrade: Option<&'b [u8]>,
    /// Bytes of the head from the first given one; the body starts there.
    pub head_bytes: usize,
    /// The head as sent.
    pub(crate) bytes: &'b [u8],
    /// Bit i: field i never goes on as it is.
    pub(crate) dropped: u128,
    /// Bit i: field i is a forwarding field, believed from inner peers only.
    pub(crate) forwarding: u128,
}

impl<'b> RequestHead<'_, 'b> {
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

    /// Return the end-to-end fields as `write` sends them on, without host, framing and forwarding fields of ours.
    pub fn end_to_end(&self, is_inner: bool) -> impl Iterator<Item = httparse::Header<'b>> + '_ {
        let skipped = if is_inner { self.dropped } else { self.dropped | self.forwarding };
        let kept = self.fields.iter().enumerate().filter(move |(i, _)| skipped >> i & 1 == 0);
        kept.map(|(_, field)| *field)
    }

    /// Return whether the client says for whom it asks, or what was asked of it; that is believed of inner peers only.
    #[must_use]
    pub const fn is_forwarded(&self) -> bool {
        self.forwarding != 0
    }

    /// Return what shapes this request's answer.
    #[must_use]
    pub fn asked(&self) -> Asked {
        Asked { head: self.method == "HEAD", upgrade: self.upgrade.is_some() }
    }

    /// Append request line, host, end-to-end fields, framing and forwarding fields, always as HTTP/1.1.
    ///
    /// Where an HTTP/1.0 client named no host and `forward` neither, the host is `localhost`: HTTP/1.1 needs one.
    /// The final empty line is left to the caller, who may add fields before it.
    pub fn write(&self, forward: &Forward<'_>, out: &mut Vec<u8>) {
        out.reserve(self.head_bytes + 256);
        out.extend_from_slice(self.method.as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.target);
        let authority = if self.authority.is_empty() { b"localhost" } else { self.authority };
        write_known(b" HTTP/1.1\r\nhost: ", forward.host.unwrap_or(authority), out);
        let skipped = if forward.is_inner { self.dropped } else { self.dropped | self.forwarding };
        let is_kept = |field: &httparse::Header<'_>| !fields::is_one_of(field.name, forward.without);
        write_kept(self.bytes, self.fields, skipped, is_kept, out);
        write_framing(self.body, out);
        if forward.passes_expect && self.expects_continue {
            out.extend_from_slice(b"expect: 100-continue\r\n");
        }
        if let Some(protocol) = self.upgrade {
            out.extend_from_slice(b"connection: upgrade\r\n");
            write_known(b"upgrade: ", protocol, out);
        }
        if !(forward.is_inner && self.is_forwarded()) {
            write_known(b"x-forwarded-for: ", forward.peer.ip.as_bytes(), out);
            write_known(b"x-forwarded-proto: ", forward.peer.scheme.as_bytes(), out);
            if !self.authority.is_empty() {
                write_known(b"x-forwarded-host: ", self.authority, out);
            }
        }
        if let Some(key) = forward.key {
            write_known(b"x-alongside-key: ", key, out);
        }
    }
}
