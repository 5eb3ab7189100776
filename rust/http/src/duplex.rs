//! Both directions of one attempt at an upstream: the request goes out while its answer comes in.

use crate::exchange::Exchange;
use crate::flow::{Blocked, Flow, FlowError};
use crate::link::Upstream;
use crate::metrics::UpstreamOutcome;
use crate::pace::Pace;
use crate::resume::{self, ContentRange};
use crate::service::{Facts, Stream};
use alongside_document::Limits;
use alongside_protocols::{Asked, Body, Reason, Refusal, ResponseHead, guard, scratch, write_framing};
use alongside_transport::{Buffer, Deadline, Wire, deadline};
use std::io;
use std::task::{Context, Poll};

/// Informational answers that one request may bring.
const INTERIM_MAX: usize = 16;

/// Answers shorter than this have no rest worth asking for.
const LONG_BYTES: u64 = 4 * 1024;

/// How often a wait looks whether its upstream was given up meanwhile.
const LOOK_MS: u64 = 250;

/// How long an answer is held whose length nobody said: it may be one that never ends.
const HOLD_MS_MAX: u64 = 1_000;

/// Why an attempt at an upstream brought no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It closed or reset; `silent` where not one byte of an answer had come.
    Closed { silent: bool },
    /// It was silent for too long.
    TimedOut,
    /// It was given up while it was waited for.
    Left,
    /// Its answer is not let through.
    Refused(Refusal),
    /// The client left, was too slow or broke the framing of its body.
    Client(ClientTrouble),
}

#[derive(Debug)]
pub(crate) enum ClientTrouble {
    Left,
    TooSlow,
    Refused(Refusal),
}

/// An upstream's final answer, as far as it outlives its head.
pub(crate) struct Answer {
    pub status: u16,
    pub body: Body,
    /// The client gets it in chunks.
    pub is_chunked: bool,
    pub keep_alive: bool,
    pub upgrade: bool,
    /// By which the rest of a long answer is asked for elsewhere: its strong ETag.
    pub validator: Option<Vec<u8>>,
    /// First and last byte and the whole's length, where it is a part.
    pub range: Option<ContentRange>,
}

/// Both directions of an attempt, polled in one task.
pub(crate) struct Duplex<'d, S> {
    client: &'d mut S,
    input: &'d mut Buffer,
    stream: &'d mut Wire,
    answered: &'d mut Buffer,
    request: &'d mut Flow,
    response: &'d mut Flow,
    facts: Facts,
    limits: &'d Limits,
    guard: &'d alongside_protocols::Limits,
    deadline: &'d Deadline,
    /// The upstream reads no more of the request; its answer may still come.
    is_deaf: bool,
    interim: usize,
    /// What must move until when, or the wait is over.
    pace: Pace,
    /// The client is waited for, and not the upstream.
    is_for_client: bool,
    /// Whose answer it is, where the request can go elsewhere when that one is given up.
    watched: Option<&'d Upstream>,
    /// The wait is that of a conversation.
    is_talk: bool,
    /// Until when an answer of unknown length is held.
    held_until_ms: u64,
    /// The deadline is set for this wait. It is when something has to be waited for, and not before.
    is_armed: bool,
}

impl<'d, S: Stream> Duplex<'d, S> {
    /// Returns both directions; the wait ends also when `watched` is given up, if it is somebody.
    pub fn new(
        exchange: &'d mut Exchange<'_, S>,
        (stream, answered): (&'d mut Wire, &'d mut Buffer),
        request: &'d mut Flow,
        response: &'d mut Flow,
        watched: Option<&'d Upstream>,
    ) -> Self {
        let moved = request.moved() + response.moved() + response.taken();
        Self {
            client: &mut *exchange.client,
            input: &mut *exchange.input,
            stream,
            answered,
            request,
            response,
            facts: exchange.facts,
            limits: exchange.limits,
            guard: exchange.guard,
            deadline: exchange.deadline,
            is_deaf: false,
            interim: 0,
            pace: Pace::begin(moved, exchange.limits.response_timeout_ms),
            is_for_client: false,
            watched,
            is_talk: false,
            held_until_ms: u64::MAX,
            is_armed: false,
        }
    }

    /// Waits on whatever is known of the upstream: there is nobody else.
    pub const fn unwatch(&mut self) {
        self.watched = None;
    }

    /// Begins a wait for the client or the upstream, from how far things are.
    fn wait(&mut self, is_for_client: bool, limit_ms: u64) {
        self.pace = Pace::begin(self.moved(), limit_ms);
        self.is_for_client = is_for_client;
        self.arm(limit_ms);
    }

    fn arm(&mut self, limit_ms: u64) {
        self.is_armed = true;
        let looks = self.watched.is_some() || self.held_until_ms != u64::MAX;
        self.deadline.set(if looks { limit_ms.min(LOOK_MS) } else { limit_ms });
    }

