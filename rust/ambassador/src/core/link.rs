//! A connection to a server: what is asked on it, in order, and what came that is not whole.

use std::collections::VecDeque;
use std::sync::Arc;

use alongside_protocols::incremental::Progress;
use alongside_protocols::memcache::Hides;
use alongside_protocols::resp::{Passing, ReplyProgress, Version};

use super::buffers::{Input, Lent, Output};
use super::context::Context;
use super::gather::NONE;
use super::joined::Joined;
use super::server::Server;
use super::{ClientId, LinkId};
use crate::counters::{Class, ServerLane};

/// Something that a server was asked, and has not answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    /// Who waits; [`NOBODY`] if the answer is not passed on, or was already.
    pub(crate) client: ClientId,
    /// The client's slot.
    pub(crate) slot: u32,
    /// When it was asked, the lower half of the time.
    pub(crate) at_us: u32,
    /// Where it begins in the link's stream.
    pub(crate) start: u32,
    /// The part of a merged answer; of a part of values how many keys it has.
    pub(crate) part: u32,
    /// Of a part of values the first of its keys that is not answered.
    pub(crate) next: u32,
    pub(crate) what: What,
    pub(crate) class: Class,
    pub(crate) hides: Hides,
    /// How often it went to another server.
    pub(crate) moves: u8,
}

impl Ask {
    /// Tell whether a client asked it, and has no answer yet.
    #[inline]
    pub(crate) fn is_waited_for(&self) -> bool {
        self.client != NOBODY && self.is_clients()
    }

    /// Tell whether a client asked it, and not we.
    #[inline]
    pub(crate) fn is_clients(&self) -> bool {
        !matches!(self.what, What::Setup | What::Knock | What::Greeting | What::Probe)
    }

    /// Return how many keys count as missing if there is no answer.
    pub(crate) fn keys(&self) -> u64 {
        if self.what == What::ValuesPart { u64::from(self.part) } else { 0 }
    }

    #[inline]
    pub(crate) fn new(client: ClientId, slot: u32, what: What, class: Class) -> Ask {
        Ask { client, slot, at_us: 0, start: 0, part: 0, next: NONE, what, class, hides: Hides::Nothing, moves: 0 }
    }
}

/// Nobody waits for an answer.
pub(crate) const NOBODY: ClientId = ClientId { index: u32::MAX, generation: 0 };

/// What is asked, and so how the answer is read and what is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// memcache: one line.
    Line,
    /// memcache: values and `END`, passed on as they are.
    Values,
    /// memcache: a value, of a key that stands in the line of the ask before.
    Joined,
    /// memcache: a part's values.
    ValuesPart,
    /// memcache: a meta command's answer.
    Meta,
    /// memcache: the answer to a meta command with a block.
    MetaSet,
    /// memcache: one server's `OK` of all servers'.
    LinePart,
    /// Redis: any reply, passed on as it is.
    Reply,
    /// Redis: a part's reply.
    ReplyPart,
    /// Redis: whether its server speaks the version that a client asks for.
    Version,
    /// Redis: who we are, which database.
    Setup,
    /// Redis: whether somebody is there who answers at all.
    Knock,
    /// Redis: which version of the protocol is spoken from here on.
    Greeting,
    /// A look whether the server can be used.
    Probe,
}

impl What {
    /// Tell whether it has to be answered before anything else is sent.
    pub(crate) const fn is_set_up(self) -> bool {
        matches!(self, What::Setup | What::Knock | What::Greeting)
    }
}

/// How far a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Connecting,
    Ready,
}

/// No server: the pool has it no more, or elsewhere.
pub(crate) const ORPHAN: u32 = u32::MAX;

/// Asks for which an idle link keeps the room.
const ASKS_KEPT: usize = 4096;

