//! Numbers that nobody needs to guess: to spread load, and to choose which requests are logged.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

thread_local! {
    static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0));
}

/// Returns 64 uniform bits; each thread has a sequence of its own.
///
/// # Source
/// splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
#[must_use]
pub fn next() -> u64 {
    STATE.with(|state| {
        state.set(state.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut bits = state.get();
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    })
}

/// Returns true once in `count` times on average; always for 1.
#[must_use]
pub fn one_in(count: u32) -> bool {
    next() >> 32 < (1 << 32) / u64::from(count.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_so_many_is_about_that() {
        assert!((0..100).all(|_| one_in(1)));
        let hits = (0..100_000).filter(|_| one_in(10)).count();
        assert!((9_000..11_000).contains(&hits), "{hits}");
    }
}