    /// Something has to be waited for.
    fn arm_first(&mut self) {
        if !self.is_armed {
            self.arm(self.limits.response_timeout_ms);
        }
    }

    /// Says what the end of a slice of the wait means; nothing where it goes on.
    fn expired(&mut self) -> Option<Trouble> {
        // Who pauses is the client, and no other upstream would make it faster.
        if !self.is_for_client && self.watched.is_some_and(Upstream::is_left) {
            return Some(Trouble::Left);
        }
        if let Some(left_ms) = self.pace.left_ms() {
            self.arm(left_ms);
            return None;
        }
        Some(if self.is_for_client { Trouble::Client(ClientTrouble::TooSlow) } else { Trouble::TimedOut })
    }

    /// Sends the request until the final answer's head is there; it stands in the response's pending, unfinished.
    pub async fn head(&mut self) -> Result<Answer, Trouble> {
        let deadline = self.deadline;
        loop {
            match deadline.within(std::future::poll_fn(|context| self.poll_head(context))).await {
                Ok(result) => return result,
                Err(_) => {
                    if let Some(trouble) = self.expired() {
                        return Err(trouble);
                    }
                }
            }
        }
    }

    /// Reads an answer that is held until it is whole, or too long, or has taken too long where nobody said how long it is.
    pub async fn collect(&mut self, body: Body) -> Result<(), Trouble> {
        if !matches!(body, Body::Length(_)) {
            self.held_until_ms = deadline::now_ms() + HOLD_MS_MAX;
        }
        self.wait(false, self.limits.response_timeout_ms);
        let deadline = self.deadline;
        loop {
            match deadline.within(std::future::poll_fn(|context| self.poll_collect(context))).await {
                Ok(result) => return result,
                Err(_) if deadline::now_ms() > self.held_until_ms => return Ok(()),
                Err(_) => {
                    if let Some(trouble) = self.expired() {
                        return Err(trouble);
                    }
                }
            }
        }
    }

    fn poll_collect(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Trouble>> {
        let collected = self.response.poll_collect(context, (self.stream, self.answered));
        if collected.is_pending() {
            self.keep_pace(false);
        }
        collected.map_err(|error| match error {
            FlowError::Refused(refusal) => Trouble::Refused(refusal.from_upstream()),
            FlowError::Read(_) | FlowError::Ended | FlowError::Write(_) => Trouble::Closed { silent: false },
        })
    }

    /// Passes the rest both ways until the answer is whole.
    pub async fn body(&mut self) -> Result<(), UpstreamOutcome> {
        let deadline = self.deadline;
        loop {
            match deadline.within(std::future::poll_fn(|context| self.poll_body(context))).await {
                Ok(result) => return result,
                Err(_) => match self.expired() {
                    None => {}
                    Some(Trouble::Left) => return Err(UpstreamOutcome::Left),
                    Some(Trouble::Client(_)) => return Err(UpstreamOutcome::Abandoned),
                    Some(_) => return Err(UpstreamOutcome::TimedOut),
                },
            }
        }
    }

    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<Result<Answer, Trouble>> {
        if let Poll::Ready(Err(trouble)) = self.poll_request(context) {
            return Poll::Ready(Err(Trouble::Client(trouble)));
        }
        loop {
            match self.take_head() {
                Ok(Some(answer)) => return Poll::Ready(Ok(answer)),
                Ok(None) => {}
                Err(refusal) => return Poll::Ready(Err(Trouble::Refused(refusal))),
            }
            if matches!(self.response.poll_write(context, self.answered, self.client), Poll::Ready(Err(_))) {
                return Poll::Ready(Err(Trouble::Client(ClientTrouble::Left)));
            }
            let silent = self.answered.is_empty() && self.interim == 0;
            match self.answered.poll_fill(context, self.stream, self.guard.head_bytes_max) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::OutOfMemory => {
                    let refusal = Refusal { status: 502, reason: Reason::HeadTooLarge };
                    return Poll::Ready(Err(Trouble::Refused(refusal)));
                }
                Poll::Ready(_) => return Poll::Ready(Err(Trouble::Closed { silent })),
                Poll::Pending => break,
            }
        }
        // A client that asked whether it should send waits for the upstream's word.
        let has_asked = self.facts.expects_continue && self.interim == 0 && !self.request.is_in_body();
        self.keep_pace(self.awaits_body() && !has_asked);
        self.arm_first();
        Poll::Pending
    }

    /// Whether the request waits for bytes of its client.
    fn awaits_body(&self) -> bool {
        !self.request.is_done() && !self.is_deaf && self.request.blocked() == Blocked::Source
    }

    fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Result<(), UpstreamOutcome>> {
        if let Poll::Ready(Err(_)) = self.poll_request(context) {
            return Poll::Ready(Err(UpstreamOutcome::Abandoned));
        }
        match self.response.poll(context, (self.stream, self.answered), self.client) {
            Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
            Poll::Ready(Err(FlowError::Read(_) | FlowError::Ended)) => {
                return Poll::Ready(Err(UpstreamOutcome::Closed));
            }
            Poll::Ready(Err(FlowError::Refused(_))) => return Poll::Ready(Err(UpstreamOutcome::Refused)),
            Poll::Ready(Err(FlowError::Write(_))) => return Poll::Ready(Err(UpstreamOutcome::Abandoned)),
            Poll::Pending => {}
        }
        // While the answer comes, a client that takes it may be silent for long: it is a conversation.
        if self.awaits_body() && self.response.blocked() == Blocked::Source {
            self.keep_talk();
        } else {
            self.keep_pace(self.response.blocked() == Blocked::Target || self.awaits_body());
        }
        self.arm_first();
        Poll::Pending
    }

    /// Extends the deadline of a conversation, in which either side may be silent, while anything moves.
    fn keep_talk(&mut self) {
        if self.is_for_client || self.pace.is_kept(self.moved(), 1) || !self.is_talk {
            self.wait(false, self.limits.tunnel_timeout_ms);
            self.is_talk = true;
        }
    }

    /// Moves the request on; an upstream that does not listen any more is no error yet.
    fn poll_request(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ClientTrouble>> {
        if self.request.is_done() || self.is_deaf {
            return Poll::Ready(Ok(()));
        }
        match self.request.poll(context, (self.client, self.input), self.stream) {
            Poll::Ready(Err(FlowError::Write(_))) => {
                self.is_deaf = true;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(FlowError::Refused(refusal))) => Poll::Ready(Err(ClientTrouble::Refused(refusal))),
            Poll::Ready(Err(FlowError::Read(_) | FlowError::Ended)) => Poll::Ready(Err(ClientTrouble::Left)),
            Poll::Ready(Ok(())) => {
                self.wait(false, self.limits.response_timeout_ms);
                Poll::Ready(Ok(()))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// How far things are: what was written, and what was read of the answer.
    const fn moved(&self) -> u64 {
        self.request.moved() + self.response.moved() + self.response.taken()
    }

    /// Extends the deadline while things move: a client must bring or take `body_bytes_min` in each window, an
    /// upstream at least a byte.
    fn keep_pace(&mut self, is_for_client: bool) {
        let limits = self.limits;
        let (enough, window_ms) = match is_for_client {
            true => (limits.body_bytes_min.max(1), limits.body_timeout_ms),
            false => (1, limits.response_timeout_ms),
        };
        if self.is_talk || self.is_for_client != is_for_client || self.pace.is_kept(self.moved(), enough) {
            self.is_talk = false;
            self.wait(is_for_client, window_ms);
        }
    }

    /// Whether the rest of this answer may have to be asked for elsewhere.
    fn wants_validator(&self, head: &ResponseHead<'_, '_>) -> bool {
        let is_long = !matches!(head.body, Body::None | Body::Length(0..LONG_BYTES));
        self.watched.is_some() && is_long && matches!(head.status, 200 | 206)
    }

    /// Takes a head from what came; informational ones go on at once.
    fn take_head(&mut self) -> Result<Option<Answer>, Refusal> {
        let asked = Asked { head: self.facts.is_head, upgrade: self.facts.upgrade };
        while !self.answered.is_empty() {
            let mut room = scratch();
            let Some(head) = guard::response(self.answered.data(), &mut room, self.guard, asked)? else {
                return Ok(None);
            };
            // Where only the close says that it is whole, a client that knows chunks gets them: it sees a cut.
            let is_chunked = matches!(head.body, Body::Chunked | Body::UntilClose) && self.facts.is_http11;
            let answer = Answer {
                status: head.status,
                body: head.body,
                is_chunked,
                keep_alive: head.keep_alive,
                upgrade: head.upgrade,
                validator: self.wants_validator(&head).then(|| resume::strong_etag(&head)).flatten(),
                range: if head.status == 206 { resume::content_range(&head) } else { None },
            };
            let is_interim = head.status < 200 && !head.upgrade;
            if !is_interim || self.facts.is_http11 {
                head.write(&mut self.response.pending);
            }
            if !is_interim {
                let has_length_only = matches!(head.body, Body::None) && head.status != 204 && !head.upgrade;
                let said = head.content_length.filter(|_| has_length_only).map_or(head.body, Body::Length);
                match said {
                    _ if is_chunked => write_framing(Body::Chunked, &mut self.response.pending),
                    Body::Chunked => {}
                    said => write_framing(said, &mut self.response.pending),
                }
            } else if self.facts.is_http11 {
                self.response.pending.extend_from_slice(b"\r\n");
            }
            let used = head.head_bytes;
            self.answered.consume(used);
            if !is_interim {
                return Ok(Some(answer));
            }
            self.interim += 1;
            if self.interim > INTERIM_MAX {
                return Err(Refusal { status: 502, reason: Reason::Status });
            }
        }
        Ok(None)
    }
}
