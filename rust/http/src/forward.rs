//! Sending a request on: one upstream after the other, until one has answered or none is left.

use crate::course::{Course, Hop, Lost};
use crate::duplex::{Answer, ClientTrouble, Duplex, Trouble};
use crate::exchange::{Broken, Exchange, write_end};
use crate::flow::Flow;
use crate::link::{ConnectError, Upstream};
use crate::metrics::UpstreamOutcome;
use crate::places::Places;
use crate::resume::Rest;
use crate::service::Stream;
use crate::{body::BodyReader, tunnel};
use alongside_protocols::Body;
use alongside_transport::{Buffer, Wire, buffer, deadline};
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

/// What one hop came to.
enum Tried {
    /// The client has its answer, or nothing more can be said to it.
    Done(Result<(), Broken>),
    /// The client was told nothing and can have it from elsewhere; else it gets this.
    Lost(Lost, (u16, &'static str)),
}

/// What outlives a hop.
struct Sent<'f, 'u> {
    request: &'f mut Flow,
    places: &'f mut Places<'u>,
    /// The request can be sent again.
    is_repeatable: bool,
    /// Bytes up to which its answer is held; none where it goes out as it comes, because nobody else has it.
    hold_bytes: Option<usize>,
}

/// An answer whose head was read.
struct Answered<'h> {
    hop: Hop<'h>,
    began: Instant,
    stream: Wire,
    buffer: Buffer,
    answer: Answer,
    response: Flow,
}

impl<'c, S: Stream> Exchange<'c, S> {
    /// Sends the request on along a course, with the head in `output`, and passes the answer back as it comes.
    ///
    /// The next hop is asked for only where nothing was sent yet, or where the request may be sent twice and the client
    /// was told nothing. A kept connection that turns out closed is replaced once, under the same condition.
    ///
    /// # Errors
    /// The connection is of no further use.
    pub async fn forward<'u>(&mut self, course: &mut impl Course<'u>) -> Result<(), Broken>
    where
        'c: 'u,
    {
        let head = std::mem::replace(&mut self.output, buffer::take_output());
        let reader = self.body.take().unwrap_or(BodyReader::Done);
        let mut request = Flow::new(head, reader, self.facts.body == Body::Chunked);
        if let Err(refusal) = request.prepare(self.input) {
            self.keep_alive = false;
            self.refused = Some(refusal.reason.as_str());
            return Box::pin(self.refuse(refusal.status, refusal.reason.as_str())).await;
        }
        let keep_alive = self.keep_alive;
        let mut places = Places::new(self.limits, self.began);
        let is_repeatable = self.facts.is_repeatable && course.may_repeat();
        let mut failure = (503, "no upstream can be used");
        let mut next = course.next(None);
        let result = loop {
            let Some(hop) = next else { break Box::pin(self.fail(failure, &request)).await };
            if hop.is_origin {
                let mut head = buffer::take_output();
                course.write_origin_head(&request.pending, &mut head);
                let before = std::mem::replace(&mut request, Flow::new(head, BodyReader::Done, false));
                buffer::give_output(before.into_pending());
            }
            let hold_bytes = course.buffer_bytes().filter(|_| is_repeatable);
            let mut sent = Sent { request: &mut request, places: &mut places, is_repeatable, hold_bytes };
            match self.hop(hop, &mut sent, course).await {
                Tried::Done(result) => break result,
                Tried::Lost(lost, why) => {
                    failure = why;
                    self.keep_alive = keep_alive;
                    request.rewind();
                    places.leave();
                    next = course.next(Some(lost));
                }
            }
        };
        buffer::give_output(request.into_pending());
        result
    }

    async fn fail(&mut self, (status, reason): (u16, &str), request: &Flow) -> Result<(), Broken> {
        // What is left of the body would be read as a next request.
        self.keep_alive &= request.is_read();
        self.refuse(status, reason).await
    }

