//! Whether a sibling is worth a question: after a failure it is left for a while, longer each time.
//!
//! It comes back by a probe that nobody waits for, never by a user's request.

/// How long a sibling is left after its first failure.
pub const SIBLING_PAUSE_MS: u64 = 1_000;

/// How long it is left at most.
pub const SIBLING_PAUSE_MS_MAX: u64 = 30_000;

/// How long a trial is given before there may be another one.
const TRIAL_MS: u64 = 5_000;

/// What is to be done with a sibling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Ask it.
    Usable,
    /// Leave it.
    Left,
    /// Leave it, and try whether it is there again; said to one asker only.
    Due,
}

/// What is known of one sibling.
#[derive(Debug, Default)]
pub struct Circuit {
    failures: u32,
    until_ms: u64,
    /// Until when the trial that runs has time to end.
    trial_until_ms: Option<u64>,
    /// It asked something since that trial began.
    has_spoken: bool,
    /// How often it answered.
    answers: u64,
}

/// When a probe began, by what had been answered before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Began(u64);

impl Circuit {
    /// A probe begins now.
    #[must_use]
    pub const fn begin(&self) -> Began {
        Began(self.answers)
    }

    /// Whether it answered nothing since a probe began: what began before an answer says nothing against it.
    const fn is_news(&self, began: Began) -> bool {
        began.0 == self.answers
    }

    /// Returns what is to be done with it.
    pub fn standing(&mut self, now_ms: u64) -> Standing {
        if self.failures == 0 {
            return Standing::Usable;
        }
        if now_ms < self.until_ms || self.is_tried(now_ms) {
            return Standing::Left;
        }
        self.trial_until_ms = Some(now_ms + TRIAL_MS);
        self.has_spoken = false;
        Standing::Due
    }

    fn is_tried(&self, now_ms: u64) -> bool {
        self.trial_until_ms.is_some_and(|until_ms| now_ms < until_ms)
    }

    /// A question failed. What many askers find at one time counts once.
    pub fn failed(&mut self, now_ms: u64) {
        if self.failures == 0 || (now_ms >= self.until_ms && !self.is_tried(now_ms)) {
            self.leave(now_ms);
        }
    }

    /// A probe failed that was no trial.
    pub fn probe_failed(&mut self, began: Began, now_ms: u64) {
        if self.is_news(began) {
            self.failed(now_ms);
        }
    }

    /// A trial failed. One that spoke meanwhile is tried again at once.
    pub fn trial_failed(&mut self, began: Began, now_ms: u64) {
        if !self.is_news(began) {
            return;
        }
        self.trial_until_ms = None;
        self.leave(now_ms);
        if std::mem::take(&mut self.has_spoken) {
            self.until_ms = now_ms;
        }
    }

    fn leave(&mut self, now_ms: u64) {
        let pause_ms = SIBLING_PAUSE_MS.checked_shl(self.failures).unwrap_or(SIBLING_PAUSE_MS_MAX);
        self.failures = (self.failures + 1).min(32);
        self.until_ms = now_ms + pause_ms.min(SIBLING_PAUSE_MS_MAX);
    }

    /// It answered.
    pub fn answered(&mut self) {
        *self = Self { answers: self.answers.wrapping_add(1), ..Self::default() };
    }

    /// It asked something itself: it may be tried at once, or when the trial that runs has ended.
    pub fn spoke(&mut self, now_ms: u64) {
        self.has_spoken = true;
        self.until_ms = self.until_ms.min(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial_failed(circuit: &mut Circuit, now_ms: u64) {
        circuit.trial_failed(circuit.begin(), now_ms);
    }

    #[test]
    fn what_began_before_an_answer_says_nothing_against_it() {
        let mut circuit = Circuit::default();
        let before = circuit.begin();
        circuit.answered();
        circuit.probe_failed(before, 10);
        assert_eq!(circuit.standing(10), Standing::Usable);
        circuit.failed(10);
        assert_eq!(circuit.standing(10 + SIBLING_PAUSE_MS), Standing::Due);
        let trial = circuit.begin();
        circuit.answered();
        circuit.trial_failed(trial, 1_500);
        assert_eq!(circuit.standing(1_500), Standing::Usable);
        // It was left anew meanwhile, and the trial that runs now is another one.
        circuit.failed(2_000);
        circuit.trial_failed(trial, 2_001);
        assert_eq!(circuit.standing(2_000 + SIBLING_PAUSE_MS), Standing::Due);
    }

    #[test]
    fn leaves_a_sibling_longer_each_time_and_tries_it_once_after() {
        let mut circuit = Circuit::default();
        let mut now_ms = 10;
        assert_eq!(circuit.standing(now_ms), Standing::Usable);
        circuit.failed(now_ms);
        for pause_ms in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            assert_eq!(circuit.standing(now_ms + pause_ms - 1), Standing::Left);
            now_ms += pause_ms;
            assert_eq!(circuit.standing(now_ms), Standing::Due);
            assert_eq!(circuit.standing(now_ms), Standing::Left);
            trial_failed(&mut circuit, now_ms);
        }
        circuit.answered();
        assert_eq!(circuit.standing(now_ms), Standing::Usable);
        circuit.failed(now_ms);
        assert_eq!(circuit.standing(now_ms + SIBLING_PAUSE_MS), Standing::Due);
    }

    #[test]
    fn counts_what_many_find_at_one_time_once() {
        let mut circuit = Circuit::default();
        (0..500).for_each(|_| circuit.failed(5));
        assert_eq!(circuit.standing(5 + SIBLING_PAUSE_MS), Standing::Due);
    }

    #[test]
    fn a_lost_trial_is_followed_by_another() {
        let mut circuit = Circuit::default();
        circuit.failed(0);
        assert_eq!(circuit.standing(1_000), Standing::Due);
        assert_eq!(circuit.standing(1_000 + TRIAL_MS), Standing::Due);
    }

    #[test]
    fn only_one_trial_runs_at_a_time_whatever_is_said_meanwhile() {
        let mut circuit = Circuit::default();
        circuit.failed(0);
        assert_eq!(circuit.standing(1_000), Standing::Due);
        for now_ms in 1_001..1_500 {
            circuit.spoke(now_ms);
            circuit.failed(now_ms);
            assert_eq!(circuit.standing(now_ms), Standing::Left);
        }
        // It spoke while it was tried: the next trial is at once, and one again.
        trial_failed(&mut circuit, 1_500);
        assert_eq!(circuit.standing(1_500), Standing::Due);
        assert_eq!(circuit.standing(1_500), Standing::Left);
        trial_failed(&mut circuit, 1_600);
        assert_eq!(circuit.standing(1_600), Standing::Left);
    }

    #[test]
    fn who_speaks_is_tried_at_once() {
        let mut circuit = Circuit::default();
        circuit.spoke(3);
        assert_eq!(circuit.standing(3), Standing::Usable);
        (0..9).for_each(|_| trial_failed(&mut circuit, 5));
        circuit.spoke(6);
        assert_eq!(circuit.standing(6), Standing::Due);
    }
}
