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
/// A request that has tried all that are usable may try one again, as a replica comes back and a connection from the pool may
/// have been the fault: ask once more with `tried` 0 while it has attempts left.
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
            // Of two, which one is the first only decides between equals.
            let (first, second) = if count == 2 { pair(random) } else { draw(open, drawable, random) };
            let (one, other) = (candidate(first), candidate(second));
            let is_second = rank(other, one.share, part(random, 3, 100)) < rank(one, other.share, part(random, 2, 100));
            // Arithmetic, as no processor foresees a random branch.
            Some(first ^ ((first ^ second) * usize::from(is_second)))
        }
    }
}

/// Two places of two, in either order.
fn pair(random: u64) -> (usize, usize) {
    let first = usize::from(random & 1 != 0);
    (first, 1 - first)
}

/// Two different places that are set in a mask of `drawable` ones.
fn draw(open: u64, drawable: u32, random: u64) -> (usize, usize) {
    let first = nth(open, part(random, 0, drawable));
    (first, nth(open & !(1 << first), part(random, 1, drawable - 1)))
}

/// What is compared of one of two that were drawn, the lower is taken: first whether it is dropped by its lot of 0 to 99, then
/// its requests in flight as a part of its share.
fn rank(candidate: Candidate, other_share: u8, lot: u32) -> u64 {
    let is_dropped = lot >= u32::from(candidate.share);
    (u64::from(is_dropped) << 63) | (u64::from(candidate.in_flight) * u64::from(other_share))
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
