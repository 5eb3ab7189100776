//! nginx `hash KEY`.
//!
//! Source: nginx 1.22.1, `ngx_http_upstream_get_hash_peer`; the hash is that of Perl's `Cache::Memcached`.

use crc32fast::Hasher;

use crate::{RETRIES_MAX, Shard};

/// Every unit of weight with its shard, in the shards' order.
#[derive(Clone, Debug)]
pub(crate) struct Table(Vec<u32>);

impl Table {
    pub(crate) fn new(shards: &[Shard]) -> Table {
        let units = |(index, shard): (u32, &Shard)| std::iter::repeat_n(index, shard.weight as usize);
        Table((0..).zip(shards).flat_map(units).collect())
    }

    /// Return the shard of a hash, or of a sum of hashes.
    pub(crate) fn shard(&self, hash: u32) -> usize {
        self.0[hash as usize % self.0.len()] as usize
    }

    /// Return the shards that nginx would try one after the other: each try adds the hash of its number and the key.
    pub(crate) fn shards<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        (0..=RETRIES_MAX).scan(0_u32, move |sum, tried| {
            *sum = sum.wrapping_add(hash(tried, key));
            Some(self.shard(*sum))
        })
    }
}

/// Return bits 16 to 30 of the CRC-32 of a key, with the number of earlier tries in decimal before it if there were any.
pub(crate) fn hash(tried: u32, key: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    if tried > 0 {
        hasher.update(tried.to_string().as_bytes());
    }
    hasher.update(key);
    (hasher.finalize() >> 16) & 0x7fff
}
