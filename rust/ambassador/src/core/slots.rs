//! Answers that a client waits for, in the order of its commands.

use std::collections::VecDeque;

use super::Why;
use super::gather::Gather;
use super::merge::Merge;

/// One answer to come.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// What came of it while answers before it were missing; what came since then is in the client's output already.
    pub(crate) early: Vec<u8>,
    /// Bytes that came of it.
    pub(crate) bytes: usize,
    /// How parts of a Redis command become one answer.
    pub(crate) merge: Option<Box<Merge>>,
    /// How values of several servers become one answer.
    pub(crate) gather: Option<Box<Gather>>,
    /// Bytes of the command, which a server's link or the server itself has to hold, and of what is known of its keys.
    pub(crate) asked_bytes: usize,
    /// Parts that are still to come; 0 when it is whole.
    pub(crate) left: u32,
    pub(crate) kind: SlotKind,
    /// A part came well.
    pub(crate) has_good: bool,
    /// A part failed, for that reason.
    pub(crate) failed: Option<Why>,
}

impl Slot {
    /// Return how many bytes of answers wait in it.
    #[inline]
    pub(crate) fn waiting_bytes(&self) -> usize {
        let merged = self.merge.as_ref().map_or(0, |merge| merge.bytes());
        self.early.len() + merged + self.gather.as_ref().map_or(0, |gather| gather.bytes())
    }
}

/// How a slot's parts become one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SlotKind {
    /// There is one part, which is the answer.
    #[default]
    Whole,
    /// memcache: values of several servers in the order of the keys; `END` follows.
    Values,
    /// memcache: as before, but kept until all are there, since one failure is all's.
    ValuesTogether,
    /// memcache: each server says `OK`.
    Lines,
    /// memcache: of a quiet command nothing is shown, not even that it failed; but it is waited for as others are.
    Unheard,
    /// Redis: by the merge.
    Merged,
    /// Redis: whether all servers speak the version that the client asks for.
    Version,
}

/// Slots up to which an idle client keeps the room.
const KEPT: usize = 16;

/// A client's slots.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    queue: VecDeque<Slot>,
    /// The number of the first.
    base: u32,
    /// Bytes of the commands that are waited for.
    asked_bytes: usize,
}

impl Slots {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Return the number that the next slot will have.
    #[inline]
    pub(crate) fn next(&self) -> u32 {
        self.base.wrapping_add(self.queue.len() as u32)
    }

    #[inline]
    pub(crate) fn push(&mut self, slot: Slot) {
        self.asked_bytes += slot.asked_bytes;
        self.queue.push_back(slot);
    }

    /// Return the place of the slot with that number.
    #[inline]
    pub(crate) fn place(&self, number: u32) -> usize {
        number.wrapping_sub(self.base) as usize
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut Slot> {
        self.queue.get_mut(place)
    }

    /// Take the first slot off.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Slot> {
        let slot = self.queue.pop_front()?;
        self.base = self.base.wrapping_add(1);
        self.asked_bytes -= slot.asked_bytes;
        if self.queue.is_empty() && self.queue.capacity() > KEPT {
            self.queue = VecDeque::new();
        }
        Some(slot)
    }

    /// Return how many bytes the commands have that are waited for.
    #[inline]
    pub(crate) fn asked_bytes(&self) -> usize {
        self.asked_bytes
    }

    /// Take off what is behind the first `count`.
    pub(crate) fn cut(&mut self, count: usize) -> impl Iterator<Item = Slot> + use<> {
        let cut = self.queue.split_off(count.min(self.queue.len()));
        self.asked_bytes -= cut.iter().map(|slot| slot.asked_bytes).sum::<usize>();
        cut.into_iter()
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Slot> + use<> {
        std::mem::take(&mut self.queue).into_iter()
    }
}
