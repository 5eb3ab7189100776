//! How fast a new replica copies what a sibling has, and how warm it is meanwhile.

/// What may be taken at once after a pause, in milliseconds of the allowed rate.
pub const BURST_MS: u64 = 100;
/// A copy from which nothing came for so long is no copy: the node says that it is warm, and is filled by its misses.
pub const STALL_MS_MAX: u64 = 30_000;
/// A node says that it is warm after so long, whatever is still to be copied, so that it never stays cold for ever.
pub const WARMING_MS_MAX: u64 = 600_000;

/// Holds a copy to a rate.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    bytes_per_s: u64,
    /// Until when what was taken is paid for, in microseconds.
    paid_us: u64,
}

impl Pace {
    /// A pace of so many bytes a second, at least 1 (0 counts as 1).
    #[must_use]
    pub fn new(bytes_per_s: u64) -> Self {
        Self { bytes_per_s: bytes_per_s.max(1), paid_us: 0 }
    }

    /// Count bytes that were taken, and return how long to wait before the next are read, in milliseconds, rounded up.
    ///
    /// # Source
    ///
    /// The generic cell rate algorithm (ITU-T I.371) as a virtual schedule.
    pub fn took(&mut self, bytes: u64, now_ms: u64) -> u64 {
        let now_us = now_ms.saturating_mul(1_000);
        let cost_us = u128::from(bytes) * 1_000_000 / u128::from(self.bytes_per_s);
        self.paid_us = self
            .paid_us
            .max(now_us.saturating_sub(BURST_MS * 1_000))
            .saturating_add(u64::try_from(cost_us).unwrap_or(u64::MAX));
        self.paid_us.saturating_sub(now_us).div_ceil(1_000)
    }
}

/// How far a warm-up is.
#[derive(Clone, Copy, Debug)]
pub struct Warming {
    started_ms: u64,
    moved_ms: u64,
    taken_bytes: u64,
    reached: u8,
}

impl Warming {
    /// A node that begins to warm up now, with nothing.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        Self { started_ms: now_ms, moved_ms: now_ms, taken_bytes: 0, reached: 0 }
    }

    /// A node that has nobody to copy from, or was told not to: warm.
    #[must_use]
    pub fn not_needed() -> Self {
        Self { started_ms: 0, moved_ms: 0, taken_bytes: 0, reached: 100 }
    }

    /// Count bytes that were taken of `whole_bytes` that the sibling said it has; also with 0 when it has just said so.
    ///
    /// Warmth never falls, also where another sibling says another number.
    pub fn took(&mut self, bytes: u64, whole_bytes: u64, now_ms: u64) {
        self.taken_bytes = self.taken_bytes.saturating_add(bytes);
        if bytes > 0 {
            self.moved_ms = now_ms;
        }
        // The end of the copy, not the sum, says that all is there: what a sibling has changes meanwhile.
        let percent = if whole_bytes == 0 { 100 } else { (percent(self.taken_bytes, whole_bytes)).min(99) };
        self.reached = self.reached.max(percent);
    }

    /// The copy is complete.
    pub fn finish(&mut self) {
        self.reached = 100;
    }

    /// How warm the node is, 0 to 100; 100 also when nothing came for [`STALL_MS_MAX`], or [`WARMING_MS_MAX`] are over.
    #[must_use]
    pub fn warmth(&self, now_ms: u64) -> u8 {
        let is_stalled = now_ms.saturating_sub(self.moved_ms) >= STALL_MS_MAX;
        let is_over = now_ms.saturating_sub(self.started_ms) >= WARMING_MS_MAX;
        if is_stalled || is_over { 100 } else { self.reached }
    }
}

fn percent(part: u64, whole: u64) -> u8 {
    u8::try_from(u128::from(part) * 100 / u128::from(whole.max(1))).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_a_steady_copy_to_its_rate() {
        for bytes_per_s in [1_024, 1_000_000, 1 << 40] {
            let mut pace = Pace::new(bytes_per_s);
            let (mut now_ms, mut taken) = (5_000, 0);
            while now_ms < 65_000 {
                let piece = bytes_per_s / 64;
                taken += piece;
                now_ms += pace.took(piece, now_ms);
            }
            let expected = bytes_per_s * 60;
            assert!(taken.abs_diff(expected) < expected / 10, "{taken} of {expected}");
        }
    }

    #[test]
    fn gives_no_more_credit_for_a_pause_than_a_burst() {
        let mut pace = Pace::new(1_000);
        assert_eq!(pace.took(100, 3_600_000), 0);
        assert_eq!(pace.took(1, 3_600_000), 1);
        assert_eq!(pace.took(1_000, 7_200_000), 900);
    }

    #[test]
    fn survives_extremes() {
        assert!(Pace::new(0).took(u64::MAX, u64::MAX) < u64::MAX);
        assert_eq!(Pace::new(u64::MAX).took(u64::MAX, 0), 1_000);
    }

    #[test]
    fn warms_with_what_was_taken_and_is_warm_at_the_end_only() {
        let mut warming = Warming::new(10);
        assert_eq!(warming.warmth(10), 0);
        warming.took(0, 200, 20);
        assert_eq!(warming.warmth(20), 0);
        warming.took(50, 200, 30);
        assert_eq!(warming.warmth(30), 25);
        warming.took(500, 200, 40);
        assert_eq!(warming.warmth(40), 99);
        warming.finish();
        assert_eq!(warming.warmth(50), 100);
    }

    #[test]
    fn never_cools_when_another_sibling_has_more() {
        let mut warming = Warming::new(0);
        warming.took(50, 100, 1);
        warming.took(10, 10_000, 2);
        assert_eq!(warming.warmth(2), 50);
    }

    #[test]
    fn is_warm_where_there_is_nothing_to_take() {
        let mut warming = Warming::new(0);
        warming.took(0, 0, 1);
        assert_eq!(warming.warmth(1), 100);
        assert_eq!(Warming::not_needed().warmth(0), 100);
    }

    #[test]
    fn does_not_stay_cold_when_the_copy_stalls_or_crawls() {
        let mut warming = Warming::new(0);
        warming.took(10, 100, 1_000);
        assert_eq!(warming.warmth(1_000 + STALL_MS_MAX - 1), 10);
        assert_eq!(warming.warmth(1_000 + STALL_MS_MAX), 100);
        let mut crawling = Warming::new(0);
        (1..600).for_each(|second| crawling.took(1, 1 << 40, second * 1_000));
        assert_eq!(crawling.warmth(WARMING_MS_MAX - 1), 0);
        assert_eq!(crawling.warmth(WARMING_MS_MAX), 100);
    }
}
