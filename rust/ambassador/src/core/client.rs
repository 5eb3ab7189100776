//! A client's connection: what it sent that is not whole, what it waits for, what it gets.

mod values;

use alongside_protocols::incremental::Progress;
use alongside_protocols::resp::{Reply, Version};

use super::buffers::{Input, Output};
use super::context::Context;
use super::slots::{Slot, SlotKind, Slots};
use super::words::write_failure;
use super::{ClientId, Effect, Why, hello};
use alongside_document::{PoolLimits, PoolProtocol};

/// What is kept of what a client calls itself.
const NAME_BYTES_MAX: usize = 256;

/// Commands of a client that are under way before any was answered.
const FIRST_REQUESTS_MAX: usize = 16;
/// The part by which a large answer is forgotten with each that follows it.
const FADES_BY: usize = 64;

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: ClientId,
    /// Its pool's index.
    pub(crate) pool: u32,
    pub(crate) protocol: PoolProtocol,
    /// Redis: which version of the protocol it is answered in.
    pub(crate) version: Version,
    /// That version changes: no further command is begun before all others have their answers.
    is_turning: bool,
    pub(crate) input: Input,
    pub(crate) progress: Progress,
    /// Bytes to come that are passed over.
    pub(crate) skip: u64,
    pub(crate) output: Output,
    pub(crate) slots: Slots,
    /// Bytes in slots that wait for answers before them.
    early_bytes: usize,
    requests_max: usize,
    bytes_max: usize,
    /// More bytes of answers than this end it.
    answers_bytes_max: usize,
    /// Commands that may be under way by how many were answered yet.
    proven: usize,
    /// Bytes of the largest of its last answers, which fade.
    largest: usize,
    is_dirty: bool,
    /// It has too much to wait for: no further command is begun.
    pub(crate) is_held: bool,
    /// It is closed when it has its answers.
    pub(crate) is_ending: bool,
    /// Nothing that it sends is looked at any more.
    pub(crate) is_deaf: bool,
    /// It is closed without its answers.
    pub(crate) is_broken: bool,
    /// It is so since more waited for it than may.
    pub(crate) is_overflown: bool,
    /// It said who it is, or need not.
    pub(crate) is_known: bool,
    /// Its wishes for RESP3 that servers refused, and that are not counted yet.
    pub(crate) refused: u32,
    /// What it calls itself (`CLIENT SETNAME`).
    name: Option<Box<[u8]>>,
}

impl Client {
    pub(crate) fn new(pool: u32, protocol: PoolProtocol, is_known: bool, limits: &PoolLimits) -> Client {
        let mut client = Client {
            id: ClientId { index: 0, generation: 0 },
            pool,
            protocol,
            version: Version::Two,
            is_turning: false,
            input: Input::default(),
            progress: Progress::default(),
            skip: 0,
            output: Output::default(),
            slots: Slots::default(),
            early_bytes: 0,
            requests_max: 0,
            bytes_max: 0,
            answers_bytes_max: usize::MAX,
            proven: FIRST_REQUESTS_MAX,
            largest: 0,
            is_dirty: false,
            is_held: false,
            is_ending: false,
            is_deaf: false,
            is_broken: false,
            is_overflown: false,
            is_known,
            refused: 0,
            name: None,
        };
        client.limit(limits);
        client
    }

    /// Call it so, cut off where that is long.
    pub(crate) fn call(&mut self, name: &[u8]) {
        self.name = Some(name[..name.len().min(NAME_BYTES_MAX)].into());
    }

    /// Return what it calls itself, if it does.
    pub(crate) fn name(&self) -> Option<&[u8]> {
        self.name.as_deref().filter(|name| !name.is_empty())
    }

    /// Forget what it calls itself.
    pub(crate) fn forget_name(&mut self) {
        self.name = None;
    }

    /// Return by what its links are found.
    #[inline]
    pub(crate) const fn speaker(&self) -> (u32, Version) {
        (self.id.index, self.version)
    }

    /// Be answered in that version from the next command on. It goes on other links: it is begun when all before it are
    /// answered, else it might overtake them.
    pub(crate) fn speak(&mut self, version: Version) {
        if self.version != version {
            self.version = version;
            self.await_all();
        }
    }

