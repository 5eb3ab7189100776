//! Which keys a url has, so that a purge finds them all.

use crate::key::{self, Key};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

/// The keys of each url, by the url's hash.
#[derive(Debug, Default)]
pub(crate) struct Index {
    hasher: RandomState,
    keys: HashMap<u64, Keys>,
}

/// Nearly every url has one key.
#[derive(Debug)]
enum Keys {
    One(Key),
    #[expect(clippy::box_collection, reason = "the set is rare; unboxed it would double every slot")]
    Many(Box<HashSet<Key>>),
}

impl Index {
    /// Return the hash of a url's part of a key.
    pub(crate) fn hash(&self, url: &[u8]) -> u64 {
        self.hasher.hash_one(url)
    }

    /// Note a key.
    pub(crate) fn add(&mut self, key: &Key) {
        let hash = self.hash(key::url(key.bytes()));
        match self.keys.get_mut(&hash) {
            None => {
                self.keys.insert(hash, Keys::One(key.clone()));
            }
            Some(Keys::Many(keys)) => {
                keys.insert(key.clone());
            }
            Some(slot @ Keys::One(_)) => {
                let Keys::One(first) = slot else { return };
                *slot = Keys::Many(Box::new(HashSet::from([first.clone(), key.clone()])));
            }
        }
    }

    /// Forget a key.
    pub(crate) fn remove(&mut self, key: &Key) {
        let hash = self.hash(key::url(key.bytes()));
        let is_last = match self.keys.get_mut(&hash) {
            None => false,
            Some(Keys::One(only)) => only == key,
            Some(Keys::Many(keys)) => {
                keys.remove(key);
                keys.is_empty()
            }
        };
        if is_last {
            self.keys.remove(&hash);
        }
    }

    /// Return the keys of a url.
    pub(crate) fn of(&self, url: &[u8]) -> Vec<Key> {
        // Two urls may share a hash.
        let is_of_url = |key: &&Key| key::url(key.bytes()) == url;
        match self.keys.get(&self.hash(url)) {
            None => Vec::new(),
            Some(Keys::One(key)) => Some(key).filter(is_of_url).into_iter().cloned().collect(),
            Some(Keys::Many(keys)) => keys.iter().filter(is_of_url).cloned().collect(),
        }
    }

    /// Forget every key; the table stays as large as it was.
    pub(crate) fn clear(&mut self) {
        self.keys.clear();
    }

    /// Return what the table takes, bytes; what the keys of one url take beyond that counts with each key.
    pub(crate) fn held_bytes(&self) -> usize {
        let slots = (self.keys.capacity() * 8 / 7).next_power_of_two();
        slots * (size_of::<(u64, Keys)>() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Url;

    #[test]
    fn finds_all_keys_of_a_url_until_they_go() {
        let key = |target: &str, shard_key: &[u8]| {
            let mut out = Vec::new();
            let url = Url { scheme: "http", host: b"h", target: target.as_bytes() };
            crate::key::write(&url, shard_key, &mut out);
            Key::new(&out)
        };
        let mut index = Index::default();
        let keys = [key("/a", b"x"), key("/a", b"y"), key("/b", b"x")];
        for one in keys.iter().chain(&keys) {
            index.add(one);
        }
        let count = |index: &Index, of: &Key| index.of(crate::key::url(of.bytes())).len();
        assert_eq!((count(&index, &keys[0]), count(&index, &keys[2])), (2, 1));
        index.remove(&keys[0]);
        assert_eq!(index.of(crate::key::url(keys[0].bytes())), [keys[1].clone()]);
        index.remove(&keys[1]);
        index.remove(&keys[2]);
        assert!(index.keys.is_empty());
    }
}
