//! The bytes that are in memory beside the store: answers on their way, and evicted ones still being read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What all parts of one cache hold, bytes. The counts are hints for admission; none guards other memory, so
/// relaxed order is enough.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Everything that was ever stored and is still alive.
    held: AtomicU64,
    /// What of it is in the store.
    stored: AtomicU64,
    /// What fills in progress have reserved.
    reserved: AtomicU64,
    /// What they may reserve.
    reserved_max: AtomicU64,
}

impl Ledger {
    /// Count bytes for as long as the charge lives.
    pub(crate) fn charge(self: &Arc<Self>, bytes: usize) -> Charge {
        let bytes = bytes as u64;
        self.held.fetch_add(bytes, Relaxed);
        Charge { ledger: Arc::clone(self), bytes }
    }

    /// Note the weight of the store.
    pub(crate) fn set_stored(&self, bytes: u64) {
        self.stored.store(bytes, Relaxed);
    }

    /// Return what has left the store and is still held by readers.
    pub(crate) fn pinned(&self) -> u64 {
        self.held.load(Relaxed).saturating_sub(self.stored.load(Relaxed))
    }
}

/// Bytes that count until this is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    ledger: Arc<Ledger>,
    bytes: u64,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.ledger.held.fetch_sub(self.bytes, Relaxed);
    }
}

/// What fills in progress may take.
///
/// Evicted objects that slow clients still read count as well: then no fill gets a reservation, nothing is stored,
/// so nothing more is evicted, until they are done. A response without a reservation is handed on and not kept.
#[derive(Clone, Debug)]
pub struct InflightBudget {
    ledger: Arc<Ledger>,
}

impl InflightBudget {
    pub(crate) fn new(ledger: Arc<Ledger>, bytes_max: u64) -> Self {
        let budget = Self { ledger };
        budget.resize(bytes_max);
        budget
    }

    /// Set the limit; what is reserved already stays so.
    pub(crate) fn resize(&self, bytes_max: u64) {
        self.ledger.reserved_max.store(bytes_max, Relaxed);
    }

    /// Return the limit, bytes.
    #[must_use]
    pub fn bytes_max(&self) -> u64 {
        self.ledger.reserved_max.load(Relaxed)
    }

    /// Return what is reserved now, bytes.
    #[must_use]
    pub fn reserved_bytes(&self) -> u64 {
        self.ledger.reserved.load(Relaxed)
    }

    /// Return what evicted objects still take because someone reads them, bytes.
    #[must_use]
    pub fn pinned_bytes(&self) -> u64 {
        self.ledger.pinned()
    }

    /// Reserve bytes; `None` if they are not to be had.
    #[must_use]
    pub fn try_reserve(&self, bytes: u64) -> Option<Reservation> {
        self.take(bytes).then(|| Reservation { budget: self.clone(), bytes })
    }

    /// Begin with nothing.
    #[must_use]
    pub fn begin(&self) -> Reservation {
        Reservation { budget: self.clone(), bytes: 0 }
    }

    fn take(&self, bytes: u64) -> bool {
        let room = self.bytes_max().saturating_sub(self.ledger.pinned());
        self.ledger
            .reserved
            .fetch_update(Relaxed, Relaxed, |before| before.checked_add(bytes).filter(|&after| after <= room))
            .is_ok()
    }
}

/// Reserved bytes, given back when this is dropped: after the object is stored, or given up.
#[derive(Debug)]
pub struct Reservation {
    budget: InflightBudget,
    bytes: u64,
}

impl Reservation {
    /// Reserve more; if it is not to be had, what was reserved stays and the answer is false.
    #[must_use]
    pub fn grow(&mut self, bytes: u64) -> bool {
        let is_had = self.budget.take(bytes);
        if is_had {
            self.bytes += bytes;
        }
        is_had
    }

    /// Count bytes that are held whatever the budget says: those that a slow client has not taken yet.
    pub fn overdraw(&mut self, bytes: u64) {
        self.budget.ledger.reserved.fetch_add(bytes, Relaxed);
        self.bytes += bytes;
    }

    /// Give some back; at most what is reserved.
    pub fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.budget.ledger.reserved.fetch_sub(bytes, Relaxed);
        self.bytes -= bytes;
    }

    /// Return what is reserved, bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.ledger.reserved.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_out_no_more_than_there_is() {
        let budget = InflightBudget::new(Arc::default(), 100);
        let mut first = budget.try_reserve(60).unwrap();
        assert!(budget.try_reserve(41).is_none());
        assert!(budget.try_reserve(u64::MAX).is_none());
        assert!(first.grow(40));
        assert!(!first.grow(1));
        assert_eq!((first.bytes(), budget.reserved_bytes()), (100, 100));
        first.shrink(30);
        first.overdraw(50);
        assert_eq!((first.bytes(), budget.reserved_bytes()), (120, 120));
        assert!(!first.grow(1));
        first.shrink(u64::MAX);
        assert_eq!(budget.reserved_bytes(), 0);
        first.overdraw(1);
        drop(first);
        assert_eq!(budget.reserved_bytes(), 0);
        assert!(budget.try_reserve(100).is_some());
    }

    #[test]
    fn counts_evicted_objects_that_are_still_read() {
        let ledger = Arc::<Ledger>::default();
        let budget = InflightBudget::new(Arc::clone(&ledger), 100);
        let charge = ledger.charge(80);
        assert!(budget.try_reserve(30).is_none());
        ledger.set_stored(80);
        assert!(budget.try_reserve(30).is_some());
        ledger.set_stored(0);
        drop(charge);
        assert_eq!(budget.pinned_bytes(), 0);
    }

    #[test]
    fn a_smaller_limit_holds_for_what_comes_after_it() {
        let budget = InflightBudget::new(Arc::default(), 100);
        let held = budget.try_reserve(80).unwrap();
        budget.clone().resize(50);
        assert!(budget.try_reserve(1).is_none());
        drop(held);
        assert!(budget.try_reserve(51).is_none());
        assert!(budget.try_reserve(50).is_some());
    }

    #[test]
    fn holds_under_threads() {
        let budget = InflightBudget::new(Arc::default(), 1000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let held = budget.try_reserve(300);
                        assert!(budget.reserved_bytes() <= 1000);
                        drop(held);
                    }
                });
            }
        });
        assert_eq!(budget.reserved_bytes(), 0);
    }
}
