//! Which replica answers a request: the less busy of two that are drawn.

/// What is known of a replica when a request comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What it should get relative to its siblings, 1 to 100; 0 when it cannot be used. [`crate::health::Health::share`].
    pub share: u8,
    /// Requests that it is answering.
    pub in_flight: u32,
}

/// Draw two of the replicas that can be used and were not tried yet, and return the one with fewer requests in flight relative to
/// its share; `None` where none is left.
///
/// One that is drawn with a share of 20 is dropped with chance 0.8, and the other one taken.
///
/// Args: `count` replicas, at most 64 (more are not looked at); `candidate` gives what is known of one, and is asked once or
/// twice for each; bit `n` of `tried` excludes replica `n`; `random` is 64 fresh uniform bits. Allocates nothing; O(count).
///
/// # Source
///
/// Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001.
#[inline]
pub fn choose(count: usize, candidate: impl Fn(usize) -> Candidate, tried: u64, random: u64) -> Option<usize> {
    let mut open = 0_u64;
    for at in 0..count.min(64) {
        open |= u64::from(candidate(at).share != 0) << at;
    }
    open &= !tried;
    match open.count_ones() {
        0 => None,
        1 => Some(lowest(open)),
        drawable => {
            let first = nth(open, part(random, 0, drawable));
            let second = nth(open & !(1 << first), part(random, 1, drawable - 1));
            let one = (candidate(first), part(random, 2, 100));
            let other = (candidate(second), part(random, 3, 100));
            Some(if is_better(one, other) { first } else { second })
        }
    }
}

/// Whether the first of two that were drawn, each with its lot of 0 to 99, is taken; equals fall to it, and it was drawn evenly.
fn is_better((one, lot): (Candidate, u32), (other, other_lot): (Candidate, u32)) -> bool {
    let is_kept = lot < u32::from(one.share);
    let is_other_kept = other_lot < u32::from(other.share);
    if is_kept != is_other_kept {
        return is_kept;
    }
    let load = u64::from(one.in_flight) * u64::from(other.share);
    let other_load = u64::from(other.in_flight) * u64::from(one.share);
    load <= other_load
}

/// A number below `bound` (at most 100) from the `place`th 16 bits; uneven by less than 0.2 %.
fn part(random: u64, place: u32, bound: u32) -> u32 {
    let bits = (random >> (16 * place)) as u16;
    (u32::from(bits) * bound) >> 16
}

fn lowest(mask: u64) -> usize {
    mask.trailing_zeros() as usize
}

/// The place of the `n`th bit that is set, from 0.
fn nth(mut mask: u64, n: u32) -> usize {
    for _ in 0..n {
        mask &= mask - 1;
    }
    lowest(mask)
}

#[cfg(test)]
mod tests;
