//! What comes on a stream of HTTP/2, as HTTP/1.1 has it: a head that is written, then the body in its framing.

use alongside_protocols::chunked;
use bytes::{Buf, Bytes};
use h2::RecvStream;
use http::{HeaderMap, HeaderValue};
use std::io;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;

/// How a body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    None,
    /// As many bytes as its head says.
    Length,
    /// In pieces, with fields behind them perhaps.
    Chunks,
    /// Bytes of a tunnel both ways.
    Tunnel,
}

/// What is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Data,
    Trailers,
    Nothing,
}

/// A message that comes.
#[derive(Debug)]
pub(super) struct Incoming {
    /// Lines that are ready to be read.
    lines: Vec<u8>,
    /// How much of them was read.
    read: usize,
    /// What came of the body and was not read.
    piece: Bytes,
    framing: Framing,
    left: Left,
    body: RecvStream,
}

impl Incoming {
    /// Returns a message with a head that is written, its empty line included.
    pub fn new(head: Vec<u8>, framing: Framing, body: RecvStream) -> Self {
        let left = if framing == Framing::None { Left::Nothing } else { Left::Data };
        Self { lines: head, read: 0, piece: Bytes::new(), framing, left, body }
    }

    /// Reads what is there into a buffer; nothing where the message is over.
    pub fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while !self.give(buffer) && self.left != Left::Nothing {
            ready!(self.poll_take(context))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Gives out what is there; returns false where nothing is.
    fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let lines = &self.lines[self.read..];
        if !lines.is_empty() {
            let count = lines.len().min(buffer.remaining());
            buffer.put_slice(&lines[..count]);
            self.read += count;
            return true;
        }
        if self.piece.is_empty() {
            return false;
        }
        let count = self.piece.len().min(buffer.remaining());
        buffer.put_slice(&self.piece[..count]);
        self.piece.advance(count);
        // The other side may send as much again. An error says that the stream is gone, which the next read tells.
        let _ = self.body.flow_control().release_capacity(count);
        if self.piece.is_empty() && self.framing == Framing::Chunks {
            self.say(b"\r\n");
        }
        true
    }

    fn say(&mut self, bytes: &[u8]) {
        self.lines.clear();
        self.read = 0;
        self.lines.extend_from_slice(bytes);
    }

    /// Takes the next of what came.
    fn poll_take(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.left == Left::Trailers {
            let trailers = ready!(self.body.poll_trailers(context)).map_err(broken)?.unwrap_or_default();
            self.say(b"0\r\n");
            write_fields(&trailers, &mut self.lines);
            self.lines.extend_from_slice(b"\r\n");
            self.left = Left::Nothing;
            return Poll::Ready(Ok(()));
        }
        match ready!(self.body.poll_data(context)) {
            Some(Ok(piece)) if piece.is_empty() => {}
            Some(Ok(piece)) => {
                if self.framing == Framing::Chunks {
                    self.say(b"");
                    chunked::write_chunk_start(piece.len(), &mut self.lines);
                }
                self.piece = piece;
            }
            Some(Err(error)) => return Poll::Ready(Err(broken(error))),
            None if self.framing == Framing::Chunks => self.left = Left::Trailers,
            None => self.left = Left::Nothing,
        }
        Poll::Ready(Ok(()))
    }
}

/// Returns an error of the frames' reader as one of a connection.
pub(super) fn broken(error: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

/// Appends fields as lines. Their names and values hold nothing that ends a line.
pub(super) fn write_fields(fields: &HeaderMap<HeaderValue>, out: &mut Vec<u8>) {
    fields.iter().for_each(|(name, value)| write_field(name.as_str(), value.as_bytes(), out));
}

/// Appends a field as a line.
pub(super) fn write_field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
