//! How long a node's answers take: an average over seconds, and the middle of the latest few.
//!
//! # Source
//!
//! The average is the one of Finagle's and linkerd's Peak EWMA (`PeakEwma`, decay 10 s): a sample's weight is
//! `1 - exp(-Δt / decay)`. Its jump to a peak is left out: there it only moves load, here one slow answer would
//! take a node away.

/// The time constant of the average, in milliseconds.
pub const DECAY_MS: u64 = 10_000;
/// Answers that must have come before a node can be called slow, or its siblings be compared with it.
pub const SAMPLES_MIN: u32 = 16;
/// The latest answers whose middle is looked at.
const RECENT: usize = 8;

#[derive(Clone, Debug, Default)]
pub(super) struct Latency {
    average_us: f64,
    /// Counted up to `SAMPLES_MIN`.
    samples: u32,
    last_ms: u64,
    recent_us: [u32; RECENT],
    next: usize,
}

impl Latency {
    /// Count an answer.
    pub(super) fn add(&mut self, latency_us: u64, now_ms: u64) {
        let sample_us = u32::try_from(latency_us).unwrap_or(u32::MAX);
        self.recent_us[self.next] = sample_us;
        self.next = (self.next + 1) % RECENT;
        self.samples = (self.samples + 1).min(SAMPLES_MIN);
        let passed_ms = u32::try_from(now_ms.saturating_sub(self.last_ms)).unwrap_or(u32::MAX);
        self.last_ms = now_ms.max(self.last_ms);
        // Few samples are averaged evenly, else the first would last; later none weighs more than one of `SAMPLES_MIN`.
        let even = 1.0 / f64::from(self.samples);
        let decayed = -(-f64::from(passed_ms) / DECAY_MS as f64).exp_m1();
        let weight = if self.samples < SAMPLES_MIN { even } else { decayed.min(even) };
        self.average_us += weight * (f64::from(sample_us) - self.average_us);
    }

    /// What an answer takes in microseconds, the lower of the average and the middle of the latest; `None` when too few came.
    pub(super) fn typical_us(&self) -> Option<u64> {
        if self.samples < SAMPLES_MIN {
            return None;
        }
        let mut recent_us = self.recent_us;
        recent_us.sort_unstable();
        Some((self.average_us as u64).min(u64::from(recent_us[(RECENT - 1) / 2])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(latencies_us: &[u64], step_ms: u64) -> Latency {
        let mut latency = Latency::default();
        for (at, &latency_us) in (0_u64..).zip(latencies_us) {
            latency.add(latency_us, at * step_ms);
        }
        latency
    }

    #[test]
    fn says_nothing_before_enough_came() {
        assert_eq!(after(&[5; 15], 1).typical_us(), None);
        assert_eq!(after(&[5; 16], 1).typical_us(), Some(5));
    }

    #[test]
    fn is_not_moved_by_one_slow_answer_however_rare_answers_are() {
        for step_ms in [1, 1_000, 60_000] {
            let mut latencies_us = vec![1_000; 40];
            latencies_us.push(60_000_000);
            assert_eq!(after(&latencies_us, step_ms).typical_us(), Some(1_000), "{step_ms}");
        }
    }

    #[test]
    fn is_not_moved_by_a_pause_in_which_many_answers_waited() {
        let mut latencies_us = vec![1_000; 4_000];
        latencies_us.extend([100_000; 20]);
        assert!(after(&latencies_us, 1).typical_us() < Some(1_500));
    }

    #[test]
    fn follows_a_node_that_became_slow_within_a_second() {
        let mut latencies_us = vec![1_000; 4_000];
        latencies_us.extend([1_000_000; 1_000]);
        assert!(after(&latencies_us, 1).typical_us() > Some(50_000));
    }

    #[test]
    fn holds_any_latency() {
        let most = u64::from(u32::MAX);
        assert_eq!(after(&[u64::MAX; 20], u64::MAX / 32).typical_us(), Some(most));
    }
}
