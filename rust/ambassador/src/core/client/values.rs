//! Values of several servers, which a client gets in the order of its keys.

use alongside_protocols::incremental::Progress;

use super::Client;
use crate::core::Why;
use crate::core::context::Context;
use crate::core::gather::{Gather, STORE_BYTES_MAX, Taken};
use crate::core::link::Ask;
use crate::core::slots::SlotKind;

/// When so many bytes wait, values among them go out before their answer is whole. Fewer are of little use to a client, which
/// waits for its end, and cost both sides a system call.
const PIECE_BYTES: usize = 16 * 1024;

impl Client {
    /// Take what a server says of its part of the keys, and pass on what is next; `None` if nobody waits for it.
    pub(crate) fn values<'a>(
        &mut self,
        ask: &mut Ask,
        bytes: &'a [u8],
        progress: &mut Progress,
        context: &mut Context,
    ) -> Option<Taken<'a>> {
        let room = self.answers_bytes_max.saturating_sub(self.waiting_bytes());
        let place = self.slots.place(ask.slot);
        let slot = self.slots.get_mut(place).filter(|_| !self.is_broken)?;
        let before = slot.waiting_bytes();
        let gather = slot.gather.as_mut()?;
        let taken = gather.take(&mut ask.next, bytes, progress);
        let values = &bytes[..taken.values_bytes];
        slot.bytes += values.len();
        if values.len() > room.min(STORE_BYTES_MAX.saturating_sub(gather.store_bytes())) {
            // What was taken and is not kept is not to be passed on by whoever fails next.
            gather.clear();
            self.early_bytes = self.early_bytes + slot.waiting_bytes() - before;
            self.overflow(context);
            return Some(taken);
        }
        let is_first = place == 0 && slot.kind == SlotKind::Values;
        let out = match slot.kind {
            SlotKind::ValuesTogether => None,
            _ if is_first => Some(self.output.end(&mut context.buffers)),
            _ => Some(context.buffers.room(&mut slot.early)),
        };
        gather.pass_on(values, out);
        self.early_bytes = self.early_bytes + slot.waiting_bytes() - before;
        if is_first {
            self.pass_piece(context);
        }
        Some(taken)
    }

    /// A part of values is over with a server's own error, a whole line. The first is kept.
    pub(crate) fn values_refused(&mut self, number: u32, line: &[u8], context: &mut Context) {
        if let Some(gather) = self.gather(number) {
            gather.error.get_or_insert_with(|| line.into());
        }
        self.end_part(number, Some(Why::Other), context);
    }

    /// A part of values fails: keys that it did not answer have none.
    pub(crate) fn fail_values(&mut self, mut ask: Ask, why: Why, context: &mut Context) {
        if let Some(gather) = self.gather(ask.slot) {
            gather.lose_all(&mut ask.next);
        }
        self.pass_values_on(ask.slot, context);
        self.end_part(ask.slot, Some(why), context);
    }

    /// Pass on what is next since others have no values.
    pub(crate) fn pass_values_on(&mut self, number: u32, context: &mut Context) {
        let place = self.slots.place(number);
        let Some(slot) = self.slots.get_mut(place).filter(|slot| slot.kind == SlotKind::Values) else { return };
        let before = slot.waiting_bytes();
        let Some(gather) = slot.gather.as_mut().filter(|gather| gather.bytes() > 0) else { return };
        let out =
            if place == 0 { self.output.end(&mut context.buffers) } else { context.buffers.room(&mut slot.early) };
        gather.pass_on(&[], Some(out));
        self.early_bytes = self.early_bytes + slot.waiting_bytes() - before;
        if place == 0 {
            self.pass_piece(context);
        }
    }

    /// Have it written to if enough waits. What is not written now is with the rest, at the end of the answer at the latest.
    #[inline]
    fn pass_piece(&mut self, context: &mut Context) {
        if self.output.len() >= PIECE_BYTES {
            self.dirty(context);
        }
    }

    fn gather(&mut self, number: u32) -> Option<&mut Gather> {
        let place = self.slots.place(number);
        self.slots.get_mut(place)?.gather.as_deref_mut()
    }

    /// Take the keys of a slot out, to send some of them to other servers.
    pub(crate) fn take_gather(&mut self, number: u32) -> Option<Box<Gather>> {
        let place = self.slots.place(number);
        self.slots.get_mut(place)?.gather.take()
    }

    /// Put them back; a part of them became several.
    pub(crate) fn put_gather(&mut self, number: u32, gather: Box<Gather>, parts: u32) {
        let place = self.slots.place(number);
        if let Some(slot) = self.slots.get_mut(place) {
            slot.gather = Some(gather);
            slot.left += parts;
        }
    }
}
