//! Sending a request on: one upstream after the other, until one has answered or none is left.

use crate::duplex::{Answer, ClientTrouble, Duplex, Trouble};
use crate::exchange::{Broken, Exchange, write_end};
use crate::flow::Flow;
use crate::link::{ConnectError, Upstream};
use crate::metrics::UpstreamOutcome;
use crate::resume::Rest;
use crate::service::Stream;
use crate::{body::BodyReader, tunnel};
use alongside_document::Limits;
use alongside_protocols::Body;
use alongside_transport::gate::{Gate, Passed, Shut, Terms};
use alongside_transport::{Buffer, buffer, deadline, pool};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// An upstream that a request goes to next.
#[derive(Debug, Clone)]
pub struct Hop {
    /// Which one.
    pub upstream: Arc<Upstream>,
    /// It is the origin of a route, which gets another head than the nodes do.
    pub is_origin: bool,
}

/// How a hop was lost before the client was told anything. The word is a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// There was no connection.
    ConnectFailed,
    /// The connection ended before the answer was whole.
    Closed,
    /// The upstream was given up while it was waited for.
    Left,
}

impl Lost {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::ConnectFailed, Self::Closed, Self::Left];

    /// Returns the metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConnectFailed => "connect_failed",
            Self::Closed => "closed",
            Self::Left => "left",
        }
    }
}

/// Where a request may go, one hop after the other.
pub trait Course: Send {
    /// Returns where it goes next; `lost` says how the hop before was lost. Nothing: it goes nowhere any more.
    fn next(&mut self, lost: Option<Lost>) -> Option<Hop>;

    /// Bytes up to which answers to repeatable requests are held whole, because there is somewhere else to go.
    fn buffer_bytes(&self) -> usize {
        0
    }

    /// Appends the head for the origin, made of the one for nodes.
    fn write_origin_head(&self, head: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(head);
    }

    /// An answer went on from another hop where one broke off.
    fn resumed(&self) {}
}

/// One upstream, and nowhere else.
#[derive(Debug)]
pub struct Only(Option<Arc<Upstream>>);

impl Only {
    /// Returns a course to one upstream.
    #[must_use]
    pub const fn new(upstream: Arc<Upstream>) -> Self {
        Self(Some(upstream))
    }
}

impl Course for Only {
    fn next(&mut self, _: Option<Lost>) -> Option<Hop> {
        self.0.take().map(|upstream| Hop { upstream, is_origin: false })
    }
}

/// Where a request went.
#[derive(Debug, Default)]
pub struct Trail {
    /// The last upstream.
    pub upstream: Option<Arc<Upstream>>,
    /// Upstreams that it was sent to.
    pub hops: u32,
    /// Body bytes of the answer.
    pub body_bytes: u64,
    /// Why it was refused for want of room.
    pub shed: Option<&'static str>,
}

/// The places of a request in its upstream's gate and in the process's.
type Places = (Passed, Passed);

/// What one hop came to.
enum Tried {
    /// The client has its answer, or nothing more can be said to it.
    Done(Result<(), Broken>),
    /// The client was told nothing and can have it from elsewhere; else it gets this.
    Lost(Lost, (u16, &'static str)),
}

/// What outlives a hop.
struct Sent<'f> {
    request: &'f mut Flow,
    /// The client was promised nothing, and the request can be sent again.
    is_repeatable: bool,
    hold_bytes: usize,
}

/// Waits for room at an upstream and in the process; else says which limit is reached.
pub(crate) async fn pass(limits: &Limits, gate: &Arc<Gate>, upstream: &Upstream) -> Result<Places, &'static str> {
    let terms = |open_max| Terms {
        open_max,
        queue_max: limits.queue_max,
        wait_max: Duration::from_millis(limits.queue_timeout_ms),
    };
    let word = |shut: Shut, full| if shut == Shut::QueueFull { full } else { shut.as_str() };
    // The upstream's first: who waits for a slow one must not stand in the way of requests to others.
    let theirs = match upstream.gate.try_pass(limits.upstream_requests_max) {
        Some(passed) => passed,
        None => {
            let passed = Box::pin(upstream.gate.pass(terms(limits.upstream_requests_max))).await;
            passed.map_err(|shut| word(shut, "upstream_requests_max"))?
        }
    };
    let ours = match gate.try_pass(limits.requests_max) {
        Some(passed) => passed,
        None => {
            let passed = Box::pin(gate.pass(terms(limits.requests_max))).await;
            passed.map_err(|shut| word(shut, "requests_max"))?
        }
    };
    Ok((theirs, ours))
}