/// A link.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: LinkId,
    /// Its pool's index.
    pub(crate) pool: u32,
    /// Its server's index in the pool, or [`ORPHAN`].
    pub(crate) server: u32,
    pub(crate) lane: Arc<ServerLane>,
    /// What is spoken on it when it is set up.
    pub(crate) version: Version,
    pub(crate) state: State,
    pub(crate) output: Output,
    /// Bytes that were ever put into the output.
    end: u32,
    /// How many of them were offered to who writes.
    offered: u32,
    /// How many of them say who we are: nothing else is sent before that is answered.
    set_up_bytes: u32,
    /// What it added to its lane's queues: commands and bytes to be sent, and that wait for answers.
    shown: [u64; 4],
    pub(crate) input: Input,
    pub(crate) progress: Progress,
    pub(crate) reply_progress: ReplyProgress,
    /// The first answer is too large to be kept: this is how far it was passed over.
    pub(crate) passing: Option<Passing>,
    pub(crate) asks: VecDeque<Ask>,
    pub(super) joined: Joined,
    /// So many of the first asks failed by time-out; their answers are passed over.
    pub(crate) graves: usize,
    /// How long an answer may take; the maximum for as long as it likes.
    pub(crate) timeout_us: u64,
    pub(crate) opened_us: u64,
    /// When something came last.
    pub(crate) heard_us: u64,
    /// When a silence was last counted as a failure.
    pub(crate) counted_us: u64,
    /// Whether it is there to see whether its server can be used.
    pub(crate) is_probe: bool,
    /// Nothing more is asked: it is closed when all is answered.
    pub(crate) is_draining: bool,
    is_dirty: bool,
    /// An answer came on it.
    pub(crate) was_answered: bool,
}

impl Link {
    pub(crate) fn new(pool: u32, server: u32, lane: Arc<ServerLane>, now_us: u64) -> Link {
        Link {
            id: LinkId { index: 0, generation: 0 },
            pool,
            server,
            lane,
            version: Version::Two,
            state: State::Connecting,
            output: Output::default(),
            end: 0,
            offered: 0,
            set_up_bytes: 0,
            shown: [0; 4],
            input: Input::default(),
            progress: Progress::default(),
            reply_progress: ReplyProgress::default(),
            passing: None,
            asks: VecDeque::new(),
            joined: Joined::default(),
            graves: 0,
            timeout_us: u64::MAX,
            opened_us: now_us,
            heard_us: now_us,
            counted_us: 0,
            is_probe: false,
            is_draining: false,
            is_dirty: false,
            was_answered: false,
        }
    }

    /// Expect an answer to what is written next.
    #[inline]
    pub(crate) fn ask(&mut self, mut ask: Ask, context: &mut Context) {
        if self.asks.len() == self.graves && self.timeout_us != u64::MAX {
            context.wake(context.now_us + self.timeout_us);
        }
        if self.joined.is_open() {
            self.close_line(context);
        }
        ask.start = self.end;
        ask.at_us = context.at_us();
        self.asks.push_back(ask);
        if !self.is_dirty && self.state == State::Ready {
            self.dirty(context);
        }
    }

    pub(crate) fn dirty(&mut self, context: &mut Context) {
        if !self.is_dirty {
            self.is_dirty = true;
            context.dirty_links.push(self.id);
        }
    }

    /// It is about to be written to.
    pub(crate) fn clean(&mut self) {
        self.is_dirty = false;
    }

    /// Write what was asked, or a piece of it.
    #[inline]
    pub(crate) fn write(&mut self, bytes: &[u8], context: &mut Context) {
        self.output.extend(bytes, &mut context.buffers);
        self.end = self.end.wrapping_add(bytes.len() as u32);
    }

    /// Return how many bytes were ever put into the output.
    #[inline]
    pub(super) const fn end(&self) -> u32 {
        self.end
    }