    async fn hop<'u>(&mut self, hop: Hop<'u>, sent: &mut Sent<'_, 'u>, course: &mut impl Course<'u>) -> Tried
    where
        'c: 'u,
    {
        let upstream = hop.upstream;
        // Whoever stands in the queue is no idle connection that may be asked to leave.
        let waits = || self.deadline.clear();
        if let Err(limit) = sent.places.pass(self.limits, self.gate, upstream, waits).await {
            self.trail.shed = Some(limit);
            let why = (503, "too many requests are under way");
            return Tried::Done(Box::pin(self.fail(why, sent.request)).await);
        }
        if upstream.is_left() && course.has_next() {
            // It was given up while this waited for it.
            return Tried::Lost(Lost::Left, (503, "no upstream can be used"));
        }
        self.trail.upstream = Some(Arc::clone(upstream));
        self.trail.hops += 1;
        let mut kept = if sent.is_repeatable { upstream.server.reuse() } else { None };
        loop {
            let is_kept = kept.is_some();
            let stream = match kept.take() {
                Some(stream) => stream,
                None => match Box::pin(upstream.connect(self.deadline, self.limits.connect_timeout_ms)).await {
                    Ok(stream) => stream,
                    // Nothing was sent: whoever is next may have it, whatever it is.
                    Err(error) => return Tried::Lost(Lost::ConnectFailed, unconnected(upstream, &error)),
                },
            };
            // Where nothing was waited for, its way begins with the request: the clock need not be read once more.
            let is_new = self.trail.hops > 1 || !is_kept || sent.places.has_waited();
            let began = if is_new { Instant::now() } else { self.began };
            // Large: it is made where it stays, and not moved there.
            let trouble = match pin!(self.attempt(stream, (hop, began), sent, course)).await {
                Ok(result) => return Tried::Done(result),
                Err(trouble) => trouble,
            };
            match trouble {
                Trouble::Closed { silent: true } if is_kept && sent.is_repeatable => {
                    upstream.metrics.retries.inc();
                    upstream.look_again();
                    sent.request.rewind();
                    continue;
                }
                Trouble::Closed { silent: true } => upstream.closed_early(began),
                Trouble::Closed { silent: false } | Trouble::TimedOut | Trouble::Refused(_) => {
                    upstream.broke_off(began);
                }
                Trouble::Left | Trouble::Client(_) => {}
            }
            return Box::pin(self.lost(trouble, upstream, sent)).await;
        }
    }

    /// Says what a trouble before the client was told anything comes to.
    async fn lost(&mut self, trouble: Trouble, upstream: &Upstream, sent: &Sent<'_, '_>) -> Tried {
        let (outcome, why, lost) = match trouble {
            Trouble::Closed { .. } => {
                (UpstreamOutcome::Closed, (502, "the upstream closed before it answered"), Some(Lost::Closed))
            }
            Trouble::Left => (UpstreamOutcome::Left, (504, "the upstream did not answer in time"), Some(Lost::Left)),
            Trouble::TimedOut => (UpstreamOutcome::TimedOut, (504, "the upstream did not answer in time"), None),
            Trouble::Refused(refusal) => (UpstreamOutcome::Refused, (refusal.status, refusal.reason.as_str()), None),
            Trouble::Client(ClientTrouble::Left) => (UpstreamOutcome::Abandoned, (0, ""), None),
            Trouble::Client(ClientTrouble::TooSlow) => {
                (UpstreamOutcome::Abandoned, (408, "the body came too slowly"), None)
            }
            Trouble::Client(ClientTrouble::Refused(refusal)) => {
                self.refused = Some(refusal.reason.as_str());
                (UpstreamOutcome::Abandoned, (refusal.status, refusal.reason.as_str()), None)
            }
        };
        upstream.metrics.count(outcome);
        if let Some(lost) = lost.filter(|_| sent.is_repeatable) {
            return Tried::Lost(lost, why);
        }
        if outcome == UpstreamOutcome::Abandoned {
            self.keep_alive = false;
        }
        Tried::Done(if why.0 == 0 { Err(Broken) } else { self.fail(why, sent.request).await })
    }

