//! One request and its answer: the tools that a service answers with.

use crate::answer;
use crate::body::BodyReader;
use crate::duplex::{Answer, ClientTrouble, Duplex, Trouble};
use crate::flow::Flow;
use crate::link::{ConnectError, Upstream};
use crate::metrics::UpstreamOutcome;
use crate::service::{Facts, Stream};
use crate::tunnel;
use alongside_document::Limits;
use alongside_protocols::Body;
use alongside_protocols::chunked::Piece;
use alongside_transport::{Buffer, Deadline, buffer, deadline, pool};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// The client's connection is of no further use; nothing more can be said on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

/// What a service wants to do when the status of a forwarded answer is known, before the client is told.
pub struct Notice(Box<dyn FnOnce(u16) + Send>);

impl Notice {
    /// Returns a notice that calls `act` with the status.
    #[must_use]
    pub fn new(act: impl FnOnce(u16) + Send + 'static) -> Self {
        Self(Box::new(act))
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
}

impl<S: Stream> Exchange<'_, S> {
    /// Sends `output` as the whole answer.
    ///
    /// # Errors
    /// The client left.
    pub async fn send(&mut self, status: u16) -> Result<(), Broken> {
        self.status = status;
        self.deadline.set(self.limits.body_timeout_ms);
        let written = self.deadline.within(self.client.write_all(&self.output)).await;
        if matches!(written, Ok(Ok(()))) { Ok(()) } else { Err(Broken) }
    }

    /// Writes bytes, or the output, asking for `body_bytes_min` in each `body_timeout_ms`.
    ///
    /// # Errors
    /// The client left or reads too slowly.
    pub async fn write_paced(&mut self, part: Option<&[u8]>) -> Result<(), Broken> {
        let mut rest = part.unwrap_or(&self.output);
        let mut mark = rest.len();
        self.deadline.set(self.limits.body_timeout_ms);
        while !rest.is_empty() {
            match self.deadline.within(self.client.write(rest)).await {
                Ok(Ok(count)) if count > 0 => rest = &rest[count..],
                _ => return Err(Broken),
            }
            if (mark - rest.len()) as u64 >= self.limits.body_bytes_min {
                mark = rest.len();
                self.deadline.set(self.limits.body_timeout_ms);
            }
        }
        Ok(())
    }

