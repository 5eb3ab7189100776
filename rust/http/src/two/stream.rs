//! A stream of HTTP/2 as a connection of HTTP/1.1 that brings one request: what is read is a request, what is written an answer.

use super::answer::Answering;
use super::incoming::Incoming;
use crate::service::Stream;
use alongside_transport::Bare;
use h2::Reason;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One stream, as the engine sees it.
#[derive(Debug)]
pub(super) struct Virtual {
    /// The request.
    pub incoming: Incoming,
    /// The answer.
    pub answering: Answering,
}

impl AsyncRead for Virtual {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // There is one request. Who goes on reading behind its answer finds the end.
        if this.answering.is_done() { Poll::Ready(Ok(())) } else { this.incoming.poll_read(context, buffer) }
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

impl Bare for Virtual {}

impl Stream for Virtual {
    fn cut(&mut self) {
        self.answering.reset(Reason::INTERNAL_ERROR);
    }
}