    /// One request on one connection. Trouble comes back only while the client was told nothing.
    async fn attempt<'u>(
        &mut self,
        mut stream: Wire,
        (hop, began): (Hop<'u>, Instant),
        sent: &mut Sent<'_, 'u>,
        course: &mut impl Course<'u>,
    ) -> Result<Result<(), Broken>, Trouble>
    where
        'c: 'u,
    {
        let upstream = &**hop.upstream;
        let mut buffer = Buffer::new();
        let mut response = Flow::new(std::mem::take(&mut self.output), BodyReader::Done, false);
        response.pending.clear();
        let watched = sent.is_repeatable.then_some(upstream);
        let answer = {
            let mut duplex = Duplex::new(self, (&mut stream, &mut buffer), sent.request, &mut response, watched);
            match duplex.head().await {
                Err(Trouble::Left) if !course.has_next() => {
                    duplex.unwatch();
                    duplex.head().await
                }
                head => head,
            }
        };
        let answer = match answer {
            Ok(answer) => answer,
            // A word of the upstream that is half out cannot be taken back.
            Err(_) if response.is_torn() => return Ok(Err(Broken)),
            Err(trouble) => return Err(self.take_back(trouble, response)),
        };
        upstream.answered(answer.status, began);
        self.finish_head(&answer, sent.request, &mut response);
        response.follow_with(BodyReader::new(answer.body, self.guard), answer.is_chunked);
        // What is short is held: while nothing of it is out, its upstream may die.
        let hold_bytes = sent.hold_bytes.unwrap_or(0);
        if hold_bytes > 0 && !matches!(answer.body, Body::Length(bytes) if bytes > hold_bytes as u64) {
            response.hold(hold_bytes);
        }
        if let Err(refusal) = response.prepare(&mut buffer) {
            // Nothing of the answer is out yet.
            return Err(self.take_back(Trouble::Refused(refusal.from_upstream()), response));
        }
        if let Some(notice) = self.notice.take() {
            Box::pin(notice.tell(answer.status)).await;
        }
        // Nearly every answer is whole by now, and need not be moved to where a longer one is waited for.
        if !answer.upgrade && response.is_whole() && sent.request.is_done() {
            self.put_away(upstream, (stream, buffer), (&answer, response), sent);
            return Ok(self.write_paced(None).await);
        }
        let mut answered = Answered { hop, began, stream, buffer, answer, response };
        if answered.answer.upgrade {
            return Ok(Box::pin(self.tunnel(answered, sent)).await);
        }
        if answered.response.is_held() && !answered.response.is_whole() {
            self.collect(&mut answered, sent, course).await?;
        }
        answered.response.release();
        if answered.response.is_whole() && sent.request.is_done() {
            let Answered { stream, buffer, answer, response, .. } = answered;
            self.put_away(upstream, (stream, buffer), (&answer, response), sent);
            return Ok(self.write_paced(None).await);
        }
        self.status = answered.answer.status;
        // What is long makes up for an allocation.
        Ok(Box::pin(self.pass(answered, sent, course)).await)
    }

    /// Takes the output back from an answer of which nothing is out.
    fn take_back(&mut self, trouble: Trouble, response: Flow) -> Trouble {
        self.output = response.into_pending();
        trouble
    }

    /// Makes a tunnel of both connections.
    async fn tunnel(&mut self, mut answered: Answered<'_>, sent: &mut Sent<'_, '_>) -> Result<(), Broken> {
        // A tunnel may live for days, and is bounded by its connection.
        sent.places.give_back();
        self.status = answered.answer.status;
        self.keep_alive = false;
        self.output = answered.response.into_pending();
        answered.hop.upstream.metrics.count(UpstreamOutcome::Answered);
        tunnel::run(self, &mut answered.stream, &mut answered.buffer).await
    }

