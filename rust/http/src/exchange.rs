//! One request and its answer: the tools that a service answers with.

use crate::answer;
use crate::body::BodyReader;
use crate::course::Trail;
use crate::service::{Facts, Stream};
use alongside_document::Limits;
use alongside_protocols::chunked::Piece;
use alongside_transport::gate::Gate;
use alongside_transport::{Buffer, Deadline};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::AsyncWriteExt;

/// The client's connection is of no further use; nothing more can be said on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

/// What a notice is waited for.
type Done = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a service wants to do when the status of a forwarded answer is known, before the client is told.
pub struct Notice(Box<dyn FnOnce(u16) -> Option<Done> + Send>);

impl Notice {
    /// Returns a notice that calls `act` with the status.
    #[must_use]
    pub fn new(act: impl FnOnce(u16) + Send + 'static) -> Self {
        Self(Box::new(|status| {
            act(status);
            None
        }))
    }

    /// Returns a notice that calls `act` with the status, and lets the client wait for what that returns; it must end by
    /// itself soon.
    #[must_use]
    pub fn waiting<D>(act: impl FnOnce(u16) -> Option<D> + Send + 'static) -> Self
    where
        D: Future<Output = ()> + Send + 'static,
    {
        Self(Box::new(|status| act(status).map(|done| Box::pin(done) as Done)))
    }

    /// Tells the status; returns when the client may be told.
    pub(crate) async fn tell(self, status: u16) {
        if let Some(done) = (self.0)(status) {
            done.await;
        }
    }
}

impl std::fmt::Debug for Notice {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Notice")
    }
}

/// One request and its answer. A service answers exactly once, by [`Exchange::send`], [`Exchange::refuse`] or
/// [`Exchange::forward`].
#[derive(Debug)]
pub struct Exchange<'c, S> {
    /// The client's connection.
    pub client: &'c mut S,
    /// What came from the client after the head.
    pub input: &'c mut Buffer,
    /// What the plan left: a head for the upstream, or an answer.
    pub output: Vec<u8>,
    /// What outlives the request's head.
    pub facts: Facts,
    /// When the head was read.
    pub began: Instant,
    /// The limits in force.
    pub limits: &'c Limits,
    /// The guard's part of them.
    pub guard: &'c alongside_protocols::Limits,
    /// The connection's deadline.
    pub deadline: &'c Deadline,
    /// The request's body, until a forward takes it.
    pub body: Option<BodyReader>,
    /// Whether the connection serves another request after this one.
    pub keep_alive: bool,
    /// The status that was answered, for the metric.
    pub status: u16,
    /// Lines that a forwarded answer's head gets, behind the upstream's own.
    pub extra: Vec<u8>,
    /// Called with the status of a forwarded answer.
    pub notice: Option<Notice>,
    /// Why the guard did not let the request's body through, for the metric.
    pub refused: Option<&'static str>,
    /// The requests under way in the whole process.
    pub gate: &'c Arc<Gate>,
    /// Where it went, for metrics and the log.
    pub trail: Trail,
}

impl<S: Stream> Exchange<'_, S> {
    /// Sends `output` as the whole answer.
    ///
    /// # Errors
    /// The client left.
    pub async fn send(&mut self, status: u16) -> Result<(), Broken> {
        self.status = status;
        let mut limit_ms = Some(self.limits.body_timeout_ms);
        let written = self.deadline.within_once(&mut limit_ms, write_whole(self.client, &self.output)).await;
        if matches!(written, Ok(Ok(()))) { Ok(()) } else { Err(Broken) }
    }

    /// Writes bytes, or the output, asking for `body_bytes_min` in each `body_timeout_ms`.
    ///
    /// # Errors
    /// The client left or reads too slowly.
    pub async fn write_paced(&mut self, part: Option<&[u8]>) -> Result<(), Broken> {
        let mut rest = part.unwrap_or(&self.output);
        let mut mark = rest.len();
        // Nearly always all of it is taken at once, and there is nothing to wait for.
        let mut limit_ms = Some(self.limits.body_timeout_ms);
        while !rest.is_empty() {
            match self.deadline.within_once(&mut limit_ms, self.client.write(rest)).await {
                Ok(Ok(count)) if count > 0 => rest = &rest[count..],
                _ => return Err(Broken),
            }
            if !rest.is_empty() && (mark - rest.len()) as u64 >= self.limits.body_bytes_min {
                mark = rest.len();
                limit_ms = Some(self.limits.body_timeout_ms);
            }
        }
        match self.deadline.within_once(&mut limit_ms, self.client.flush()).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Broken),
        }
    }

    /// Answers with an error of our own.
    ///
    /// # Errors
    /// The client left.
    pub async fn refuse(&mut self, status: u16, reason: &str) -> Result<(), Broken> {
        self.output.clear();
        let flags = (self.facts.is_head, !self.keep_alive);
        self.trail.body_bytes = answer::write_error(status, reason, flags, &mut self.output) as u64;
        self.send(status).await
    }

    /// Reads and drops what is left of the request's body, up to `bytes_max`; else the connection ends.
    pub async fn drain_body(&mut self, bytes_max: usize) {
        let Some(mut body) = self.body.take() else { return };
        let mut left = bytes_max;
        self.deadline.set(self.limits.body_timeout_ms);
        while !body.is_done() {
            let Ok((used, piece)) = body.next(self.input.data()) else { break };
            let (is_end, is_more) = (piece == Piece::End, piece == Piece::More);
            self.input.consume(used);
            left = left.saturating_sub(used);
            if is_end {
                return;
            }
            if is_more {
                let filled = self.deadline.within(self.input.fill(self.client, usize::MAX)).await;
                if left == 0 || !matches!(filled, Ok(Ok(1..))) {
                    break;
                }
            }
        }
        self.keep_alive &= body.is_done();
    }

    /// Reads the request's whole body, at most `bytes_max`; `None` where it is longer, broken or does not come.
    pub async fn collect_body(&mut self, bytes_max: usize) -> Option<Vec<u8>> {
        let mut collected = Vec::new();
        let Some(mut body) = self.body.take() else { return Some(collected) };
        self.deadline.set(self.limits.body_timeout_ms);
        loop {
            let (used, is_end, is_more) = match body.next(self.input.data()) {
                Ok((used, Piece::Data(data))) => {
                    collected.extend_from_slice(data);
                    (used, body.is_done(), false)
                }
                Ok((used, piece)) => (used, piece == Piece::End, piece == Piece::More),
                Err(_) => break,
            };
            self.input.consume(used);
            if collected.len() > bytes_max {
                break;
            }
            if is_end {
                return Some(collected);
            }
            if is_more && !matches!(self.deadline.within(self.input.fill(self.client, usize::MAX)).await, Ok(Ok(1..))) {
                break;
            }
        }
        self.keep_alive = false;
        None
    }

    /// Ends the head in `output`: whether the connection goes on, and the empty line.
    pub fn end_head(&mut self) {
        write_end(self.keep_alive, self.facts.is_http11, &mut self.output);
    }
}

/// Writes bytes, and what a stream held back of them.
pub(crate) async fn write_whole<S: Stream>(client: &mut S, bytes: &[u8]) -> io::Result<()> {
    client.write_all(bytes).await?;
    client.flush().await
}

pub(crate) fn write_end(keep_alive: bool, is_http11: bool, out: &mut Vec<u8>) {
    if !keep_alive {
        out.extend_from_slice(b"connection: close\r\n");
    } else if !is_http11 {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
}
