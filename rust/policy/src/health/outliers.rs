//! Which of a shard's replicas may be left for errors or slowness, and which have to be taken back.

use super::{Reason, Settings};

/// Answers that are quicker than this are never slow, however quick the siblings are; microseconds.
pub const LATENCY_FLOOR_US: u64 = 10_000;

/// What a shard has to know of a replica; [`super::Health::standing`] gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Requests may be sent to it.
    pub is_usable: bool,
    /// It is left for errors or slowness.
    pub is_ejected: bool,
    /// It is used, and answered too many errors in a row.
    pub has_errors: bool,
    /// What its answers take, in microseconds; `None` when it is left, or too few came to tell.
    pub latency_us: Option<u64>,
}

/// The replicas that a decision is about: bit `n` stands for the shard's replica `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outliers {
    /// To be left for errors.
    pub errors: u64,
    /// To be left for slowness; none that is in `errors`.
    pub slow: u64,
    /// Ejected ones that are the best this shard has: to be pardoned.
    pub pardoned: u64,
}

impl Outliers {
    /// Why a replica is to be left, if it is.
    #[must_use]
    pub fn reason(&self, replica: usize) -> Option<Reason> {
        let bit = bit(replica);
        if self.errors & bit != 0 {
            Some(Reason::Errors)
        } else if self.slow & bit != 0 {
            Some(Reason::Slow)
        } else {
            None
        }
    }
}

/// Say which of a shard's replicas may be left for errors or slowness: those with errors first, then the slowest; never more
/// than `ejected_percent_max` of all at one time, rounded down, and never the last that can be used.
///
/// A shard without a usable replica takes back those that were ejected. Ask after each [`super::Change`] in the shard and with
/// each probe. A node that serves several shards is left only if each of them says so, and pardoned if any does. O(n²) without
/// allocating, n ≤ 64; replicas beyond the 64th are left alone.
///
/// # Source
///
/// The bound by percent and the growing time are those of Envoy's outlier detection (`max_ejection_percent`,
/// `base_ejection_time`); comparing with the median of the others is ours.
#[must_use]
pub fn outliers(shard: &[Standing], settings: &Settings) -> Outliers {
    let shard = &shard[..shard.len().min(64)];
    let mut found = Outliers::default();
    let mut usable = shard.iter().filter(|node| node.is_usable).count();
    let ejected = shard.iter().filter(|node| node.is_ejected).count();
    if usable == 0 {
        found.pardoned = mask(shard, |_, node| node.is_ejected);
        return found;
    }
    let percent = usize::try_from(settings.ejected_percent_max.min(100)).unwrap_or(100);
    let mut spare = (shard.len() * percent / 100).saturating_sub(ejected);
    let with_errors = mask(shard, |_, node| node.is_usable && node.has_errors);
    let slow = settings.slow_times.map_or(0, |times| mask(shard, |at, node| is_slow(shard, at, *node, times)));
    for at in ranked(shard, with_errors).chain(ranked(shard, slow & !with_errors)) {
        if spare == 0 || usable <= 1 {
            break;
        }
        (spare, usable) = (spare - 1, usable - 1);
        let list = if with_errors & bit(at) != 0 { &mut found.errors } else { &mut found.slow };
        *list |= bit(at);
    }
    found
}

fn is_slow(shard: &[Standing], at: usize, node: Standing, times: u32) -> bool {
    let Some(own_us) = node.latency_us.filter(|_| node.is_usable) else { return false };
    median_of_others(shard, at)
        .is_some_and(|median_us| own_us > LATENCY_FLOOR_US.max(median_us.saturating_mul(u64::from(times))))
}

/// The middle of what the others' answers take; of two middles the higher one, so that a node is rather kept.
fn median_of_others(shard: &[Standing], at: usize) -> Option<u64> {
    let mut others = [0; 64];
    let mut count = 0;
    for (other, node) in shard.iter().enumerate() {
        if let Some(latency_us) = node.latency_us.filter(|_| other != at && node.is_usable) {
            others[count] = latency_us;
            count += 1;
        }
    }
    others[..count].sort_unstable();
    others[..count].get(count / 2).copied()
}

/// The replicas of a mask, the slowest first.
fn ranked(shard: &[Standing], mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let worst = (0..shard.len()).filter(|&at| mask & bit(at) != 0).max_by_key(|&at| shard[at].latency_us)?;
        mask &= !bit(worst);
        Some(worst)
    })
}

fn mask(shard: &[Standing], is_meant: impl Fn(usize, &Standing) -> bool) -> u64 {
    shard.iter().enumerate().filter(|(at, node)| is_meant(*at, node)).fold(0, |mask, (at, _)| mask | bit(at))
}