impl<S: Stream> Exchange<'_, S> {
    /// Sends the request on along a course, with the head in `output`, and passes the answer back as it comes.
    ///
    /// The next hop is asked for only where nothing was sent yet, or where the request may be sent twice and the client
    /// was told nothing. A kept connection that turns out closed is replaced once, under the same condition.
    ///
    /// # Errors
    /// The connection is of no further use.
    pub async fn forward(&mut self, course: &mut impl Course) -> Result<(), Broken> {
        let head = std::mem::replace(&mut self.output, buffer::take_output());
        let reader = self.body.take().unwrap_or(BodyReader::Done);
        let mut request = Flow::new(head, reader, self.facts.body == Body::Chunked);
        if let Err(refusal) = request.prepare(self.input) {
            self.keep_alive = false;
            self.refused = Some(refusal.reason.as_str());
            return Box::pin(self.refuse(refusal.status, refusal.reason.as_str())).await;
        }
        let keep_alive = self.keep_alive;
        let mut failure = (503, "no upstream can be used");
        let mut next = course.next(None);
        let result = loop {
            let Some(hop) = next else { break Box::pin(self.fail(failure, &request)).await };
            if hop.is_origin {
                let mut head = buffer::take_output();
                course.write_origin_head(&request.pending, &mut head);
                buffer::give_output(
                    std::mem::replace(&mut request, Flow::new(head, BodyReader::Done, false)).into_pending(),
                );
            }
            let mut sent = Sent {
                request: &mut request,
                is_repeatable: self.facts.is_repeatable,
                hold_bytes: if self.facts.is_repeatable { course.buffer_bytes() } else { 0 },
            };
            match self.hop(&hop, &mut sent, course).await {
                Tried::Done(result) => break result,
                Tried::Lost(lost, why) => {
                    failure = why;
                    self.keep_alive = keep_alive;
                    request.rewind();
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

    async fn hop(&mut self, hop: &Hop, sent: &mut Sent<'_>, course: &mut impl Course) -> Tried {
        let upstream = &hop.upstream;
        let mut places = match pass(self.limits, self.gate, upstream).await {
            Ok(places) => Some(places),
            Err(reason) => {
                self.trail.shed = Some(reason);
                let why = (503, "too many requests are under way");
                return Tried::Done(Box::pin(self.fail(why, sent.request)).await);
            }
        };
        self.trail.upstream = Some(Arc::clone(upstream));
        self.trail.hops += 1;
        let mut kept = if sent.is_repeatable { upstream.reuse() } else { None };
        loop {
            let is_kept = kept.is_some();
            let began = Instant::now();
            let stream = match kept.take() {
                Some(stream) => stream,
                None => match Box::pin(upstream.connect(self.deadline, self.limits.connect_timeout_ms)).await {
                    Ok(stream) => stream,
                    Err(error) => {
                        upstream.metrics.count(UpstreamOutcome::ConnectFailed);
                        upstream.connect_failed(began);
                        let why = match error {
                            ConnectError::Failed { .. } => (502, "no upstream could be reached"),
                            ConnectError::TimedOut { .. } => (504, "no upstream took the connection in time"),
                        };
                        // Nothing was sent: whoever is next may have it, whatever it is.
                        return Tried::Lost(Lost::ConnectFailed, why);
                    }
                },
            };
            let trouble = match self.attempt(stream, (hop, began), sent, course, &mut places).await {
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
                    upstream.broke_off(began)
                }
                Trouble::Left | Trouble::Client(_) => {}
            }
            return Box::pin(self.lost(trouble, upstream, sent)).await;
        }
    }

    /// Says what a trouble before the client was told anything comes to.
    async fn lost(&mut self, trouble: Trouble, upstream: &Upstream, sent: &Sent<'_>) -> Tried {
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
    async fn attempt(
        &mut self,
        mut stream: TcpStream,
        (hop, began): (&Hop, Instant),
        sent: &mut Sent<'_>,
        course: &mut impl Course,
        places: &mut Option<Places>,
    ) -> Result<Result<(), Broken>, Trouble> {
        let upstream = &*hop.upstream;
        let mut answered = Buffer::new();
        let mut response = Flow::new(std::mem::take(&mut self.output), BodyReader::Done, false);
        response.pending.clear();
        let watched = sent.is_repeatable.then_some(upstream);
        let answer = {
            let duplex = Duplex::new(self, &mut stream, sent.request, &mut answered, &mut response);
            match duplex.watching(watched).head().await {
                Ok(answer) => answer,
                // A word of the upstream that is half out cannot be taken back.
                Err(_) if response.is_torn() => return Ok(Err(Broken)),
                Err(trouble) => {
                    self.output = response.into_pending();
                    return Err(trouble);
                }
            }
        };
        upstream.answered(answer.status, began);
        self.finish_head(&answer, sent.request, &mut response);
        // What is short is held: while nothing of it is out, its upstream may die.
        let is_short = !matches!(answer.body, Body::Length(bytes) if bytes > sent.hold_bytes as u64);
        if is_short && !answer.upgrade {
            response.hold(sent.hold_bytes);
        }
        response.follow_with(BodyReader::new(answer.body, self.guard), answer.is_chunked);
        if let Err(refusal) = response.prepare(&mut answered) {
            // Nothing of the answer is out yet.
            self.output = response.into_pending();
            return Err(Trouble::Refused(refusal.from_upstream()));
        }
        if let Some(notice) = self.notice.take() {
            Box::pin(notice.tell(answer.status)).await;
        }
        if answer.upgrade {
            // A tunnel may live for days, and is bounded by its connection.
            *places = None;
            self.status = answer.status;
            self.keep_alive = false;
            self.output = response.into_pending();
            upstream.metrics.count(UpstreamOutcome::Answered);
            return Ok(Box::pin(tunnel::run(self, &mut stream, &mut answered)).await);
        }
        self.deliver((stream, answered), (hop, began), sent, course, (answer, response)).await
    }

    /// Passes the body on; the head stands in the response.
    async fn deliver(
        &mut self,
        (mut stream, mut answered): (TcpStream, Buffer),
        (hop, began): (&Hop, Instant),
        sent: &mut Sent<'_>,
        course: &mut impl Course,
        (answer, mut response): (Answer, Flow),
    ) -> Result<Result<(), Broken>, Trouble> {
        let upstream = &*hop.upstream;
        let rest = Rest::of(&answer, sent.is_repeatable && sent.hold_bytes > 0 && !self.facts.is_head);
        let passed = self.pass_body((&mut stream, upstream), (sent, &mut answered), &answer, &mut response).await;
        let passed = match passed {
            Err(UpstreamOutcome::Closed | UpstreamOutcome::Left) if response.is_held() => {
                self.output = response.into_pending();
                let is_left = passed == Err(UpstreamOutcome::Left);
                return Err(if is_left { Trouble::Left } else { Trouble::Closed { silent: false } });
            }
            passed => passed,
        };
        self.status = answer.status;
        let passed = match (passed, rest) {
            (Err(lost @ (UpstreamOutcome::Closed | UpstreamOutcome::Left)), Some(rest)) => {
                upstream.metrics.count(lost);
                upstream.broke_off(began);
                drop(stream);
                response.detach(&answered);
                // Large, and seldom: it must not make every request's future larger.
                return Ok(Box::pin(self.resume(rest, lost, (sent.request, course), response)).await);
            }
            (passed, _) => passed,
        };
        self.trail.body_bytes = response.taken();
        self.output = response.into_pending();
        match passed {
            Ok(()) => {
                upstream.metrics.count(UpstreamOutcome::Answered);
                if answer.keep_alive && sent.request.is_done() && answered.is_empty() {
                    pool::give(&upstream.address, stream, self.limits.pool_idle_max as usize);
                }
                Ok(Ok(()))
            }
            Err(outcome) => {
                upstream.metrics.count(outcome);
                if outcome != UpstreamOutcome::Abandoned {
                    upstream.broke_off(began);
                }
                Ok(Err(Broken))
            }
        }
    }

    async fn pass_body(
        &mut self,
        (stream, upstream): (&mut TcpStream, &Upstream),
        (sent, answered): (&mut Sent<'_>, &mut Buffer),
        answer: &Answer,
        response: &mut Flow,
    ) -> Result<(), UpstreamOutcome> {
        let is_held = response.is_held();
        let can_leave = sent.is_repeatable && (is_held || answer.validator.is_some());
        let mut duplex = Duplex::new(self, stream, sent.request, answered, response);
        if is_held && !matches!(answer.body, Body::Length(_)) {
            duplex = duplex.holding_briefly();
        }
        duplex.watching(can_leave.then_some(upstream)).body().await
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