    /// Answers with an error of our own.
    ///
    /// # Errors
    /// The client left.
    pub async fn refuse(&mut self, status: u16, reason: &str) -> Result<(), Broken> {
        self.output.clear();
        answer::write_error(status, reason, (self.facts.is_head, !self.keep_alive), &mut self.output);
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

    /// Sends the request on to the upstream that `choose` names for attempt 0, 1, …, with the head in `output`, and
    /// passes the answer back as it comes.
    ///
    /// The next one is asked for only where nothing was sent yet. A kept connection that turns out closed is replaced
    /// once, if the request may be sent twice.
    ///
    /// # Errors
    /// The connection is of no further use.
    pub async fn forward(
        &mut self,
        mut choose: impl FnMut(usize) -> Option<Arc<Upstream>> + Send,
    ) -> Result<(), Broken> {
        let head = std::mem::replace(&mut self.output, buffer::take_output());
        let reader = self.body.take().unwrap_or(BodyReader::Done);
        let mut request = Flow::new(head, reader, self.facts.body == Body::Chunked);
        if let Err(refusal) = request.prepare(self.input) {
            self.keep_alive = false;
            self.refused = Some(refusal.reason.as_str());
            return self.refuse(refusal.status, refusal.reason.as_str()).await;
        }
        let mut attempt = 0;
        let mut trouble = (502, "no upstream could be reached");
        let result = loop {
            let Some(upstream) = choose(attempt) else {
                break self.fail(trouble, &request).await;
            };
            let error = match self.forward_to(&upstream, &mut request).await {
                Ok(result) => break result,
                Err(error) => error,
            };
            if matches!(error, ConnectError::TimedOut { .. }) {
                trouble = (504, "no upstream took the connection in time");
            }
            upstream.metrics.count(UpstreamOutcome::ConnectFailed);
            attempt += 1;
        };
        buffer::give_output(request.into_pending());
        result
    }

    async fn fail(&mut self, (status, reason): (u16, &str), request: &Flow) -> Result<(), Broken> {
        // What is left of the body would be read as a next request.
        self.keep_alive &= request.is_read();
        self.refuse(status, reason).await
    }

    async fn forward_to(
        &mut self,
        upstream: &Upstream,
        request: &mut Flow,
    ) -> Result<Result<(), Broken>, ConnectError> {
        let mut kept = if self.facts.is_repeatable { upstream.reuse() } else { None };
        loop {
            let is_kept = kept.is_some();
            let stream = match kept.take() {
                Some(stream) => stream,
                None => upstream.connect(self.deadline, self.limits.connect_timeout_ms).await?,
            };
            match self.attempt(stream, upstream, request).await {
                Err(Trouble::Closed { silent: true }) if is_kept => {
                    upstream.metrics.retries.inc();
                    request.rewind();
                }
                Ok(result) => return Ok(result),
                Err(trouble) => return Ok(self.explain(trouble, upstream, request).await),
            }
        }
    }

    async fn explain(&mut self, trouble: Trouble, upstream: &Upstream, request: &Flow) -> Result<(), Broken> {
        let (outcome, status, reason) = match trouble {
            Trouble::Closed { .. } => (UpstreamOutcome::Closed, 502, "the upstream closed before it answered"),
            Trouble::TimedOut => (UpstreamOutcome::TimedOut, 504, "the upstream did not answer in time"),
            Trouble::Refused(refusal) => (UpstreamOutcome::Refused, refusal.status, refusal.reason.as_str()),
            Trouble::Client(ClientTrouble::Left) => (UpstreamOutcome::Abandoned, 0, ""),
            Trouble::Client(ClientTrouble::TooSlow) => (UpstreamOutcome::Abandoned, 408, "the body came too slowly"),
            Trouble::Client(ClientTrouble::Refused(refusal)) => {
                self.refused = Some(refusal.reason.as_str());
                (UpstreamOutcome::Abandoned, refusal.status, refusal.reason.as_str())
            }
        };
        upstream.metrics.count(outcome);
        if outcome == UpstreamOutcome::Abandoned {
            self.keep_alive = false;
        }
        if status == 0 {
            return Err(Broken);
        }
        self.fail((status, reason), request).await
    }

    /// One request on one connection. Trouble comes back only while the client was told nothing.
    async fn attempt(
        &mut self,
        mut stream: TcpStream,
        upstream: &Upstream,
        request: &mut Flow,
    ) -> Result<Result<(), Broken>, Trouble> {
        let mut answered = Buffer::new();
        let mut response = Flow::new(std::mem::take(&mut self.output), BodyReader::Done, false);
        response.pending.clear();
        let answer = {
            let mut duplex = Duplex::new(self, &mut stream, request, &mut answered, &mut response);
            let answer = duplex.head().await;
            match answer {
                Ok(answer) => answer,
                // A word of the upstream that is half out cannot be taken back.
                Err(_) if response.is_torn() => return Ok(Err(Broken)),
                Err(trouble) => {
                    self.output = response.into_pending();
                    return Err(trouble);
                }
            }
        };
        self.finish_head(&answer, request, &mut response);
        let reader = BodyReader::new(answer.body, self.guard);
        response.follow_with(reader, answer.is_chunked);
        if let Err(refusal) = response.prepare(&mut answered) {
            // Nothing of the answer is out yet.
            self.output = response.into_pending();
            return Err(Trouble::Refused(refusal.from_upstream()));
        }
        self.status = answer.status;
        if let Some(notice) = self.notice.take() {
            notice.0(answer.status);
        }
        if answer.upgrade {
            self.keep_alive = false;
            self.output = response.into_pending();
            upstream.metrics.count(UpstreamOutcome::Answered);
            return Ok(tunnel::run(self, &mut stream, &mut answered).await);
        }
        let passed = Duplex::new(self, &mut stream, request, &mut answered, &mut response).body().await;
        self.output = response.into_pending();
        match passed {
            Ok(()) => {
                upstream.metrics.count(UpstreamOutcome::Answered);
                if answer.keep_alive && request.is_done() && answered.is_empty() {
                    let idle_max = self.limits.pool_idle_max as usize;
                    pool::give(&upstream.address, stream, idle_max);
                }
                Ok(Ok(()))
            }
            Err(outcome) => {
                upstream.metrics.count(outcome);
                Ok(Err(Broken))
            }
        }
    }

    /// Completes the client's head: framing, and whether the connection goes on.
    fn finish_head(&mut self, answer: &Answer, request: &Flow, response: &mut Flow) {
        let out = &mut response.pending;
        out.extend_from_slice(&self.extra);
        if answer.upgrade {
            out.extend_from_slice(b"\r\n");
            return;
        }
        let is_delimited = answer.is_chunked || matches!(answer.body, Body::None | Body::Length(_));
        // An answer that came before its request was whole ends the connection: the rest may be a body or may not.
        self.keep_alive &= is_delimited && request.is_read() && !deadline::is_draining();
        write_end(self.keep_alive, self.facts.is_http11, out);
    }

    /// Ends the head in `output`: whether the connection goes on, and the empty line.
    pub fn end_head(&mut self) {
        write_end(self.keep_alive, self.facts.is_http11, &mut self.output);
    }
}

fn write_end(keep_alive: bool, is_http11: bool, out: &mut Vec<u8>) {
    if !keep_alive {
        out.extend_from_slice(b"connection: close\r\n");
    } else if !is_http11 {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
}
