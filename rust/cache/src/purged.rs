//! When URLs were purged, so that no sibling brings back what was made before.
//!
//! Siblings learn of a purge one after the other, and one that was away learns of it late. Tickets keep fills out that were on their way;
//! these times keep out what is fetched afterwards from a sibling that does not know yet.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Times that are kept. URLs that share one are taken from the origin once more than they had to.
const SLOTS: usize = 4096;

/// The last purge of each URL, about.
#[derive(Debug)]
pub(crate) struct Purged {
    slots: Box<[AtomicU64]>,
    all: AtomicU64,
    hasher: RandomState,
}

impl Default for Purged {
    fn default() -> Self {
        let slots = (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        Self { slots, all: AtomicU64::new(0), hasher: RandomState::new() }
    }
}

impl Purged {
    fn slot(&self, url: &[u8]) -> &AtomicU64 {
        &self.slots[(self.hasher.hash_one(url) % SLOTS as u64) as usize]
    }

    /// Notes that a URL, as keys hold it, is purged now.
    pub fn note(&self, url: &[u8], now_ms: u64) {
        self.slot(url).fetch_max(now_ms, Relaxed);
    }

    /// Notes that everything is.
    pub fn note_all(&self, now_ms: u64) {
        self.all.fetch_max(now_ms, Relaxed);
    }

    /// Whether something of a URL that was made then was made before a purge, or may have been.
    pub fn is_after(&self, url: &[u8], made_ms: u64) -> bool {
        made_ms <= self.slot(url).load(Relaxed).max(self.all.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_before_a_purge_is_known() {
        let purged = Purged::default();
        assert!(!purged.is_after(b"a", 1));
        purged.note(b"a", 5);
        purged.note(b"a", 3);
        assert_eq!([4, 5, 6].map(|made_ms| purged.is_after(b"a", made_ms)), [true, true, false]);
        purged.note_all(7);
        assert!(purged.is_after(b"b", 7) && !purged.is_after(b"b", 8));
    }
}