    /// Passes an answer on as it comes.
    async fn pass<'u>(
        &mut self,
        mut answered: Answered<'u>,
        sent: &mut Sent<'_, 'u>,
        course: &mut impl Course<'u>,
    ) -> Result<(), Broken>
    where
        'c: 'u,
    {
        let upstream = &**answered.hop.upstream;
        let is_resumable = self.facts.is_get && sent.is_repeatable && sent.hold_bytes.is_some();
        let rest = Rest::of(&mut answered.answer, is_resumable);
        let passed = self.pass_body(&mut answered, sent, rest.is_some() && course.has_next()).await;
        let Answered { began, stream, buffer, answer, mut response, .. } = answered;
        if let (Err(outcome @ (UpstreamOutcome::Closed | UpstreamOutcome::Left)), Some(rest)) = (passed, rest) {
            upstream.metrics.count(outcome);
            upstream.broke_off(began);
            drop(stream);
            response.detach(&buffer);
            // Large, and seldom: it must not make every long answer's future larger.
            return Box::pin(self.resume(rest, (sent.request, course), sent.places, response)).await;
        }
        self.trail.body_bytes = response.taken();
        self.output = response.into_pending();
        upstream.metrics.count(passed.err().unwrap_or(UpstreamOutcome::Answered));
        match passed {
            Ok(()) => {
                if answer.keep_alive && sent.request.is_done() && buffer.is_empty() {
                    upstream.server.keep(stream, self.limits.pool_idle_max as usize);
                }
                Ok(())
            }
            Err(outcome) => {
                if outcome != UpstreamOutcome::Abandoned {
                    upstream.broke_off(began);
                }
                Err(Broken)
            }
        }
    }

    /// Reads a short answer to its end before anything of it goes out.
    async fn collect<'u>(
        &mut self,
        answered: &mut Answered<'u>,
        sent: &mut Sent<'_, 'u>,
        course: &impl Course<'u>,
    ) -> Result<(), Trouble> {
        let Answered { hop, stream, buffer, answer, response, .. } = answered;
        let has_begun = response.is_torn();
        let mut duplex = Duplex::new(self, (stream, buffer), sent.request, response, Some(hop.upstream));
        let collected = match duplex.collect(answer.body).await {
            Err(Trouble::Left) if !course.has_next() => {
                duplex.unwatch();
                duplex.collect(answer.body).await
            }
            collected => collected,
        };
        // Behind an informational answer that is out, another head would still be in order; behind half of one it would not.
        let trouble = match collected {
            Err(_) if has_begun => return Ok(()),
            Err(trouble) => trouble,
            Ok(()) => return Ok(()),
        };
        let response = std::mem::replace(response, Flow::new(Vec::new(), BodyReader::Done, false));
        Err(self.take_back(trouble, response))
    }

    /// Leaves an answer that is whole in the output. Whoever made it is done with, and does not wait for a slow client.
    fn put_away(
        &mut self,
        upstream: &Upstream,
        (stream, buffer): (Wire, Buffer),
        (answer, response): (&Answer, Flow),
        sent: &mut Sent<'_, '_>,
    ) {
        self.status = answer.status;
        upstream.metrics.count(UpstreamOutcome::Answered);
        if answer.keep_alive && buffer.is_empty() {
            upstream.server.keep(stream, self.limits.pool_idle_max as usize);
        }
        sent.places.give_back();
        self.trail.body_bytes = response.taken();
        self.output = response.into_pending();
    }

    async fn pass_body(
        &mut self,
        answered: &mut Answered<'_>,
        sent: &mut Sent<'_, '_>,
        can_leave: bool,
    ) -> Result<(), UpstreamOutcome> {
        let Answered { hop, stream, buffer, response, .. } = answered;
        let watched = can_leave.then_some(&**hop.upstream);
        Duplex::new(self, (stream, buffer), sent.request, response, watched).body().await
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
}

/// Notes that there was no connection; returns what the client is told if there is nobody else.
fn unconnected(upstream: &Upstream, error: &ConnectError) -> (u16, &'static str) {
    upstream.metrics.count(UpstreamOutcome::ConnectFailed);
    match error {
        ConnectError::Failed { .. } => (502, "no upstream could be reached"),
        ConnectError::TimedOut { .. } => (504, "no upstream took the connection in time"),
    }
}
