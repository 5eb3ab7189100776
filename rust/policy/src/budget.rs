//! How many requests may be tried again: a part of what came in the last ten seconds, so that retries do not make an overload worse.
//!
//! A retry is allowed while those of the last ten slots of a second, this one included, are fewer than `percent` of the requests of
//! these slots and ten times `per_second_min` together.
//! Counting requests is on the path of every one, so a shell adds them to an atomic of its own and hands the sum over with
//! [`Budget::roll`]; only a retry takes the lock.
//!
//! # Source
//!
//! Finagle's `RetryBudget` (time to live 10 s, `minRetriesPerSec`, `percentCanRetry`), also in linkerd and tower.

/// The slots of the window; each is [`SLOT_MS`] long.
pub const SLOTS: usize = 10;
/// How long a slot is, in milliseconds.
pub const SLOT_MS: u64 = 1_000;

/// A route's parameters, as its document has them (`retries`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Retries in percent of the window's requests, 0 to 100.
    pub percent: u32,
    /// Retries a second that are allowed however few requests there are.
    pub per_second_min: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    requests: u64,
    retries: u64,
}

/// The requests and retries of the last ten seconds.
#[derive(Clone, Debug)]
pub struct Budget {
    settings: Settings,
    slots: [Slot; SLOTS],
    /// The number of the newest slot since the clock's beginning.
    newest: u64,
}

impl Budget {
    /// An empty window at this time.
    #[must_use]
    pub fn new(settings: Settings, now_ms: u64) -> Self {
        Self { settings, slots: [Slot::default(); SLOTS], newest: now_ms / SLOT_MS }
    }

    /// Go on with a new document's parameters; what was counted stays.
    pub fn configure(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Count the requests that came since the last call; they are spread evenly over the time that has passed.
    pub fn roll(&mut self, now_ms: u64, requests: u64) {
        let slots = self.advance(now_ms).saturating_add(1);
        let each = requests / slots;
        let in_window = slots.min(SLOTS as u64);
        for back in 0..in_window {
            let slot = self.slot(back);
            slot.requests = slot.requests.saturating_add(each);
        }
        let rest = self.slot(0);
        rest.requests = rest.requests.saturating_add(requests % slots);
    }

    /// Take one retry out, if there is one. Call [`Budget::roll`] first.
    pub fn withdraw(&mut self, now_ms: u64) -> bool {
        self.advance(now_ms);
        let is_allowed = self.balance() > 0;
        if is_allowed {
            self.slot(0).retries += 1;
        }
        is_allowed
    }

    /// Retries that may be taken out now.
    #[must_use]
    pub fn balance(&self) -> u64 {
        let (requests, retries) = self.slots.iter().fold((0_u128, 0_u128), |(requests, retries), slot| {
            (requests + u128::from(slot.requests), retries + u128::from(slot.retries))
        });
        let earned = requests * u128::from(self.settings.percent) / 100;
        let always = u128::from(self.settings.per_second_min) * SLOTS as u128 * u128::from(SLOT_MS) / 1_000;
        u64::try_from((earned + always).saturating_sub(retries)).unwrap_or(u64::MAX)
    }

    /// Empty the slots that are over, and return how many have begun since; a clock that stands or goes back moves nothing.
    fn advance(&mut self, now_ms: u64) -> u64 {
        let begun = (now_ms / SLOT_MS).saturating_sub(self.newest);
        self.newest += begun;
        for back in 0..begun.min(SLOTS as u64) {
            *self.slot(back) = Slot::default();
        }
        begun
    }

    /// The slot that is `back` seconds old, 0 to 9.
    fn slot(&mut self, back: u64) -> &mut Slot {
        let at = (self.newest.wrapping_sub(back) % SLOTS as u64) as usize;
        &mut self.slots[at]
    }
}

#[cfg(test)]
mod tests;
