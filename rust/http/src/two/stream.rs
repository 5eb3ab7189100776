//! A stream of HTTP/2 as a connection of HTTP/1.1 that brings one request: what is read is a request, what is written an answer.

use super::answer::Answering;
use super::request::{Framing, Written, write_field};
use crate::service::Stream;
use alongside_protocols::chunked;
use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What of the request is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Data,
    Trailers,
    Nothing,
}

/// One stream, as the engine sees it.
#[derive(Debug)]
pub(crate) struct Virtual {
    /// Lines that are ready to be read.
    lines: Vec<u8>,
    /// How much of them was read.
    read: usize,
    /// What came of the body and was not read.
    piece: Bytes,
    framing: Framing,
    left: Left,
    body: RecvStream,
    answering: Answering,
}

impl Virtual {
    /// Returns a stream whose request's head is written.
    pub fn new(written: Written, body: RecvStream, answering: Answering) -> Self {
        let left = if written.framing == Framing::None { Left::Nothing } else { Left::Data };
        let Written { head: lines, framing } = written;
        Self { lines, read: 0, piece: Bytes::new(), framing, left, body, answering }
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
        // The client may send as much again. An error says that the stream is gone, which the next read tells.
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
        if self.left == Left::Data {
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
        } else {
            let trailers = ready!(self.body.poll_trailers(context)).map_err(broken)?.unwrap_or_default();
            self.say(b"0\r\n");
            trailers.iter().for_each(|(name, value)| write_field(name.as_str(), value.as_bytes(), &mut self.lines));
            self.lines.extend_from_slice(b"\r\n");
            self.left = Left::Nothing;
        }
        Poll::Ready(Ok(()))
    }
}

fn broken(error: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

impl AsyncRead for Virtual {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while !this.give(buffer) {
            // There is one request. Who goes on reading behind its answer finds the end.
            if this.left == Left::Nothing || this.answering.is_done() {
                break;
            }
            ready!(this.poll_take(context))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Virtual {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().answering.poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().answering.poll_pass(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().answering.poll_end(context)
    }
}

impl Stream for Virtual {
    fn cut(&mut self) {
        self.answering.reset(Reason::INTERNAL_ERROR);
    }
}