    /// Begin no further command before all others have their answers.
    pub(crate) fn await_all(&mut self) {
        self.is_turning = !self.slots.is_empty();
    }

    /// Have other limits from now on.
    pub(crate) fn limit(&mut self, limits: &PoolLimits) {
        self.requests_max = limits.client_requests_max as usize;
        self.bytes_max = usize::try_from(limits.client_bytes_max).unwrap_or(usize::MAX);
        self.answers_bytes_max = usize::try_from(limits.answers_bytes_max).unwrap_or(usize::MAX);
    }

    /// Tell whether it waits for too much.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.is_turning
            || self.slots.len() >= self.under_way_max()
            || self.waiting_bytes() + self.slots.asked_bytes() > self.bytes_max
    }

    /// Return how many bytes of answers wait for it.
    #[inline]
    fn waiting_bytes(&self) -> usize {
        self.output.len() + self.early_bytes
    }

    /// Tell whether so many more bytes of answers may wait for it. One command may be answered with any number of bytes, and
    /// who does not read them is closed.
    #[inline]
    fn has_room(&mut self, bytes: usize, context: &mut Context) -> bool {
        if self.waiting_bytes() + bytes <= self.answers_bytes_max {
            return !self.is_broken;
        }
        self.overflow(context);
        false
    }

    #[cold]
    fn overflow(&mut self, context: &mut Context) {
        if !self.is_broken {
            self.is_overflown = true;
            self.break_off(context);
        }
    }

    /// Return how many commands may be under way. An answer's size is known when it is there: so there are few before the
    /// first answers came, and never more than fit into its bytes if all are as large as the largest of late.
    #[inline]
    fn under_way_max(&self) -> usize {
        let most = self.proven.min(self.requests_max);
        if self.largest.saturating_mul(most) <= self.bytes_max {
            return most;
        }
        (self.bytes_max / self.largest).max(1)
    }

    /// Take the size of an answer that is whole.
    #[inline]
    fn gauge(&mut self, bytes: usize) {
        self.largest = bytes.max(self.largest - self.largest / FADES_BY);
        self.proven = (self.proven + 1).min(self.requests_max.max(FIRST_REQUESTS_MAX));
    }

    /// Tell whether nothing is left to be done for a client that is ending.
    pub(crate) fn is_done(&self) -> bool {
        self.is_broken || self.is_ending && !self.is_held && self.slots.is_empty() && self.output.is_empty()
    }

    /// Begin no further command until there is less to wait for.
    pub(crate) fn hold(&mut self, context: &mut Context) {
        self.is_held = true;
        if !self.is_ending {
            context.effects.push(Effect::Pause(self.id));
        }
    }

    /// Answer everything that was begun, and close.
    pub(crate) fn end(&mut self, context: &mut Context) {
        self.is_ending = true;
        self.look_again(context);
    }

    /// Close at once.
    pub(crate) fn break_off(&mut self, context: &mut Context) {
        self.is_broken = true;
        self.is_deaf = true;
        self.look_again(context);
    }

    /// Look at it again when the turn ends.
    pub(crate) fn look_again(&self, context: &mut Context) {
        context.changed.push(self.id);
    }

    #[inline]
    pub(crate) fn dirty(&mut self, context: &mut Context) {
        if !self.is_dirty {
            self.is_dirty = true;
            context.dirty_clients.push(self.id);
        }
    }

    /// It is about to be written to.
    pub(crate) fn clean(&mut self) {
        self.is_dirty = false;
    }

    /// Expect one more answer, of one part, to a command of so many bytes; return its number.
    #[inline]
    pub(crate) fn expect(&mut self, kind: SlotKind, asked_bytes: usize) -> u32 {
        let number = self.slots.next();
        self.slots.push(Slot { left: 1, kind, asked_bytes, ..Slot::default() });
        number
    }

    /// Answer a command here, in its turn.
    pub(crate) fn answer(&mut self, bytes: &[u8], context: &mut Context) {
        if self.slots.is_empty() {
            self.output.extend(bytes, &mut context.buffers);
            self.dirty(context);
            return;
        }
        let mut early = context.buffers.take();
        early.extend_from_slice(bytes);
        self.early_bytes += bytes.len();
        self.slots.push(Slot { early, ..Slot::default() });
    }

    /// Answer a command with why its server did not.
    pub(crate) fn answer_failure(&mut self, why: Why, context: &mut Context) {
        let mut line = context.buffers.take();
        write_failure(&mut line, self.protocol, why);
        self.answer(&line, context);
        context.buffers.give(line);
    }

    /// Take the whole answer of a slot.
    #[inline]
    pub(crate) fn finish(&mut self, number: u32, bytes: &[u8], context: &mut Context) {
        self.finish_in_two(number, [bytes, b""], context);
    }

    /// Take the whole answer of a slot, in two parts.
    #[inline]
    pub(crate) fn finish_in_two(&mut self, number: u32, parts: [&[u8]; 2], context: &mut Context) {
        let place = self.slots.place(number);
        // A slot that was cut off may still be answered.
        let Some(kind) = self.slots.get_mut(place).map(|slot| slot.kind) else { return };
        let parts = if kind == SlotKind::Unheard { [&b""[..]; 2] } else { parts };
        let bytes = parts[0].len() + parts[1].len();
        if !self.has_room(bytes, context) {
            return;
        }
        if place == 0 {
            if self.slots.pop().is_some() {
                self.gauge(bytes);
                parts.into_iter().for_each(|part| self.output.extend(part, &mut context.buffers));
                self.advance(context);
            }
            return;
        }
        let Some(slot) = self.slots.get_mut(place) else { return };
        let mut early = context.buffers.take();
        parts.into_iter().for_each(|part| early.extend_from_slice(part));
        slot.early = early;
        slot.bytes = bytes;
        slot.left = 0;
        self.early_bytes += bytes;
    }

    /// Fail the whole answer of a slot.
    pub(crate) fn fail(&mut self, number: u32, why: Why, context: &mut Context) {
        let mut line = context.buffers.take();
        write_failure(&mut line, self.protocol, why);
        self.finish(number, &line, context);
        context.buffers.give(line);
    }

    /// A part of a slot is over; `failed` says why if it failed.
    pub(crate) fn part(&mut self, number: u32, failed: Option<Why>, context: &mut Context) {
        let place = self.slots.place(number);
        let Some(slot) = self.slots.get_mut(place) else { return };
        slot.has_good |= failed.is_none();
        self.end_part(number, failed, context);
    }

    /// A part of a slot is over, well or not.
    pub(crate) fn end_part(&mut self, number: u32, failed: Option<Why>, context: &mut Context) {
        let place = self.slots.place(number);
        let Some(slot) = self.slots.get_mut(place) else { return };
        slot.failed = slot.failed.or(failed);
        slot.left = slot.left.saturating_sub(1);
        if slot.left == 0 {
            self.complete(place, context);
        }
    }

    /// Expect an answer that is merged of parts, some of which may have failed already.
    pub(crate) fn push_merged(&mut self, slot: Slot, context: &mut Context) {
        self.early_bytes += slot.waiting_bytes();
        let is_over = slot.left == 0;
        self.slots.push(slot);
        if self.has_room(0, context) && is_over {
            self.complete(self.slots.len() - 1, context);
        }
    }

    /// Take a part of a merged answer, and where its elements end as far as that is known.
    pub(crate) fn merge(
        &mut self,
        number: u32,
        part: u32,
        answer: Result<(&Reply<'_>, &[usize]), Why>,
        context: &mut Context,
    ) {
        if !self.has_room(answer.map_or(0, |(answer, _)| answer.bytes.len()), context) {
            return;
        }
        let place = self.slots.place(number);
        let Some(slot) = self.slots.get_mut(place) else { return };
        let Some(merge) = &mut slot.merge else { return };
        let before = merge.bytes();
        match answer {
            Ok((answer, ends)) => merge.take(part, answer, ends),
            Err(why) => merge.fail(part, why),
        }
        self.early_bytes += merge.bytes() - before;
        slot.left = slot.left.saturating_sub(1);
        let is_whole = slot.left == 0;
        // An error that stands for many keys is more than came.
        if self.has_room(0, context) && is_whole {
            self.complete(place, context);
        }
    }

    /// Write what follows a slot's parts.
    pub(crate) fn complete(&mut self, place: usize, context: &mut Context) {
        let Some(slot) = self.slots.get_mut(place) else { return };
        context.buffers.room(&mut slot.early);
        let before = slot.waiting_bytes();
        let gather = slot.gather.take();
        let failure = |out: &mut Vec<u8>, why| write_failure(out, PoolProtocol::Memcache, why);
        match (slot.kind, slot.failed) {
            (SlotKind::ValuesTogether, Some(why)) => {
                slot.early.clear();
                failure(&mut slot.early, why);
                self.is_deaf = true;
                self.is_ending = true;
            }
            (SlotKind::Unheard, _) => {}
            (SlotKind::Values | SlotKind::ValuesTogether, failed) => {
                let mut gather = gather.unwrap_or_else(|| context.gather());
                gather.finish(&mut slot.early);
                match (failed.filter(|_| !slot.has_good), &gather.error) {
                    (None, _) => slot.early.extend_from_slice(b"END\r\n"),
                    (Some(_), Some(line)) => slot.early.extend_from_slice(line),
                    (Some(why), None) => failure(&mut slot.early, why),
                }
                context.give_gather(gather);
            }
            (SlotKind::Lines, None) => slot.early.extend_from_slice(b"OK\r\n"),
            (SlotKind::Lines, Some(why)) => failure(&mut slot.early, why),
            (SlotKind::Version, None) => {
                self.version = Version::Three;
                hello::write(&mut slot.early, self.id, Version::Three);
            }
            (SlotKind::Version, Some(Why::Version)) => {
                slot.early.extend_from_slice(hello::REFUSED);
                self.refused += 1;
                context.changed.push(self.id);
            }
            (SlotKind::Version, Some(why)) => write_failure(&mut slot.early, self.protocol, why),
            (SlotKind::Merged | SlotKind::Whole, _) => {
                if let Some(mut merge) = slot.merge.take() {
                    slot.bytes += merge.bytes();
                    merge.finish(&mut slot.early);
                    context.give_merge(merge);
                }
            }
        }
        self.early_bytes = self.early_bytes + slot.waiting_bytes() - before;
        if slot.kind == SlotKind::ValuesTogether && slot.failed.is_some() {
            // twemproxy closes here, and what was pipelined behind is lost.
            for slot in self.slots.cut(place + 1) {
                self.early_bytes -= slot.waiting_bytes();
                context.buffers.give(slot.early);
            }
        }
        if place == 0 {
            self.advance(context);
        }
    }

    /// Write what has become the first.
    #[inline]
    fn advance(&mut self, context: &mut Context) {
        while let Some(slot) = self.slots.get_mut(0) {
            let bytes = slot.bytes;
            let is_over = slot.left == 0;
            if slot.early.capacity() > 0 && (is_over || slot.kind != SlotKind::ValuesTogether) {
                let early = std::mem::take(&mut slot.early);
                self.early_bytes -= early.len();
                self.output.append(early, &mut context.buffers);
            }
            if !is_over {
                break;
            }
            self.slots.pop();
            self.gauge(bytes);
        }
        self.is_turning &= !self.slots.is_empty();
        self.dirty(context);
        if self.is_held || self.is_ending {
            self.look_again(context);
        }
    }

    pub(crate) fn early_bytes(&self) -> usize {
        self.early_bytes
    }

    /// Give everything back.
    pub(crate) fn dismantle(mut self, context: &mut Context) {
        self.input.clear(&mut context.buffers);
        self.output.clear(&mut context.buffers);
        for slot in self.slots.drain() {
            context.buffers.give(slot.early);
            slot.merge.into_iter().for_each(|merge| context.give_merge(merge));
            slot.gather.into_iter().for_each(|gather| context.give_gather(gather));
        }
    }
}
