//! Which keys are asked for most, from a sample.
//!
//! Source: Metwally, Agrawal, El Abbadi 2005, "Efficient computation of frequent and top-k elements in data streams".

/// Keys that are kept.
const KEYS: usize = 64;

/// The longest key that is kept whole.
const KEY_BYTES_MAX: usize = 256;

/// One command of so many is looked at.
pub const SAMPLED_ONE_IN: u32 = 64;

/// The keys that were asked for most, with about how often: never too seldom, by at most a 64th of all too often.
#[derive(Debug, Default)]
pub struct Top {
    keys: Vec<(Box<[u8]>, u64)>,
}

impl Top {
    /// Count a key that stands for [`SAMPLED_ONE_IN`].
    pub(crate) fn count(&mut self, key: &[u8]) {
        let key = &key[..key.len().min(KEY_BYTES_MAX)];
        let times = u64::from(SAMPLED_ONE_IN);
        if let Some((_, known)) = self.keys.iter_mut().find(|(known, _)| **known == *key) {
            *known += times;
        } else if self.keys.len() < KEYS {
            self.keys.push((key.into(), times));
        } else if let Some((least, known)) = self.keys.iter_mut().min_by_key(|(_, known)| *known) {
            *least = key.into();
            *known += times;
        }
    }

    /// Return the keys, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.keys.iter().map(|(key, times)| (&**key, *times))
    }
}
