//! How long answers took.

use super::Figure;

/// Upper bounds of the histogram's steps in microseconds; one step more is above the last.
pub const BOUNDS_US: [u32; 15] =
    [50, 100, 200, 350, 500, 1_000, 2_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000];

const STEPS: usize = BOUNDS_US.len() + 1;

/// One thread's histogram.
#[derive(Debug, Default)]
pub struct Histogram {
    steps: [Figure; STEPS],
    total_us: Figure,
}

impl Histogram {
    /// Count one answer.
    #[inline]
    pub(crate) fn observe(&self, us: u32) {
        let step = BOUNDS_US.iter().position(|&bound| us <= bound).unwrap_or(BOUNDS_US.len());
        self.steps[step].add(1);
        self.total_us.add(u64::from(us));
    }
}

/// A histogram's sum over threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Answers of each step, not cumulated; the last has those above [`BOUNDS_US`].
    pub steps: [u64; STEPS],
    /// The sum of all, in microseconds.
    pub total_us: u64,
}

impl Latency {
    pub(super) fn add(&mut self, histogram: &Histogram) {
        for (sum, step) in self.steps.iter_mut().zip(&histogram.steps) {
            *sum += step.get();
        }
        self.total_us += histogram.total_us.get();
    }

    /// Return how many answers there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.steps.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_is_in_the_first_step_that_holds_it() {
        let histogram = Histogram::default();
        [0, 50, 51, 5_000_000, 5_000_001, u32::MAX].iter().for_each(|&us| histogram.observe(us));
        let mut sum = Latency::default();
        sum.add(&histogram);
        assert_eq!((sum.steps[0], sum.steps[1], sum.steps[14], sum.steps[15]), (2, 1, 1, 2));
        assert_eq!((sum.count(), sum.total_us), (6, 101 + 10_000_001 + u64::from(u32::MAX)));
    }
}
