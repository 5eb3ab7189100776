//! What the engine writes behind a head of HTTP/1.1, sent as DATA of HTTP/2 when the other side has room for it.

use crate::body::BodyReader;
use alongside_protocols::chunked::Piece;
use alongside_protocols::{Body, FIELDS_MAX, Limits};
use bytes::{Bytes, BytesMut};
use h2::SendStream;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::io;
use std::task::{Context, Poll, ready};

/// What is taken of a body before the other side has room for it.
const TAKEN_BYTES_MAX: usize = 32 * 1024;

/// What the engine writes: heads that were let in, and what is added to them.
pub(super) const LIMITS: Limits =
    Limits { head_bytes_max: 2 * 1024 * 1024, fields_max: FIELDS_MAX, target_bytes_max: 64 * 1024 };

/// What comes next in what the engine writes.
#[derive(Debug)]
enum Next {
    Body(BodyReader),
    Tunnel,
    /// All was taken; fields behind the body perhaps are to be sent.
    End(Option<HeaderMap>),
    Nothing,
}

/// A body on its way.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// What the engine wrote and was not understood yet.
    taken: Vec<u8>,
    /// The bytes for which the other side had no room yet.
    payload: BytesMut,
    next: Next,
}

impl Outgoing {
    /// Returns a body of which nothing came, and that is to be read so.
    pub fn of(body: Body) -> Self {
        let reader = BodyReader::new(body, &LIMITS);
        Self {
            taken: Vec::new(),
            payload: BytesMut::new(),
            next: if reader.is_done() { Next::Nothing } else { Next::Body(reader) },
        }
    }

    /// Returns one way of a tunnel.
    pub fn tunnel() -> Self {
        Self { taken: Vec::new(), payload: BytesMut::new(), next: Next::Tunnel }
    }

    /// Whether all was handed over.
    pub const fn is_done(&self) -> bool {
        matches!(self.next, Next::Nothing)
    }

    /// Gives it up.
    pub fn give_up(&mut self) {
        self.next = Next::Nothing;
    }

    /// Says that a tunnel ends here.
    pub fn end_tunnel(&mut self) {
        if matches!(self.next, Next::Tunnel) {
            self.next = Next::End(None);
        }
    }

    /// Takes bytes, and sends what there is room for.
    pub fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
        stream: &mut SendStream<Bytes>,
    ) -> Poll<io::Result<usize>> {
        if self.taken.len() + self.payload.len() >= TAKEN_BYTES_MAX {
            ready!(self.poll_pass(context, stream))?;
        }
        let room = TAKEN_BYTES_MAX.saturating_sub(self.taken.len() + self.payload.len()).max(1);
        let count = bytes.len().min(room);
        self.taken.extend_from_slice(&bytes[..count]);
        // What finds no room now goes out with the next bytes, or when it is flushed.
        if let Poll::Ready(Err(error)) = self.poll_pass(context, stream) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(count))
    }

    /// Sends all that was taken.
    pub fn poll_pass(&mut self, context: &mut Context<'_>, stream: &mut SendStream<Bytes>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_send(context, stream))?;
            if !self.take()? {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Sends payload, and the end behind it.
    fn poll_send(&mut self, context: &mut Context<'_>, stream: &mut SendStream<Bytes>) -> Poll<io::Result<()>> {
        let is_ending = matches!(self.next, Next::End(None));
        while !self.payload.is_empty() {
            stream.reserve_capacity(self.payload.len());
            let mut room = stream.capacity();
            if room == 0 {
                room = match ready!(stream.poll_capacity(context)) {
                    Some(Ok(room)) => room,
                    _ => return Poll::Ready(Err(gone())),
                };
            }
            let piece = self.payload.split_to(room.min(self.payload.len())).freeze();
            let is_last = is_ending && self.payload.is_empty();
            stream.send_data(piece, is_last).map_err(|_| gone())?;
            if is_last {
                self.next = Next::Nothing;
            }
        }
        if let Next::End(trailers) = &mut self.next {
            let sent = match trailers.take() {
                Some(trailers) => stream.send_trailers(trailers),
                None => stream.send_data(Bytes::new(), true),
            };
            self.next = Next::Nothing;
            sent.map_err(|_| gone())?;
        }
        Poll::Ready(Ok(()))
    }

    /// Understands what was taken; returns whether there is something to send or to understand.
    fn take(&mut self) -> io::Result<bool> {
        match &mut self.next {
            Next::Body(reader) => {
                let (used, piece) = reader.next(&self.taken).map_err(io::Error::other)?;
                let (is_data, is_end) = match piece {
                    Piece::Data(data) => {
                        self.payload.extend_from_slice(data);
                        (true, reader.is_done())
                    }
                    Piece::End => (false, true),
                    Piece::More => (false, false),
                };
                let trailers = if is_end { fields_of(reader.trailers()) } else { None };
                self.taken.drain(..used);
                if is_end {
                    self.next = Next::End(trailers);
                }
                Ok(is_data || is_end)
            }
            Next::Tunnel => {
                self.payload.extend_from_slice(&self.taken);
                self.taken.clear();
                Ok(!self.payload.is_empty())
            }
            Next::End(_) => Ok(true),
            Next::Nothing => {
                // A connection's own end, of which a stream knows nothing.
                self.taken.clear();
                Ok(false)
            }
        }
    }
}

/// Returns the error of a stream that is gone.
pub(super) fn gone() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// Returns a field as HTTP/2 has it.
pub(super) fn field(name: &[u8], value: &[u8]) -> Result<(HeaderName, HeaderValue), http::Error> {
    Ok((HeaderName::from_bytes(name)?, HeaderValue::from_bytes(value)?))
}

/// Returns the fields of trailer lines, each of which ends with CRLF; nothing where there are none.
fn fields_of(lines: &[u8]) -> Option<HeaderMap> {
    let mut fields = HeaderMap::new();
    for line in lines.split(|&byte| byte == b'\n') {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        // The guard let them through.
        if let Ok((name, value)) = field(&line[..colon], line[colon + 1..].trim_ascii()) {
            fields.append(name, value);
        }
    }
    (!fields.is_empty()).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_become_fields() {
        let fields = fields_of(b"grpc-status: 0\r\nGrpc-Message:  fine \r\n").unwrap();
        assert_eq!(fields["grpc-status"], "0");
        assert_eq!(fields["grpc-message"], "fine");
        assert!(fields_of(b"").is_none());
    }
}
