//! What every part of the core needs beside what it works on.

use std::sync::Arc;

use alongside_protocols::{memcache, resp};

use super::buffers::Buffers;
use super::gather::Gather;
use super::merge::Merge;
use super::{ClientId, Effect, LinkId, Terms};
use crate::counters::SAMPLED_ONE_IN;

/// Times are looked at in slots of so much.
const SLOT_US: u64 = 10_000;

/// Merges that are kept to be used again.
const MERGES_KEPT: usize = 64;
/// Gathers that are kept to be used again. Both are for as many clients as are often waited for at once.
const GATHERS_KEPT: usize = 64;
/// Arguments, or keys, for which the room is kept.
const ARGS_KEPT: usize = 16 * 1024;

/// The time, what is to be done, and what is used again.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) now_us: u64,
    pub(crate) effects: Vec<Effect>,
    pub(crate) dirty_clients: Vec<ClientId>,
    pub(crate) dirty_links: Vec<LinkId>,
    /// Clients that may go on, or are done.
    pub(crate) changed: Vec<ClientId>,
    pub(crate) buffers: Buffers,
    #[allow(clippy::vec_box, reason = "they are handed to slots as they are")]
    merges: Vec<Box<Merge>>,
    #[allow(clippy::vec_box, reason = "they are handed to slots as they are")]
    gathers: Vec<Box<Gather>>,
    /// Room for where a request's keys are.
    pub(crate) spots: Vec<memcache::Spot>,
    /// The same for the arguments of a request of Redis.
    pub(crate) args: Vec<resp::Spot>,
    /// The same for where the elements of an answer end.
    pub(crate) ends: Vec<usize>,
    /// Room for the servers that parts of a split command go to.
    pub(crate) servers: Vec<u32>,
    /// The same for the server of each of its keys.
    pub(crate) found: Vec<u32>,
    /// The same for its keys, part after part.
    pub(crate) sorted: Vec<u32>,
    /// When deadlines are looked at next.
    pub(crate) deadline_us: u64,
    random: u64,
    until_sample: u32,
    mark: u32,
}

impl Context {
    pub(crate) fn new(seed: u64) -> Context {
        Context {
            now_us: 0,
            effects: Vec::new(),
            dirty_clients: Vec::new(),
            dirty_links: Vec::new(),
            changed: Vec::new(),
            buffers: Buffers::default(),
            merges: Vec::new(),
            gathers: Vec::new(),
            spots: Vec::new(),
            args: Vec::new(),
            ends: Vec::new(),
            servers: Vec::new(),
            found: Vec::new(),
            sorted: Vec::new(),
            deadline_us: u64::MAX,
            random: seed | 1,
            until_sample: SAMPLED_ONE_IN,
            mark: 0,
        }
    }

    /// Return the lower half of the time, which asks carry.
    #[inline]
    pub(crate) const fn at_us(&self) -> u32 {
        self.now_us as u32
    }

    /// Look at deadlines at that time, or a little later.
    #[inline]
    pub(crate) fn wake(&mut self, at_us: u64) {
        self.deadline_us = self.deadline_us.min(at_us.div_ceil(SLOT_US).saturating_mul(SLOT_US));
    }

    /// Return a number by chance (xorshift64*).
    pub(crate) fn random(&mut self) -> u32 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }

    /// Tell whether this command is one of those that are looked at.
    #[inline]
    pub(crate) fn is_sampled(&mut self) -> bool {
        self.until_sample -= 1;
        if self.until_sample == 0 {
            // Not each 64th: a client may have a rhythm of its own.
            self.until_sample = 1 + self.random() % (2 * SAMPLED_ONE_IN - 1);
            return true;
        }
        false
    }

    /// Return which of the next so many keys is looked at first, if one is.
    pub(crate) fn next_sampled(&mut self, keys: usize) -> Option<usize> {
        let next = self.until_sample as usize - 1;
        if next >= keys {
            self.until_sample -= keys as u32;
            return None;
        }
        self.until_sample = 1;
        self.is_sampled();
        Some(next)
    }

    /// Give up room that few requests need.
    pub(crate) fn forget_room(&mut self) {
        forget_large(&mut self.args);
        forget_large(&mut self.ends);
        forget_large(&mut self.found);
        forget_large(&mut self.sorted);
    }

    /// Return a number that no split command had lately.
    pub(crate) fn next_mark(&mut self) -> u32 {
        self.mark = self.mark.wrapping_add(1);
        if self.mark == 0 {
            self.mark = 1;
        }
        self.mark
    }

    pub(crate) fn merge(&mut self) -> Box<Merge> {
        self.merges.pop().unwrap_or_default()
    }

    pub(crate) fn give_merge(&mut self, mut merge: Box<Merge>) {
        if self.merges.len() < MERGES_KEPT && merge.clear() {
            self.merges.push(merge);
        }
    }

    pub(crate) fn gather(&mut self) -> Box<Gather> {
        self.gathers.pop().unwrap_or_default()
    }

    pub(crate) fn give_gather(&mut self, mut gather: Box<Gather>) {
        if self.gathers.len() < GATHERS_KEPT && gather.clear() {
            self.gathers.push(gather);
        }
    }

    pub(crate) fn connect(&mut self, link: LinkId, terms: &Arc<Terms>, server: usize) {
        self.effects.push(Effect::Connect { link, terms: terms.clone(), server });
    }
}

fn forget_large<T>(room: &mut Vec<T>) {
    if room.capacity() > ARGS_KEPT {
        *room = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sampled_alike_one_by_one_and_many_at_once() {
        let (mut one, mut many) = (Context::new(7), Context::new(7));
        for keys in [0, 1, 63, 64, 100, 1, 1, 200, 3, 1000] {
            let expected: Vec<usize> = (0..keys).filter(|_| one.is_sampled()).collect();
            let (mut first, mut found) = (0, Vec::new());
            while let Some(next) = many.next_sampled(keys - first) {
                found.push(first + next);
                first += next + 1;
            }
            assert_eq!(found, expected);
        }
    }
}
