//! Which keys are asked for most, from a sample.
//!
//! Source: Metwally, Agrawal, El Abbadi 2005, "Efficient computation of frequent and top-k elements in data streams".

use std::hash::{BuildHasher, RandomState};

/// Keys that are kept.
const KEYS: usize = 64;

/// The longest key that is kept whole.
const KEY_BYTES_MAX: usize = 256;

/// One command of so many is looked at.
pub const SAMPLED_ONE_IN: u32 = 64;

/// The keys that were asked for most, with about how often: never too seldom, by at most a 64th of all too often.
///
/// Hashes and numbers are apart from the keys, so that a look through all of them takes few steps.
#[derive(Debug, Default)]
pub struct Top {
    hashes: Vec<u64>,
    times: Vec<u64>,
    keys: Vec<Box<[u8]>>,
    /// No key has fewer times than this: what the last had that was replaced. The next is looked for from there on.
    least: u64,
    next: usize,
    hasher: RandomState,
}

impl Top {
    /// Count a key that stands for [`SAMPLED_ONE_IN`].
    pub(crate) fn count(&mut self, key: &[u8]) {
        let key = &key[..key.len().min(KEY_BYTES_MAX)];
        let times = u64::from(SAMPLED_ONE_IN);
        let hash = self.hasher.hash_one(key);
        // Of two keys with one hash, which nobody can bring about, the first is counted for both.
        if let Some(place) = self.hashes.iter().position(|known| *known == hash) {
            self.times[place] += times;
        } else if self.keys.len() < KEYS {
            self.hashes.push(hash);
            self.times.push(times);
            self.keys.push(key.into());
        } else {
            let place = self.rarest();
            self.hashes[place] = hash;
            self.times[place] += times;
            self.keys[place] = key.into();
        }
    }

    /// Return the place of a key that no other was asked for less often than. Of keys that are all asked for seldom one is
    /// replaced after the other, in the order of their places: few are looked at.
    fn rarest(&mut self) -> usize {
        let is_rarest = |place: usize| self.times[place] <= self.least;
        let found = (self.next..KEYS).chain(0..self.next).find(|&place| is_rarest(place));
        let place = found.or_else(|| (0..KEYS).min_by_key(|&place| self.times[place])).unwrap_or(0);
        self.least = self.times[place];
        self.next = (place + 1) % KEYS;
        place
    }

    /// Return the keys, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.keys.iter().map(|key| &**key).zip(self.times.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_asked_for_often_is_found_among_many_that_are_not() {
        let mut top = Top::default();
        for number in 0..10_000_u32 {
            top.count(if number % 4 == 0 { b"hot" } else { b"cold" });
            top.count(format!("once{number}").as_bytes());
        }
        let mut keys: Vec<(&[u8], u64)> = top.iter().collect();
        keys.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
        assert_eq!((keys[0].0, keys[1].0, keys.len()), (&b"cold"[..], &b"hot"[..], KEYS));
        let hot = 2_500 * u64::from(SAMPLED_ONE_IN);
        let all = 20_000 * u64::from(SAMPLED_ONE_IN);
        assert!((hot..=hot + all / KEYS as u64).contains(&keys[1].1), "{}", keys[1].1);
    }

    #[test]
    fn a_long_key_is_cut() {
        let mut top = Top::default();
        top.count(&[b'k'; 10_000]);
        assert_eq!(top.iter().next().map(|(key, _)| key.len()), Some(KEY_BYTES_MAX));
    }
}