fn bit(at: usize) -> u64 {
    u32::try_from(at).ok().and_then(|at| 1_u64.checked_shl(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings {
        interval_ms: 1_000,
        failures: 2,
        successes: 1,
        errors_max: Some(5),
        slow_times: Some(10),
        ejected_percent_max: 50,
        ejection_ms: 5_000,
        slow_start_ms: 10_000,
    };
    const DEAD: Standing = Standing { is_usable: false, is_ejected: false, has_errors: false, latency_us: None };
    const EJECTED: Standing = Standing { is_ejected: true, ..DEAD };
    const GOOD: Standing = Standing { is_usable: true, latency_us: Some(2_000), ..DEAD };
    const BAD: Standing = Standing { has_errors: true, ..GOOD };
    const SLOW: Standing = Standing { latency_us: Some(900_000), ..GOOD };

    fn check(shard: &[Standing], errors: u64, slow: u64) {
        let expected = Outliers { errors, slow, pardoned: 0 };
        assert_eq!(outliers(shard, &SETTINGS), expected, "{shard:?}");
    }

    #[test]
    fn leaves_what_has_errors_and_what_is_slow() {
        check(&[GOOD, BAD, GOOD], 0b010, 0);
        check(&[GOOD, GOOD, SLOW], 0, 0b100);
        check(&[BAD, SLOW, GOOD, GOOD], 0b01, 0b10);
        let both = Standing { has_errors: true, ..SLOW };
        check(&[both, GOOD, GOOD], 0b001, 0);
        check(&[GOOD; 4], 0, 0);
    }

    #[test]
    fn leaves_no_more_than_the_part_and_the_worst_first() {
        check(&[BAD, BAD], 0b01 << 1, 0);
        check(&[BAD, GOOD, EJECTED], 0, 0);
        check(&[BAD, BAD, BAD, EJECTED], 0b100, 0);
        let slower = Standing { latency_us: Some(9_000_000), ..GOOD };
        check(&[SLOW, slower, GOOD, GOOD, GOOD, EJECTED, EJECTED], 0, 0b10);
        check(&[SLOW, BAD, GOOD], 0b010, 0);
    }

    #[test]
    fn never_leaves_the_last_one() {
        check(&[BAD], 0, 0);
        check(&[BAD, DEAD], 0, 0);
        check(&[BAD, DEAD, DEAD, DEAD], 0, 0);
        let all = Settings { ejected_percent_max: 100, ..SETTINGS };
        assert_eq!(outliers(&[BAD, BAD, BAD], &all).errors.count_ones(), 2);
    }

    #[test]
    fn takes_back_what_was_ejected_where_nothing_else_is_usable() {
        let expected = Outliers { errors: 0, slow: 0, pardoned: 0b110 };
        assert_eq!(outliers(&[DEAD, EJECTED, EJECTED], &SETTINGS), expected);
        assert_eq!(outliers(&[DEAD, DEAD], &SETTINGS), Outliers::default());
        assert_eq!(outliers(&[], &SETTINGS), Outliers::default());
    }

    #[test]
    fn compares_with_the_others_that_are_known_and_never_calls_quick_ones_slow() {
        let unknown = Standing { latency_us: None, ..GOOD };
        check(&[SLOW, unknown], 0, 0);
        check(&[SLOW, SLOW], 0, 0);
        let at = |latency_us| Standing { latency_us: Some(latency_us), ..GOOD };
        check(&[at(10_000), at(10)], 0, 0);
        check(&[at(10_001), at(10)], 0, 0b01);
        check(&[at(20_000), at(2_000)], 0, 0);
        check(&[at(20_001), at(2_000)], 0, 0b01);
        // One of the others is as slow: the higher middle of two says that it is the work.
        check(&[SLOW, SLOW, GOOD], 0, 0);
        check(&[SLOW, SLOW, GOOD, GOOD], 0, 0b11);
        let never = Settings { slow_times: None, ..SETTINGS };
        assert_eq!(outliers(&[SLOW, GOOD], &never), Outliers::default());
    }

    #[test]
    fn knows_as_many_as_a_shard_may_have() {
        let mut shard = vec![GOOD; 70];
        shard[63] = BAD;
        shard[69] = BAD;
        check(&shard, 1 << 63, 0);
        assert_eq!(outliers(&shard, &SETTINGS).reason(63), Some(Reason::Errors));
        assert_eq!(outliers(&shard, &SETTINGS).reason(69), None);
    }
}