    /// Return what is to be written from a place of the stream on.
    pub(super) fn since(&self, start: u32) -> &[u8] {
        let rest = self.output.rest();
        rest.len()
            .checked_sub(self.end.wrapping_sub(start) as usize)
            .and_then(|first| rest.get(first..))
            .unwrap_or_default()
    }

    /// Take back the end of the line that was written last.
    pub(super) fn reopen(&mut self) {
        self.output.shorten(2);
        self.end = self.end.wrapping_sub(2);
    }

    /// Count what was asked last, now that it is written.
    pub(crate) fn count_last(&self) {
        self.lane.requests.add(1);
        self.lane.request_bytes.add(self.last_bytes() as u64);
    }

    /// Return how many bytes are written of what was asked last.
    #[inline]
    pub(crate) fn last_bytes(&self) -> usize {
        let start = self.asks.back().map_or(self.end, |ask| ask.start);
        self.end.wrapping_sub(start) as usize
    }

    /// Write what `write` appends.
    pub(crate) fn write_with(&mut self, context: &mut Context, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let out = self.output.end(&mut context.buffers);
        let before = out.len();
        write(out);
        let count = out.len() - before;
        self.end = self.end.wrapping_add(count as u32);
        count
    }

    /// Lend what is to be written to whom has much to append; nothing is asked on this link before it is back.
    pub(crate) fn lend(&mut self, context: &mut Context) -> Lent {
        self.output.lend(&mut context.buffers)
    }

    /// Take it back.
    pub(crate) fn take_back(&mut self, lent: Lent) {
        self.end = self.end.wrapping_add(lent.added() as u32);
        self.output.take_back(lent);
    }

    /// Return the bytes of an ask of which nothing counts as written. With TLS they may be on their way all the same: who asks
    /// another server must not mind that both are asked.
    pub(crate) fn unsent(&self, index: usize) -> Option<&[u8]> {
        let rest = self.output.rest();
        let first = self.end.wrapping_sub(rest.len() as u32);
        let place = |start: u32| start.wrapping_sub(first) as usize;
        let start = place(self.asks.get(index)?.start);
        let end = self.asks.get(index + 1).map_or(rest.len(), |next| place(next.start));
        rest.get(start..end)
    }

    /// Return how many asks wait to be sent, the one that is being sent among them.
    pub(crate) fn unsent_count(&self) -> usize {
        let waiting = self.output.len() as u32;
        if waiting == 0 {
            return 0;
        }
        let first = self.end.wrapping_sub(waiting);
        self.asks.iter().rev().take_while(|ask| ask.start.wrapping_sub(first) < waiting).count()
    }

    /// Tell whether nothing of what was asked first was offered to who writes, so that nobody can answer it.
    #[inline]
    pub(super) fn is_first_unoffered(&self) -> bool {
        let left = self.end.wrapping_sub(self.offered);
        self.asks.front().is_some_and(|ask| ask.start.wrapping_sub(self.offered) < left)
    }

    /// Take off the ask that was answered; tell whether it is a grave.
    #[inline]
    pub(crate) fn pop(&mut self) -> bool {
        self.was_answered = true;
        self.asks.pop_front();
        if self.asks.is_empty() && self.asks.capacity() > ASKS_KEPT {
            self.asks = VecDeque::new();
        }
        if self.graves > 0 {
            self.graves -= 1;
            return true;
        }
        false
    }

    /// Return the place of this link among its server's, if it is one of them.
    pub(crate) fn place_among(&self, server: &Server) -> Option<usize> {
        server.links.iter().position(|link| *link == Some(self.id))
    }

    /// Count how long an answer took.
    #[inline]
    pub(crate) fn observe(&self, ask: Ask, context: &Context) {
        self.lane.more.latency[ask.class as usize].observe(context.at_us().wrapping_sub(ask.at_us));
    }

    /// Tell whether nothing is asked whose answer is still of use.
    pub(crate) fn has_no_askers(&self) -> bool {
        self.asks.len() == self.graves
    }

    /// What was asked until now says who we are.
    pub(crate) fn end_set_up(&mut self) {
        self.set_up_bytes = self.end;
    }

    /// Tell whether its server still has to say that it takes us.
    #[inline]
    pub(crate) fn is_setting_up(&self) -> bool {
        self.set_up_bytes > 0 && self.asks.front().is_some_and(|ask| ask.what.is_set_up())
    }

    /// Return what may be written now, which is not changed any more: with TLS some of it may be on its way before any counts
    /// as written. Who writes may also take less of it.
    #[inline]
    pub(crate) fn offer(&mut self, context: &mut Context) -> &[u8] {
        let count = self.to_be_written().len();
        if count > 0 {
            self.close_line(context);
            self.offered = self.end.wrapping_sub((self.output.len() - count) as u32);
        }
        self.to_be_written()
    }

    /// Return what may be written now.
    #[inline]
    pub(crate) fn to_be_written(&self) -> &[u8] {
        let rest = self.output.rest();
        if self.state == State::Connecting {
            return &[];
        }
        if !self.is_setting_up() {
            return rest;
        }
        let written = self.end.wrapping_sub(rest.len() as u32);
        &rest[..(self.step_end().saturating_sub(written) as usize).min(rest.len())]
    }

    /// Return where what may be said ends while it is set up. A greeting waits for the answers to all before it: some hang up
    /// at it, and what they had to say is lost.
    fn step_end(&self) -> u32 {
        let mut next = self.asks.iter().skip(1).take_while(|ask| ask.what.is_set_up());
        next.find(|ask| ask.what == What::Greeting).map_or(self.set_up_bytes, |greeting| greeting.start)
    }

    /// Tell whether it is the server's turn to say which version it speaks. A link that breaks while the greeting is written is
    /// taken for one whose server had it.
    pub(crate) fn is_greeted(&self) -> bool {
        let is_first = self.asks.front().is_some_and(|ask| ask.what == What::Greeting);
        let end = self.asks.get(1).map_or(self.end, |next| next.start);
        let is_sent = self.end.wrapping_sub(self.offered) <= self.end.wrapping_sub(end);
        self.state == State::Ready && is_first && is_sent
    }

    /// It is connected. That the kernel of a server takes a connection is no word of the server.
    pub(crate) fn connected(&mut self, context: &mut Context) {
        self.state = State::Ready;
        self.lane.server_connections.add(1);
        if !self.output.is_empty() {
            self.dirty(context);
        }
    }

    /// Show what waits to be sent, and what for answers.
    pub(crate) fn show_queues(&mut self) {
        let unsent = self.unsent_count();
        let unsent_bytes = self.output.len();
        let first = self.asks.front().map_or(self.end, |ask| ask.start);
        let unanswered_bytes = (self.end.wrapping_sub(first) as usize).saturating_sub(unsent_bytes);
        self.show([unsent, unsent_bytes, self.asks.len().saturating_sub(unsent), unanswered_bytes].map(|of| of as u64));
    }

    /// Several links share the figures: each adds what is its own, and takes off what it added before.
    fn show(&mut self, now: [u64; 4]) {
        let lane = &self.lane;
        let figures = [&lane.in_queue, &lane.in_queue_bytes, &lane.out_queue, &lane.out_queue_bytes];
        for ((figure, before), now) in figures.into_iter().zip(self.shown).zip(now) {
            figure.sub(before);
            figure.add(now);
        }
        self.shown = now;
    }

    /// It is no more.
    pub(crate) fn uncount(&mut self) {
        self.show([0; 4]);
        if self.state == State::Ready {
            self.lane.server_connections.sub(1);
        }
    }

    /// Give everything back.
    pub(crate) fn dismantle(mut self, context: &mut Context) {
        self.input.clear(&mut context.buffers);
        self.output.clear(&mut context.buffers);
        self.joined.dismantle(context);
    }
}
